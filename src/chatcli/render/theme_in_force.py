"""The theme in force, and the source of that choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.render.themes import theme

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from chatcli.render.themes import Background, ColorSystem, Theme

_REQUESTED: Final[Mapping[str, Background]] = {"dark": "dark", "light": "light"}
UNREPORTED: Final = "the terminal did not report its background"


class ThemeInForce:
    """The theme for the next output: the requested one or, with ``auto``, the one for the background.

    ``requested`` returns the current setting. ``color_system`` is what the terminal supports, ``links``
    whether it understands link commands. ``ask`` makes the terminal report its background, if it can; until
    then the background counts as dark, as most are.
    """

    def __init__(
        self,
        requested: Callable[[], str],
        color_system: ColorSystem | None,
        *,
        links: bool = True,
        ask: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._requested = requested
        self._color_system = color_system
        self._links = links
        self._ask = ask
        self._background: Background = "dark"
        self.source = UNREPORTED

    def __call__(self) -> Theme:
        return theme(self.name, self._color_system, links=self._links)

    @property
    def name(self) -> Background:
        return _REQUESTED.get(self._requested(), self._background)

    @property
    def follows_background(self) -> bool:
        return self._requested() == "auto"

    @property
    def has_colors(self) -> bool:
        return self._color_system is not None

    async def settle(self) -> None:
        """Wait until the theme is known as well as it can be."""
        if self._ask is not None and self.follows_background and self.source == UNREPORTED:
            await self._ask()

    def learn(self, background: Background, source: str) -> None:
        """Record the terminal's background and the source of that knowledge."""
        self._background, self.source = background, source
