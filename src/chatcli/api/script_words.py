"""What the program says about its flags and commands, in the words of a script."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.config.settings import SETTINGS
from chatcli.core.events import Notice, TurnFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import Event

    Redact: TypeAlias = Callable[[str], str]

_OPTIONS: Final = frozenset(
    {"model", "base_url", "system", "temperature", "top_p", "max_tokens", "seed", "reasoning", "cache"}
)
"""The settings that are arguments of their own."""
_BY_FLAG: Final[Mapping[str, str]] = {
    setting.flag: f"{setting.name}=" if setting.name in _OPTIONS else f'settings={{"{setting.name}": …}}'
    for setting in SETTINGS
    if setting.flag is not None
} | {
    "--resume": "resume=True",
    "--retry-failed": "retry_failed=True",
    "--out": "out=",
    "--prompt": "template=",
    "--schema": "schema=",
}
_COMMANDS: Final = "clear|drop|edit|keys|model|note|pin|retry|undo|unpin"
_PHRASES: Final = (
    (r"(?m)^.*\bconfig login\b.*", "pass api_key=, or set OPENAI_API_KEY"),
    (r" \((?:/continue|others: [^)]* --help)\)", ""),
    # A budget that is used up refuses the same question.
    (r"(changes the limit); /continue\b.*", r"\1; partial is what had arrived"),
    (r"(?m)^.*/continue\b.*", "ask again; partial is what had arrived"),
    (r"\[budget\] (\w+) in config\.toml", r'settings={"budget": {"\1": …}}'),
    (r"(?:set )?\[prices\.\"([^\"]+)\"\] in config\.toml", r'settings={"prices": {"\1": …}}'),
    (r"take the budget out of config\.toml", 'leave out settings={"budget": …}'),
    (r"-O (\w+)", r'settings={"options": {"\1": …}}'),
    (r"--var (\w+)=VALUE", r'variables={"\1": …}'),
    (r"attach what is to be read: -f PATH", "pass what is to be read as the prompt"),
    (r"/retry asks\b[^;,]*", "ask again"),
    (r"--retry-failed asks again", "ask again"),
    (
        r"--resume continues it, --force starts over, or name another --out",
        "resume=True continues it; or pass another out=, or delete the file to start over",
    ),
    (r"--via provider --resume takes\b", 'via="provider" and resume=True take'),
    (r"--force forgets them\b[^;,]*", "delete the .batch.json beside it to send them again"),
    (r"name the same input, and ask with\b", "pass the same rows, and ask with"),
    (r"name the same input, ", "pass the same rows, "),
    (r"--prompt, -S and --schema", "template=, system= and schema="),
    (r"(?:name )?another --out", "pass another out="),
    (r"--force (?:starts over|writes a new file)\b[^;,]*", "delete the file to start over"),
    (r"run again with --debug and report this", "report this"),
    (r"-m or /model changes it", "model= changes it"),
    (r"forget what was said \(/clear\)", "open another conversation"),
    (r"/context lists the turns; /drop N leaves one out", "open another conversation"),
    (r"/save NAME saves it elsewhere", "pass another session="),
    (r"(?:use )?another -s (?:name or path|path|name)", "pass another session="),
    (r", or --no-save\b", ""),
    (r"--continue will not find this one; resume it with -s .*", "pass this session= again"),
    (r"--insecure-http\b", "insecure_http=True"),
    (r"\bcommand /config\b", "settings"),
    (r"\bcommand /(\w+)", r"\1"),
    (r"--(context|long|api) ([\w-]+)", r'settings={"\1": "\2"}'),
    (r"\btext in the terminal's encoding\b", "valid Unicode"),
    (r" \(-m\)", ""),
    (r"\(-m, ", "(model=, "),
    # What only a conversation in the terminal can do is left out.
    (rf"(?:; |, or |, |^)[^;,]*(?<![\w/.:])/(?:{_COMMANDS})\b(?![\w/.])[^;,]*", ""),
)
"""Patterns, and what a script reads in place of what they match; the first ones first. None begins with a repetition that is not
anchored: a message may hold a long text of others."""
_FLAG: Final = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_REPLACED: Final = tuple((re.compile(pattern), words) for pattern, words in _PHRASES)
_JOINTS: Final = "; ,"


def shown(value: object) -> str:
    """Return how Python writes ``value``, shortened, and its type if Python cannot write it."""
    try:
        return f"{value!r:.80}"
    except Exception:  # noqa: BLE001 - a number of too many digits, or whatever a class of the script does
        return f"this {type(value).__name__}"


def for_script(text: str) -> str:
    """Return a message or a hint with arguments of the API in place of flags and commands."""
    for pattern, words in _REPLACED:
        text = pattern.sub(words, text)
    return _FLAG.sub(lambda match: _BY_FLAG.get(match[0], match[0]), text).strip(_JOINTS)


def error_for_script(error: ChatcliError, redact: Redact) -> ChatcliError:
    """Return the error itself if its words suit a script and hold no key, else a copy in such words."""
    error = error.redacted(redact)
    message, hint = for_script(error.message), for_script(error.hint or "")
    if (message, hint) == (error.message, error.hint or ""):
        return error
    return error.reworded(message, hint=hint)


def event_for_script(event: Event, redact: Redact) -> Event:
    """Return the event with its message in the words of a script and without keys; the answer stays as it is."""
    match event:
        case Notice(message=message):
            return replace(event, message=redact(for_script(message)))
        case TurnFailed(result) if result.error is not None:
            return replace(event, result=replace(result, error=error_for_script(result.error, redact)))
        case _:
            return event
