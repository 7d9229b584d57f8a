"""The branches of ``case`` that the scripts for bash and zsh are made of."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatcli.cli.shell_completion.grammar import Level, Values

_INDENT: Final = " " * 4

# What bash and zsh look up in the same way, in the place of ``@LOOKUPS@``.
_LOOKUPS: Final = r"""_chatcli_enter() {
    case "$1" in
@ENTER@
    *) return 1 ;;
    esac
}

_chatcli_option() {
    kind='' list=''
    case "$1" in
@OPTION@
    esac
}

_chatcli_word() {
    kind='' list=''
    case "$1" in
@WORD@
    esac
}

_chatcli_options() {
    case "$1" in
@OPTIONS@
    esac
}"""


def filled(script: str, levels: Sequence[Level], *, options: Callable[[Level], str]) -> str:
    """Return ``script`` with branches in place of its ``@...@``; ``options`` makes what tells a level's options.

    Each branch begins with where the person is, a colon, and what is looked up: ``sessions export:--out``.
    """
    parts = {
        "@ENTER@": _entering(levels),
        "@OPTION@": _option_values(levels),
        "@WORD@": _words(levels),
        "@OPTIONS@": (f"{quote(level.path)}) {options(level)} ;;" for level in levels),
    }
    script = script.replace("@LOOKUPS@", _LOOKUPS)
    for place, branches in parts.items():
        script = script.replace(place, "\n".join(f"{_INDENT}{branch}" for branch in branches))
    return script


def _entering(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        above, _, word = level.path.rpartition(" ")
        if word:
            yield f"{quote(f'{above}:{word}')}) context={quote(level.path)} ;;"


def _option_values(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        for option in level.options:
            if option.values is not None:
                patterns = " | ".join(quote(f"{level.path}:{name}") for name in option.names)
                yield f"{patterns}) {_assignment(option.values)} ;;"


def _words(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        for position, values in enumerate(level.words):
            is_last = position == len(level.words) - 1
            if is_last and level.goes_on:
                yield f"{quote(f'{level.path}:')}*) {_assignment(values)} ;;"
            else:
                yield f"{quote(f'{level.path}:{position}')}) {_assignment(values)} ;;"


def _assignment(values: Values) -> str:
    if values.choices:
        return f"kind=list list={quote(' '.join(word for word, _ in values.choices))}"
    return f"kind={quote(values.kind)}"
