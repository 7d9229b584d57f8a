"""How the screen's own rows look, in the colours of the theme in force."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from prompt_toolkit.styles import Style

from chatcli.render.themes import PALETTES

if TYPE_CHECKING:
    from chatcli.render.themes import Background, ColorSystem

# A class of the screen, the role of the theme it is like, and what is added to that.
_CLASSES: Final = (
    ("prompt", "marker", "bold"),
    ("question", "marker", ""),
    ("activity", "label", ""),
    ("queue", "label", ""),
    ("attached", "label", ""),
    ("paste", "marker", ""),
    ("vi-mode", "marker", ""),
    ("toolbar", "label", ""),
    ("auto-suggestion", "rule", ""),
    ("completion-menu.completion.current", "marker", "bold noreverse bg:default"),
    ("completion-menu.meta.completion", "label", "bg:default"),
    ("completion-menu.meta.completion.current", "marker", "bg:default"),
    ("completion-menu.more", "label", ""),
    ("search-toolbar", "label", ""),
    ("search-toolbar.match", "code", "bold"),
    ("search-toolbar.prompt", "marker", ""),
)
_FIXED: Final = {
    "completion-menu": "noreverse bg:default",
    "completion-menu.completion": "bg:default fg:default",
    "search-toolbar.text": "default",
}
_ATTRIBUTES: Final = frozenset({"bold", "dim", "italic", "underline", "strike"})


@functools.cache
def screen_style(name: Background, color_system: ColorSystem | None) -> Style:
    """Return the style sheet for a background; without colours only what is bold is told apart."""
    roles = {role: few if color_system == "standard" else chosen for role, chosen, few in PALETTES[name]}
    styles = dict(_FIXED)
    for element, role, more in _CLASSES:
        styles[element] = " ".join([*map(_word, roles[role].split()), more]).strip()
    return Style.from_dict(styles)


def _word(word: str) -> str:
    """Return a word of a palette as prompt_toolkit has it: the sixteen colours go by other names there."""
    if word in _ATTRIBUTES or word.startswith("#"):
        return word
    return f"ansi{word.replace('_', '')}"
