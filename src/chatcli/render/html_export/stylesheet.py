"""The style sheet of an exported conversation: for light and dark screens, and for print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.render.themes import PALETTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.render.themes import Background, Role

_CODE: Final = "code."
_DECLARATIONS: Final = {
    "bold": "font-weight: bold",
    "italic": "font-style: italic",
    "underline": "text-decoration: underline",
    "strike": "text-decoration: line-through",
}

COLORS: Final = """\
:root { color-scheme: light dark; --text: #1f2328; --faint: #59636e; --page: #ffffff; --box: #f4f6f8; --line: #d1d9e0; \
--link: #0550ae; --you: #0550ae; }
@media screen and (prefers-color-scheme: dark) {
:root { --text: #e6edf3; --faint: #9aa4ae; --page: #0d1117; --box: #161b22; --line: #30363d; --link: #8cc8ff; \
--you: #8cc8ff; }
}
"""
"""The colours of every exported page."""

_LAYOUT: Final = """\
body { max-width: 48rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--text); \
font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1rem; margin: 0; }
h3, h4, h5, h6 { font-size: 1.1rem; line-height: 1.3; margin: 1.2em 0 .4em; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1rem; margin: 0; color: var(--faint); }
dd { margin: 0; }
.turn { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1rem; }
.you h2 { color: var(--you); }
.facts, .attached { color: var(--faint); font-size: .85rem; margin: 0 0 .5rem; }
.words { white-space: pre-wrap; }
a { color: var(--link); }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto; \
line-height: 1.45; white-space: pre-wrap; }
pre.code { white-space: pre; }
pre.formula { background: none; border: none; padding: 0; }
li.task { list-style: none; }
code, pre { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .875rem; }
:not(pre) > code { background: var(--box); border-radius: 4px; padding: .1em .3em; }
blockquote { border-left: 3px solid var(--line); margin-left: 0; padding-left: 1rem; color: var(--faint); }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; }
summary { cursor: pointer; }
"""
_PAPER: Final = """\
@media print {
body { max-width: none; padding: 0; font-size: 10.5pt; }
pre, pre.code { white-space: pre-wrap; overflow: visible; }
pre, blockquote, tr { break-inside: avoid; }
h2, h3, h4, h5, h6, .facts { break-after: avoid; }
a[href^="http"]::after { content: " (" attr(href) ")"; font-size: .85em; }
}
"""


def stylesheet() -> str:
    """Return the style sheet; code has the terminal's colours for light and dark backgrounds."""
    light, dark = (_code_rules(background) for background in ("light", "dark"))
    # Paper is light, whatever the screen is.
    return f"{COLORS}{_LAYOUT}{light}@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n{_PAPER}"


def class_of(role: Role) -> str:
    """Return the class of code in ``role``."""
    return role.replace(".", "-")


def _code_rules(background: Background) -> str:
    return "".join(
        f".{class_of(role)} {{ {'; '.join(_declarations(style))} }}\n"
        for role, style, _ in PALETTES[background]
        if role.startswith(_CODE)
    )


def _declarations(style: str) -> Iterator[str]:
    for word in style.split():
        if word.startswith("#"):
            yield f"color: {word}"
        elif word in _DECLARATIONS:
            yield _DECLARATIONS[word]
