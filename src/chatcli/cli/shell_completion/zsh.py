"""The script for zsh 5 and newer."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

from chatcli.cli.shell_completion.cases import filled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatcli.cli.shell_completion.grammar import Level

_SCRIPT: Final = r"""#compdef chatcli
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
    sessions | profiles | templates)
        if [[ $kind != profiles && $PREFIX == */* ]]; then
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


def script(levels: Sequence[Level]) -> str:
    """Return the script."""
    below = "\n".join(
        f"    {quote(level.path)}) {_described(level.words[0].choices)} ;;" for level in levels if level.below
    )
    return filled(_SCRIPT.replace("@BELOW@", below), levels, options=_options)


def _options(level: Level) -> str:
    return _described((name, option.help) for option in level.options for name in option.names)


def _described(words: Iterable[tuple[str, str]]) -> str:
    shown = (f"{word}:{told}" if told else word for word, told in words)
    return f"described=({' '.join(quote(item) for item in shown)})"
