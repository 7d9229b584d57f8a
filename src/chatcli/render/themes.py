"""The look of everything that is drawn: one palette for dark backgrounds and one for light ones.

With 256 colours or more, the palettes use their own; tests check the contrast of each on the usual
backgrounds. Of the sixteen colours, which each terminal defines, they use only those that stand out nearly
everywhere: no blue on dark, no yellow, green or cyan for text on light, and no bright black, which Solarized
uses as the background.
"""

from __future__ import annotations

import functools
import re
from colorsys import rgb_to_hls
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.segment import Segment
    from rich.style import Style
    from rich.theme import Theme as StylesByRole

    AnswerStyle: TypeAlias = Style
    """For importers that only read it."""

Role: TypeAlias = str
ColorSystem: TypeAlias = Literal["standard", "256", "truecolor"]
Background: TypeAlias = Literal["dark", "light"]
StyledRow: TypeAlias = "Sequence[tuple[str, Role]]"
"""A row as texts with roles; a role in no palette, such as an empty one, is plain text."""


ANY_BACKGROUND: Final[Background] = "dark"
"""The background to name where it is unknown, for roles that look the same on all: reports and remarks."""


# rich numbers its links with a process-wide counter, so equal texts would give different bytes.
LINK: Final = "\x1b]8;;{}\x1b\\"
LINK_END: Final = "\x1b]8;;\x1b\\"
UNSAFE_IN_LINK: Final = re.compile(r"[^!-~]")

_BLACK, _WHITE = 16, 231
"""The first and the last colour of the cube; the greys follow."""
_CUBE: Final = (0, 95, 135, 175, 215, 255)
_LEAST_SATURATION: Final = 0.15


class Theme:
    """The look of each role on one kind of terminal: a rich style, ``None`` for plain text.

    Without a ``color_system`` every role is plain. ``links`` is whether other escape sequences, such as OSC
    8, may be written at all.
    """

    def __init__(self, name: Background, color_system: ColorSystem | None, *, links: bool = True) -> None:
        self.name = name
        self.color_system = color_system
        self.links = links and color_system is not None
        self._of_roles: dict[tuple[Role, ...], Style | None] = {}

    @functools.cached_property
    def styles(self) -> StylesByRole:
        """The styles by role, in colours the terminal supports."""
        # Imported late: only coloured output needs it.
        from rich.theme import Theme as StylesByRole  # noqa: PLC0415

        return StylesByRole(words_of_roles(self.name, self.color_system), inherit=False)

    def style(self, roles: tuple[Role, ...]) -> Style | None:
        """Return the combined style of ``roles``; later roles override earlier ones."""
        try:
            return self._of_roles[roles]
        except KeyError:
            style = self._of_roles[roles] = self._combined(roles)
            return style

    def segment(self, text: str, *roles: Role) -> Segment:
        from rich.segment import Segment  # noqa: PLC0415 - as above

        return Segment(text, self.style(roles))

    def paint(self, text: str, *roles: Role) -> str:
        """Return ``text`` with escape sequences for its style, each line by itself with a reset after it."""
        style = self.style(roles)
        return text if style is None else "\n".join([style.render(line) for line in text.split("\n")])

    def paint_link(self, text: str, address: str, *roles: Role) -> str:
        """Return ``text`` painted and, where the terminal has links, clickable (OSC 8) if ``address`` cannot end the command."""
        painted = self.paint(text, *roles)
        if not self.links or UNSAFE_IN_LINK.search(address):
            return painted
        return f"{LINK.format(address)}{painted}{LINK_END}"

    def painted(self, rows: Iterable[StyledRow]) -> str:
        """Return ``rows``, which must fit and be safe, as lines."""
        return "\n".join("".join([self.paint(text, role) for text, role in row]) for row in rows)

    def _combined(self, roles: tuple[Role, ...]) -> Style | None:
        if self.color_system is None:
            return None
        from rich.style import Style  # noqa: PLC0415 - as above

        styles = self.styles.styles
        return Style.combine([Style.null(), *(styles[role] for role in roles if role in styles)]) or None


@functools.cache
def theme(name: Background, color_system: ColorSystem | None, *, links: bool = True) -> Theme:
    """Return the theme for a background; without a ``color_system`` it writes no escape sequences.

    ``links`` is whether the terminal understands link commands.
    """
    return Theme(name, color_system, links=links)


@functools.cache
def words_of_roles(name: Background, color_system: ColorSystem | None) -> Mapping[Role, str]:
    """Return the style of each role in the words of rich, in colours the terminal supports.

    A colour is a name, ``#rrggbb``, or ``color(N)`` for one of 256.
    """
    if color_system is None:
        return {}
    if color_system == "standard":
        return {role: few for role, _, few in PALETTES[name]}
    chosen = {role: words for role, words, _ in PALETTES[name]}
    if color_system == "truecolor":
        return chosen
    return {role: " ".join(map(_in_256, words.split())) for role, words in chosen.items()}


def _in_256(word: str) -> str:
    return f"color({nearest_of_256(word)})" if word.startswith("#") else word


def nearest_of_256(color: str) -> int:
    """Return the number of the colour nearest to ``#rrggbb``, as rich finds it, which takes long to import."""
    red_green_blue = bytes.fromhex(color[1:])
    _, lightness, saturation = rgb_to_hls(*(value / 255 for value in red_green_blue))
    if saturation < _LEAST_SATURATION:
        gray = round(lightness * 25)
        return {0: _BLACK, 25: _WHITE}.get(gray, _WHITE + gray)
    red, green, blue = (
        round(value / _CUBE[1] if value < _CUBE[1] else 1 + (value - _CUBE[1]) / 40)
        for value in red_green_blue
    )
    return _BLACK + 36 * red + 6 * green + blue


def rgb_of_256(number: int) -> str:
    """Return a colour of the cube or of the greys as ``#rrggbb``."""
    if number > _WHITE:
        return f"#{bytes([8 + 10 * (number - _WHITE - 1)] * 3).hex()}"
    steps = divmod(number - _BLACK, 36)
    return f"#{bytes(_CUBE[step] for step in (steps[0], *divmod(steps[1], 6))).hex()}"


# A role, its style with 256 colours or more, and its style with the terminal's own sixteen.
_ON_ANY_BACKGROUND: Final = (
    ("remark", "dim", "dim"),
    ("finding.ok", "green", "green"),
    ("finding.warning", "yellow", "yellow"),
    ("finding.problem", "red", "red"),
    ("finding.skipped", "dim", "dim"),
)
_DARK: Final = (
    ("heading1", "bold #8cc8ff", "bold cyan"),
    ("heading2", "bold #8cc8ff", "bold cyan"),
    ("heading", "bold #b4cfe8", "bold"),
    ("strong", "bold", "bold"),
    ("emphasis", "italic", "italic"),
    ("strike", "strike", "strike"),
    ("code", "#f0b884", "yellow"),
    ("link", "underline #5fd7d7", "underline cyan"),
    ("address", "#9aa4ae", "dim"),
    ("quote", "#bac4d0", ""),
    ("quote.bar", "#8f7fd6", "bright_magenta"),
    ("rule", "#6f7a87", "dim"),
    ("marker", "#8cc8ff", "cyan"),
    ("task", "#8fd694", "green"),
    ("border", "#6f7a87", "dim"),
    ("table.header", "bold #b4cfe8", "bold"),
    ("label", "#9aa4ae", "dim"),
    ("math", "#d7b0ff", "bright_magenta"),
    ("html", "#9aa4ae", "dim"),
    ("reasoning", "italic #a2abb4", "dim italic"),
    ("image", "#d7b0ff", "bright_magenta"),
    ("code.comment", "italic #9aa4ae", "dim italic"),
    ("code.keyword", "#ff8fb1", "bright_magenta"),
    ("code.type", "#6fd8e0", "cyan"),
    ("code.string", "#a8d98f", "green"),
    ("code.number", "#f0b884", "yellow"),
    ("code.name", "#8cc8ff", "cyan"),
    ("code.builtin", "#6fd8e0", "cyan"),
    ("code.operator", "#c3ccd7", ""),
    ("code.tag", "#ff8fb1", "bright_magenta"),
    ("code.attribute", "#f0d08a", "yellow"),
    ("code.inserted", "#8fd694", "green"),
    ("code.deleted", "#ff9187", "bright_red"),
    ("code.heading", "bold #8cc8ff", "bold cyan"),
    ("diff.added", "underline #8fd694", "underline green"),
    ("diff.removed", "strike #ff9187", "strike bright_red"),
    ("code.error", "bold #ff7a70", "bold bright_red"),
    ("error", "#ff7a70", "bright_red"),
    ("found", "bold #f0b884", "bold yellow"),
    *_ON_ANY_BACKGROUND,
)
_LIGHT: Final = (
    ("heading1", "bold #0550ae", "bold blue"),
    ("heading2", "bold #0550ae", "bold blue"),
    ("heading", "bold #33506f", "bold"),
    ("strong", "bold", "bold"),
    ("emphasis", "italic", "italic"),
    ("strike", "strike", "strike"),
    ("code", "#953800", "red"),
    ("link", "underline #005f73", "underline blue"),
    ("address", "#57606a", "dim"),
    ("quote", "#46505c", ""),
    ("quote.bar", "#8a63d2", "magenta"),
    ("rule", "#7b828a", "dim"),
    ("marker", "#0550ae", "blue"),
    ("task", "#116329", "blue"),
    ("border", "#7b828a", "dim"),
    ("table.header", "bold #33506f", "bold"),
    ("label", "#57606a", "dim"),
    ("math", "#6f35c4", "magenta"),
    ("html", "#57606a", "dim"),
    ("reasoning", "italic #57606a", "dim italic"),
    ("image", "#6f35c4", "magenta"),
    ("code.comment", "italic #57606a", "dim italic"),
    ("code.keyword", "#af005f", "magenta"),
    ("code.type", "#005f73", "blue"),
    ("code.string", "#116329", "red"),
    ("code.number", "#953800", "red"),
    ("code.name", "#0550ae", "blue"),
    ("code.builtin", "#005f73", "blue"),
    ("code.operator", "#3b444f", ""),
    ("code.tag", "#af005f", "magenta"),
    ("code.attribute", "#7a4a00", "magenta"),
    ("code.inserted", "#116329", "blue"),
    ("code.deleted", "#a81b24", "red"),
    ("code.heading", "bold #0550ae", "bold blue"),
    ("diff.added", "underline #116329", "underline blue"),
    ("diff.removed", "strike #a81b24", "strike red"),
    ("code.error", "bold #a81b24", "bold red"),
    ("error", "#a81b24", "red"),
    ("found", "bold #953800", "bold red"),
    *_ON_ANY_BACKGROUND,
)
PALETTES: Final[Mapping[Background, tuple[tuple[Role, str, str], ...]]] = MappingProxyType(
    {"dark": _DARK, "light": _LIGHT}
)
