"""Which theme is in force, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.render.themes import theme

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from chatcli.render.themes import Background, ColorSystem, Theme

_BY_WISH: Final[Mapping[str, Background]] = {"dark": "dark", "light": "light"}
UNTOLD: Final = "the terminal did not report its background"


class ThemeInForce:
    """The theme for what is shown next: the one that is wanted or, with ``auto``, the one for the background.

    ``wanted`` tells the setting as it is now; ``color_system`` is what the terminal can show, ``links``
    whether it reads the commands that make links. ``ask`` gets the terminal to report its background, if it can. Until that is learned it is taken to be dark, as most are.
    """

    def __init__(
        self,
        wanted: Callable[[], str],
        color_system: ColorSystem | None,
        *,
        links: bool = True,
        ask: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._wanted = wanted
        self._color_system = color_system
        self._links = links
        self._ask = ask
        self._background: Background = "dark"
        self.source = UNTOLD

    def __call__(self) -> Theme:
        return theme(self.name, self._color_system, links=self._links)

    @property
    def name(self) -> Background:
        return _BY_WISH.get(self._wanted(), self._background)

    @property
    def follows_background(self) -> bool:
        return self._wanted() == "auto"

    @property
    def has_colors(self) -> bool:
        return self._color_system is not None

    async def settle(self) -> None:
        """Wait until it is known as well as it can be which theme is in force."""
        if self._ask is not None and self.follows_background and self.source == UNTOLD:
            await self._ask()

    def learn(self, background: Background, source: str) -> None:
        """Take note of the terminal's background, and of who told it."""
        self._background, self.source = background, source
