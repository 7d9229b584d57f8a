"""The command that starts this program, in what is said to the person, as they type it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_USUAL: Final = "chatcli"
_TYPED: Final = lazy_pattern(
    r"(?<![\w./~-])chatcli(?= (?:--?[\w]|\"|(?:alerts|batch|cache|completion|config|doctor|local|logs|models|sessions"
    r"|stats|templates|trust)\b))"
)
"""The name where arguments follow, as in a hint; elsewhere it is that of the program."""


def own_command(environment: Mapping[str, str]) -> str:
    """Return what the person types to start chatcli; ``scripts/chat`` of a checkout passes its own path."""
    typed = sanitize_line(environment.get("_CHATCLI_COMMAND", ""))
    if not typed:
        return _USUAL
    import shlex  # noqa: PLC0415 - only the script of a checkout has a name of its own

    return shlex.quote(typed)


def with_own_command(text: str, environment: Mapping[str, str]) -> str:
    """Return ``text`` with commands such as ``chatcli config login`` as the person types them."""
    command = own_command(environment)
    return text if command == _USUAL else _TYPED.sub(lambda _: command, text)
