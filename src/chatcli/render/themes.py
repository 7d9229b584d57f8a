"""How each part of an answer looks: two palettes, for dark and for light backgrounds.

Where there are 256 colours or more, the palettes choose their own; the contrast of each against the usual
backgrounds is held by the tests. Of the sixteen colours, whose look is up to the terminal, they use only those that
stand out from such a background nearly everywhere: no blue on dark, no yellow, green or cyan for text on light, and no
bright black, which Solarized makes the background.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Role: TypeAlias = str
ColorSystem: TypeAlias = Literal["standard", "256", "truecolor"]
Background: TypeAlias = Literal["dark", "light"]

_RESET: Final = "\x1b[0m"

# Select Graphic Rendition, ECMA-48 8.3.117.
_ATTRIBUTES: Final = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "strike": "9"}


@dataclass(frozen=True, slots=True)
class Theme:
    """What each role looks like on one kind of terminal.

    ``codes`` are SGR parameters, such as ``1;38;5;110``, by role; a role that is missing or empty has none.
    ``links`` says whether other escape sequences, such as OSC 8, may be written at all.
    """

    name: str
    codes: Mapping[Role, str]
    links: bool

    def paint(self, text: str, *roles: Role) -> str:
        """Return ``text`` in the styles of all ``roles``, the later over the earlier, and reset behind it."""
        codes = ";".join(filter(None, (self.codes.get(role) for role in roles)))
        return f"\x1b[{codes}m{text}{_RESET}" if codes and text else text


@functools.cache
def theme(name: Background, color_system: ColorSystem | None, *, links: bool = True) -> Theme:
    """Return the theme for a background; ``color_system=None`` uses no escape sequence at all.

    ``links``: whether the terminal reads the commands that make links.
    """
    if color_system is None:
        return Theme(name, MappingProxyType({}), links=False)
    styles = {role: (chosen if color_system != "standard" else few) for role, chosen, few in PALETTES[name]}
    codes = {role: _sgr(style, color_system) for role, style in styles.items()}
    return Theme(name, MappingProxyType(codes), links=links)


def _sgr(style: str, color_system: ColorSystem) -> str:
    """Return the SGR parameters for attributes and at most one colour, in rich's words for them."""
    # Here, so that nobody who sees no colours pays for it.
    from rich import color  # noqa: PLC0415

    systems = {
        "standard": color.ColorSystem.STANDARD,
        "256": color.ColorSystem.EIGHT_BIT,
        "truecolor": color.ColorSystem.TRUECOLOR,
    }
    codes: list[str] = []
    for word in style.split():
        if word in _ATTRIBUTES:
            codes.append(_ATTRIBUTES[word])
        else:
            codes += color.Color.parse(word).downgrade(systems[color_system]).get_ansi_codes()
    return ";".join(codes)


# A role, its style where a colour can be chosen, and its style with the terminal's own sixteen colours.
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
    ("code.error", "bold #ff7a70", "bold bright_red"),
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
    ("code.error", "bold #a81b24", "bold red"),
)
PALETTES: Final[Mapping[Background, tuple[tuple[Role, str, str], ...]]] = MappingProxyType(
    {"dark": _DARK, "light": _LIGHT}
)
