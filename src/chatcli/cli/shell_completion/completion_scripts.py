"""The completion scripts by shell: bash 3.2 and newer (as on macOS), zsh 5 and newer, fish, PowerShell.

The bash and zsh scripts are built from branches of ``case``.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

from chatcli.cli.shell_completion.grammar import (
    ANYTHING,
    FILES,
    FILES_AFTER_AT,
    LOCAL_MODELS,
    MODEL_LISTS,
    MODELS,
    PROFILES,
    SCHEMAS,
    SESSIONS,
    TEMPLATES,
)
from chatcli.cli.shell_completion.powershell_script import powershell_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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

function __chatcli_models
    command chatcli completion --values models 2>/dev/null
end

function __chatcli_model_lists
    set -l before (string replace -r -- '^--[^=]*=' '' (commandline -ct) | string match -r -- '^.*,')
    printf '%s\n' "$before"(__chatcli_models)
end

function __chatcli_templates
    command chatcli completion --values templates 2>/dev/null
    string match -q -- '*/*' (commandline -ct); and __fish_complete_path (commandline -ct)
end

function __chatcli_schemas
    command chatcli completion --values schemas 2>/dev/null
    __fish_complete_path (commandline -ct)
end

function __chatcli_local_models
    command chatcli completion --values local-models 2>/dev/null
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
    MODELS: "-x -a '(__chatcli_models)'",
    MODEL_LISTS: "-x -a '(__chatcli_model_lists)'",
    TEMPLATES: "-x -a '(__chatcli_templates)'",
    SCHEMAS: "-x -a '(__chatcli_schemas)'",
    LOCAL_MODELS: "-x -a '(__chatcli_local_models)'",
}


def fish_script(levels: Sequence[Level]) -> str:
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
            yield from _fish_words(_complete(f"__chatcli_at {_quoted(place)}"), values)


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


def _fish_words(beginning: str, values: Values) -> Iterator[str]:
    for word, description in values.choices:
        yield f"{beginning} -a {_quoted(word)}" + (f" -d {_quoted(description)}" if description else "")
    if not values.choices and values.kind != ANYTHING:
        yield f"{beginning} {_VALUES[values.kind].replace('-x ', '').replace('-r ', '')}"


def _quoted(text: str) -> str:
    """Return ``text`` in single quotes; fish has two escapes inside them."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# Values from the program are compared one by one: compgen -W would expand them, and a file name can contain
# $(...). Words of the line are never evaluated.
_BASH_SCRIPT: Final = r"""# Completion of chatcli in bash: source <(chatcli completion bash)

@LOOKUPS@

_chatcli_take() {
    local IFS=$'\n' value names=''
    [[ $kind == model-lists && $before$current == *,* ]] && names="$before$current" names="${names%,*},"
    while read -r value; do
        value=$names$value
        [[ $value == "$before$current"* ]] || continue
        value=$(printf %q "${value#"$before"}")
        COMPREPLY+=("${value//\\,/,}")
    done
}

_chatcli_reply() {
    local IFS=$'\n'
    case $kind in
    list) COMPREPLY=($(IFS=' ' && compgen -W "$list" -- "$current")) ;;
    files) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
    'files after @')
        if [[ $current == @* ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -P @ -f -- "${current#@}"))
        fi ;;
    models | model-lists) _chatcli_take < <(command chatcli completion --values models 2>/dev/null) ;;
    sessions | profiles | templates | schemas | local-models)
        if [[ $kind != profiles && $current == */* ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$current"))
        else
            _chatcli_take < <(command chatcli completion --values "$kind" 2>/dev/null)
        fi ;;
    esac
}

_chatcli() {
    local current=${COMP_WORDS[COMP_CWORD]} before='' context='' position=0 at=1 value word kind list
    COMPREPLY=()
    # Bash takes --out=FILE for three words.
    [[ $current == '=' ]] && current=''
    while ((at < COMP_CWORD)); do
        word=${COMP_WORDS[at]}
        case $word in
        --) return ;;
        -?*)
            _chatcli_option "$context:$word"
            if [[ -n $kind ]]; then
                value=$((at + 1))
                [[ ${COMP_WORDS[value]} == '=' ]] && ((value < COMP_CWORD)) && value=$((value + 1))
                if [[ $kind == model* ]]; then
                    # It takes a name with a colon for several words too.
                    before=''
                    while ((value < COMP_CWORD)) && [[ ${COMP_WORDS[value + 1]} == : || ${COMP_WORDS[value]} == : ]]; do
                        before+=${COMP_WORDS[value]}
                        value=$((value + 1))
                    done
                    [[ $current == : ]] && before+=: current=''
                fi
                if ((value >= COMP_CWORD)); then
                    _chatcli_reply
                    return
                fi
                at=$value
            fi ;;
        *) ((position == 0)) && _chatcli_enter "$context:$word" || position=$((position + 1)) ;;
        esac
        at=$((at + 1))
    done
    if [[ $current == -* ]]; then
        kind=list list=$(_chatcli_options "$context")
    else
        _chatcli_word "$context:$position"
    fi
    _chatcli_reply
}

complete -F _chatcli chatcli
"""


def bash_script(levels: Sequence[Level]) -> str:
    return _filled(_BASH_SCRIPT, levels, options=_bash_options)


def _bash_options(level: Level) -> str:
    names = " ".join(name for option in level.options for name in option.names)
    return f"echo {quote(names)}"


_ZSH_SCRIPT: Final = r"""#compdef chatcli
# Completion of chatcli in zsh: source <(chatcli completion zsh), or this file as _chatcli in a folder of $fpath

@LOOKUPS@

_chatcli_below() {
    case "$1" in
@BELOW@
    *) return 1 ;;
    esac
}

_chatcli_reply() {
    local -a found
    case $kind in
    list) compadd -- ${=list} ;;
    files) _files ;;
    'files after @') compset -P @ && _files ;;
    sessions | profiles | models | model-lists | templates | schemas | local-models)
        [[ $kind == model-lists ]] && { kind=models; compset -P '*,' }
        if [[ $kind != profiles && $kind != models && $PREFIX == */* ]]; then
            _files
        else
            found=("${(@f)$(command chatcli completion --values $kind 2>/dev/null)}")
            compadd -- "${(@)found:#}"
        fi ;;
    esac
}

_chatcli() {
    local context='' kind list word position=0 at=2
    local -a described
    while ((at < CURRENT)); do
        word=${words[at]}
        case $word in
        --) return 1 ;;
        -?*)
            _chatcli_option "$context:$word"
            if [[ -n $kind ]]; then
                at=$((at + 1))
                if ((at == CURRENT)); then
                    _chatcli_reply
                    return
                fi
            fi ;;
        *) ((position == 0)) && _chatcli_enter "$context:$word" || position=$((position + 1)) ;;
        esac
        at=$((at + 1))
    done
    word=${words[CURRENT]}
    if [[ $word == --*=* ]]; then
        _chatcli_option "$context:${word%%=*}"
        compset -P '*='
        _chatcli_reply
    elif [[ $word == -* ]]; then
        _chatcli_options "$context"
        _describe -o option described
    elif ((position == 0)) && _chatcli_below "$context"; then
        _describe word described
    else
        _chatcli_word "$context:$position"
        _chatcli_reply
    fi
}

if [[ ${funcstack[1]} == _chatcli ]]; then
    _chatcli "$@"
else
    compdef _chatcli chatcli
fi
"""


def zsh_script(levels: Sequence[Level]) -> str:
    below = "\n".join(
        f"    {quote(level.path)}) {_described(level.words[0].choices)} ;;" for level in levels if level.below
    )
    return _filled(_ZSH_SCRIPT.replace("@BELOW@", below), levels, options=_zsh_options)


def _zsh_options(level: Level) -> str:
    return _described((name, option.help) for option in level.options for name in option.names)


def _described(words: Iterable[tuple[str, str]]) -> str:
    shown = (f"{word}:{description}" if description else word for word, description in words)
    return f"described=({' '.join(quote(item) for item in shown)})"


_INDENT: Final = " " * 4
# The lookups bash and zsh share, inserted for ``@LOOKUPS@``.
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


def _filled(script: str, levels: Sequence[Level], *, options: Callable[[Level], str]) -> str:
    """Return ``script`` with its ``@...@`` replaced by branches; ``options`` formats a level's options.

    Each branch begins with the path, a colon, and the option: ``sessions export:--out``.
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
            if is_last and level.repeats_last:
                yield f"{quote(f'{level.path}:')}*) {_assignment(values)} ;;"
            else:
                yield f"{quote(f'{level.path}:{position}')}) {_assignment(values)} ;;"


def _assignment(values: Values) -> str:
    if values.choices:
        return f"kind=list list={quote(' '.join(word for word, _ in values.choices))}"
    return f"kind={quote(values.kind)}"


SCRIPTS: Final[Mapping[str, Callable[[Sequence[Level]], str]]] = {
    "bash": bash_script,
    "zsh": zsh_script,
    "fish": fish_script,
    "powershell": powershell_script,
}
