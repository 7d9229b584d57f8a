"""The completion script for fish 3 and newer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.cli.shell_completion.grammar import (
    ANYTHING,
    FILES,
    FILES_AFTER_AT,
    PROFILES,
    SESSIONS,
    TEMPLATES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatcli.cli.shell_completion.grammar import Level, Option, Values

_SCRIPT: Final = r"""# Completion of chatcli in fish: ~/.config/fish/completions/chatcli.fish

# Where the person is: the command and its action, a colon, and how many words came behind them.
function __chatcli_place
    set -l context ''
    set -l position 0
    set -l is_value 0
    for word in (commandline -opc)[2..]
        if test $is_value = 1
            set is_value 0
        else if test "$word" = --
            set context --
            break
        else if string match -q -- '-?*' $word
            contains -- "$context:$word" $__chatcli_valued; and set is_value 1
        else if test $position = 0; and contains -- (string trim -- "$context $word") $__chatcli_levels
            set context (string trim -- "$context $word")
        else
            set position (math $position + 1)
        end
    end
    echo "$context:$position"
end

function __chatcli_in
    string match -q -- "$argv[1]:*" (__chatcli_place)
end

function __chatcli_at
    string match -q -- $argv[1] (__chatcli_place)
end

function __chatcli_sessions
    command chatcli completion --values sessions 2>/dev/null
    string match -q -- '*/*' (commandline -ct); and __fish_complete_path (commandline -ct)
end

function __chatcli_profiles
    command chatcli completion --values profiles 2>/dev/null
end

function __chatcli_templates
    command chatcli completion --values templates 2>/dev/null
    string match -q -- '*/*' (commandline -ct); and __fish_complete_path (commandline -ct)
end

function __chatcli_files_after_at
    string match -q -- '@*' (commandline -ct)
    and printf '@%s\n' (__fish_complete_path (string sub -s 2 -- (commandline -ct)))
end

complete -c chatcli -e
complete -c chatcli -f
"""
_VALUES: Final = {
    ANYTHING: "-x",
    FILES: "-r -F",
    FILES_AFTER_AT: "-x -a '(__chatcli_files_after_at)'",
    SESSIONS: "-x -a '(__chatcli_sessions)'",
    PROFILES: "-x -a '(__chatcli_profiles)'",
    TEMPLATES: "-x -a '(__chatcli_templates)'",
}


def script(levels: Sequence[Level]) -> str:
    return _SCRIPT + "\n".join(_lines(levels)) + "\n"


def _lines(levels: Sequence[Level]) -> Iterator[str]:
    valued = [
        f"{level.path}:{name}"
        for level in levels
        for option in level.options
        for name in option.names
        if option.values is not None
    ]
    yield f"set -g __chatcli_levels {' '.join(_quoted(level.path) for level in levels if level.path)}"
    yield f"set -g __chatcli_valued {' '.join(map(_quoted, valued))}"
    for level in levels:
        for option in level.options:
            yield f"{_complete(f'__chatcli_in {_quoted(level.path)}')} {_option(option)}"
        for position, values in enumerate(level.words):
            is_last = position == len(level.words) - 1
            place = f"{level.path}:{'*' if is_last and level.repeats_last else position}"
            yield from _words(_complete(f"__chatcli_at {_quoted(place)}"), values)


def _complete(condition: str) -> str:
    return f"complete -c chatcli -n {_quoted(condition)}"


def _option(option: Option) -> str:
    spellings = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    values = [] if option.values is None else [_values(option.values)]
    return " ".join([*spellings, *values, f"-d {_quoted(option.help)}"])


def _values(values: Values) -> str:
    if values.choices:
        return f"-x -a {_quoted(' '.join(word for word, _ in values.choices))}"
    return _VALUES[values.kind]


def _words(beginning: str, values: Values) -> Iterator[str]:
    for word, description in values.choices:
        yield f"{beginning} -a {_quoted(word)}" + (f" -d {_quoted(description)}" if description else "")
    if not values.choices and values.kind != ANYTHING:
        yield f"{beginning} {_VALUES[values.kind].replace('-x ', '').replace('-r ', '')}"


def _quoted(text: str) -> str:
    """Return ``text`` in single quotes; fish has two escapes inside them."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
