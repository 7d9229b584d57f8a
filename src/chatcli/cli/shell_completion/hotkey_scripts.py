"""The scripts that bind a key of a shell: the line being typed becomes a question, and the answer takes its place.

The line is given to ``chatcli completion --hotkey SHELL --line=LINE``. Keys pressed meanwhile are discarded, so that no
early Enter runs a command nobody has read.
"""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING, Final

from chatcli.config.key_bindings import key_sequence, shown_keys
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_KEY: Final = "alt-e"
_SEQUENCES: Final[Mapping[str, str]] = {
    **{f"f{number}": f"\x1bO{letter}" for number, letter in enumerate("PQRS", start=1)},
    **{
        f"f{number}": f"\x1b[{code}~"
        for number, code in zip(range(5, 13), (15, 17, 18, 19, 20, 21, 23, 24), strict=True)
    },
}
"""What terminals send for the function keys."""
_NEEDED: Final = frozenset({"ctrl-c", "ctrl-d", "ctrl-j", "ctrl-q", "ctrl-s", "ctrl-z"})
"""First keys without which a shell can hardly be used, and those a terminal keeps for itself."""
_BEGINS_SEQUENCES: Final = frozenset("[O")
_STROKE: Final = re.compile(r"(?P<modifiers>(?:ctrl-|alt-|shift-)*)(?P<key>[!-~])")

# A trap keeps bash from leaving the prompt, and with it the line, on Ctrl-C.
_BASH: Final = r"""# @SHOWN@ in bash turns the line being typed into a command: eval "$(chatcli completion --hotkey bash)"

_chatcli_hotkey() {
    [[ $READLINE_LINE == *[![:space:]]* ]] || return 0
    local answer interrupt
    interrupt=$(trap -p INT)
    trap : INT
    answer=$(command chatcli completion --hotkey bash --line="$READLINE_LINE" </dev/null) || answer=''
    trap - INT
    eval "$interrupt"
    while read -rs -d '' -n 1 -t 0.001; do :; done </dev/tty
    [[ -n $answer ]] || return 0
    READLINE_LINE=$answer
    READLINE_POINT=2147483647
}

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 403)); then
    echo 'chatcli: the hotkey needs bash 4.3 or newer' >&2
elif [[ $- == *i* ]]; then
    bind -x @KEYS@
fi
"""
# Keys would be echoed meanwhile, into the line that shows the wait. zsh sets the terminal anew when it draws its prompt.
# Ctrl-C is for the program alone: zsh would draw its prompt while the program still clears its line.
_ZSH: Final = r"""# @SHOWN@ in zsh turns the line being typed into a command: eval "$(chatcli completion --hotkey zsh)"

_chatcli_hotkey() {
    emulate -L zsh
    setopt local_traps
    [[ $BUFFER == *[^[:space:]]* ]] || return 0
    local answer key
    zle -I
    trap '' INT
    command stty -echo </dev/tty 2>/dev/null
    answer=$(trap - INT; exec chatcli completion --hotkey zsh --line="$BUFFER" </dev/null) || answer=''
    while read -s -t 0 -k 1 key; do :; done
    [[ -n $answer ]] || return 0
    BUFFER=$answer
    CURSOR=$#BUFFER
}

if [[ -o zle ]]; then
    zle -N _chatcli_hotkey
    bindkey @KEYS@ _chatcli_hotkey
fi
"""
# In a pipeline, unlike in (...), the program is a job of its own: Ctrl-C is not for fish as well.
_FISH: Final = r"""# @SHOWN@ in fish turns the line being typed into a command: chatcli completion --hotkey fish | source

function __chatcli_hotkey
    set -l typed (commandline | string collect)
    string match -qr '\S' -- $typed; or return
    echo
    command chatcli completion --hotkey fish --line=$typed </dev/null | read -lz answer
    set answer (string collect -- $answer)
    command dd if=/dev/tty of=/dev/null iflag=nonblock 2>/dev/null
    test -n "$answer"; and commandline -r -- $answer
    commandline -f repaint
end

bind @KEYS@ __chatcli_hotkey
bind -M insert @KEYS@ __chatcli_hotkey
"""


def hotkey_script(shell: str, key: str) -> str:
    """Return the script of a shell for ``key``, in the notation of ``[keys]``. Raise ``UsageError`` if it cannot be bound."""
    try:
        keys = key_sequence(key)
        sent = "".join(map(_sent, keys.split()))
    except ValueError as error:
        raise UsageError(str(error), hint="use keys like alt-e, ctrl-g, f4 or ctrl-x ctrl-a") from error
    if keys.split()[0] in _NEEDED:
        raise UsageError(f"{shown_keys(keys)} is needed in a shell", hint="use keys like alt-e or ctrl-g")
    script, notation = HOTKEY_SCRIPTS[shell]
    return script.replace("@SHOWN@", shown_keys(keys)).replace("@KEYS@", notation(sent))


def _sent(stroke: str) -> str:
    """Return the characters a terminal sends for a key. Raise ``ValueError`` if a shell cannot rely on them."""
    if stroke in _SEQUENCES:
        return _SEQUENCES[stroke]
    if match := _STROKE.fullmatch(stroke):
        key = match["key"]
        match match["modifiers"]:
            case "":
                return key
            case "ctrl-" if key.isalpha():
                return chr(ord(key) & 0x1F)
            case "alt-" if key not in _BEGINS_SEQUENCES:
                return f"\x1b{key}"
            case "alt-shift-" if key.upper() not in _BEGINS_SEQUENCES:
                return f"\x1b{key.upper()}"
    raise ValueError(f"{shown_keys(stroke)} cannot be the key of a shell")


def _in_bash(sent: str) -> str:
    sequence = _escaped(sent, control="\\C-{}", special='"\\')
    return quote(f'"{sequence}": _chatcli_hotkey')


def _in_zsh(sent: str) -> str:
    return quote(_escaped(sent, control="^{}", special="\\^"))


def _in_fish(sent: str) -> str:
    special = "".join(chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum())
    return _escaped(sent, control="\\c{}", special=special)


def _escaped(sent: str, *, control: str, special: str) -> str:
    """Return the characters in a shell's notation; ``special`` ones need a backslash."""
    return "".join(
        "\\e"
        if each == "\x1b"
        else control.format(chr(ord(each) | 0x60))
        if each < " "
        else f"\\{each}"
        if each in special
        else each
        for each in sent
    )


HOTKEY_SCRIPTS: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = {
    "bash": (_BASH, _in_bash),
    "zsh": (_ZSH, _in_zsh),
    "fish": (_FISH, _in_fish),
}
"""The script of each shell, and its notation of keys."""
