"""The script for bash 3.2 and newer: macOS still has that one."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from chatcli.cli.shell_completion.cases import filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.cli.shell_completion.grammar import Level

# Values from the program are compared one by one: compgen -W would expand what stands in them, and a file name can
# hold $(...). Words of the line are never evaluated.
_SCRIPT = r"""# Completion of chatcli in bash: source <(chatcli completion bash)

@LOOKUPS@

_chatcli_take() {
    local IFS=$'\n' value
    while read -r value; do
        [[ $value == "$current"* ]] && COMPREPLY+=("$(printf %q "$value")")
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
    sessions | profiles | templates)
        if [[ $kind != profiles && $current == */* ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$current"))
        else
            _chatcli_take < <(command chatcli completion --values "$kind" 2>/dev/null)
        fi ;;
    esac
}

_chatcli() {
    local current=${COMP_WORDS[COMP_CWORD]} context='' position=0 at=1 value word kind list
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


def script(levels: Sequence[Level]) -> str:
    """Return the script."""
    return filled(_SCRIPT, levels, options=_options)


def _options(level: Level) -> str:
    names = " ".join(name for option in level.options for name in option.names)
    return f"echo {quote(names)}"
