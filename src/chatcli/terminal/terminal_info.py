"""What the REPL is started with: its terminal, and the conversation to open on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from chatcli.core.frozen import frozen
from chatcli.text.sanitizer import takes_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.attachments.encodings import EncodingHints
    from chatcli.config.settings import Settings
    from chatcli.render.themes import Background, ColorSystem


@frozen
class TerminalInfo:
    """The properties of the REPL's terminal; ``term`` is its type, ``color_system`` its colours.

    ``background`` is the background if already known; ``answers_queries`` says whether it can be queried.
    ``is_remote`` means the other end of an SSH connection. ``encoding_hints`` returns what helps to decode files
    that are not UTF-8.
    """

    stdin: TextIO
    stdout: TextIO
    term: str | None
    color_system: ColorSystem | None
    background: Background | None
    answers_queries: bool
    is_remote: bool
    encoding_hints: Callable[[], EncodingHints]

    @property
    def shows_unicode(self) -> bool:
        return (self.stdout.encoding or "").lower().startswith("utf")

    @property
    def takes_commands(self) -> bool:
        """Whether it parses operating system commands (OSC), if only to ignore them."""
        return takes_commands(self.term or "")


@frozen
class Start:
    """How the REPL is started. ``reload_settings`` resolves the settings again, with overriding changes.

    ``loaded`` are files whose lines are run first. ``choosing``: the person chooses a session first, from those of their folder or of ``everywhere``.
    """

    settings: Settings
    options: ChatOptions
    context: RunContext
    terminal: TerminalInfo
    reload_settings: Callable[[Mapping[str, object]], Settings]
    verbose: bool
    quiet: bool
    choosing: bool = False
    everywhere: bool = False
    loaded: tuple[str, ...] = ()
