"""What a person may have meant by an option there is not."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MEANT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "-a": ("-f",),
        "-i": ("-f",),
        "-j": ("-o json", "--json"),
        "-n": ("--no-save", "--limit"),
        "-u": ("-v",),
        "--api-base": ("--base-url",),
        "--attach": ("-f",),
        "--attachment": ("-f",),
        "--budget": ("--max-cost",),
        "--chat": ("-s",),
        "--cid": ("-s",),
        "--code": ("-x",),
        "--conversation": ("-s",),
        "--endpoint": ("--base-url",),
        "--format": ("-o", "--json"),
        "--host": ("--base-url",),
        "--input": ("-f",),
        "--json": ("-o json", "--json"),
        "--last": ("-c",),
        "--no-history": ("--no-save",),
        "--no-log": ("--no-save",),
        "--option": ("-O",),
        "--output": ("-o", "--json"),
        "--output-file": ("--out",),
        "--param": ("--var",),
        "--private": ("--no-save",),
        "--role": ("-S",),
        "--save": ("-s",),
        "--silent": ("-q",),
        "--stats": ("-v",),
        "--system-prompt": ("-S",),
        "--temp": ("-t",),
        "--token-limit": ("--max-tokens",),
        "--tokens": ("-v",),
        "--url": ("--base-url",),
        "--usage": ("-v",),
        "-o": ("--json",),
    }
)
"""What other programs, such as llm and aichat, call an option; the first that is there is named."""

_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--api-key": "use chatcli config login, or OPENAI_API_KEY",
        "--key": "use chatcli config login, or OPENAI_API_KEY",
        "--list-models": "chatcli models lists them",
        "--list-sessions": "chatcli sessions list lists them",
        "--models": "chatcli models lists them",
    }
)


_NEAR: Final = 0.67
"""What is less alike is another word."""


_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auth": "chatcli config login",
        "chat": "chatcli",
        "configure": "chatcli config login",
        "continue": "chatcli -c",
        "help": "chatcli --help",
        "history": "chatcli sessions list",
        "init": "chatcli config login",
        "keys": "chatcli config login",
        "list": "chatcli sessions list",
        "login": "chatcli config login",
        "logout": "chatcli config logout",
        "ls": "chatcli sessions list",
        "model": "chatcli models",
        "resume": "chatcli --resume",
        "search": "chatcli sessions search",
        "session": "chatcli sessions list",
        "settings": "chatcli config show",
        "setup": "chatcli local setup",
        "template": "chatcli templates list",
        "update": "uv tool upgrade chatcli, or pip install -U chatcli",
        "upgrade": "uv tool upgrade chatcli, or pip install -U chatcli",
        "version": "chatcli --version",
    }
)
"""What other programs have as a command, and here is a question; it may be meant as one."""


def word_hint(word: str) -> str | None:
    """Return what to say of a question that is one bare word; ``None`` where nobody means a command by it."""
    meant = _WORDS.get(word)
    return meant and f'"{word}" is sent as a question; for the command, use {meant}'


def option_hint(option: str, usable: Collection[str]) -> str | None:
    """Return what to do instead: only options of ``usable`` are named, as they do something; ``None`` for nothing near."""
    import difflib  # noqa: PLC0415 -- only a mistake needs it

    if option in _COMMANDS:
        return _COMMANDS[option]
    meant = next((each for each in _MEANT.get(option, ()) if each.split()[0] in usable), None)
    near = [meant] if meant else difflib.get_close_matches(option, usable, n=1, cutoff=_NEAR)
    return f"did you mean {near[0]}?" if near else None
