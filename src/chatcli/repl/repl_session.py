"""A conversation in the REPL: each submission is run as a command or sent as a question."""

from __future__ import annotations

import re
from asyncio import CancelledError
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from chatcli.attachments.encodings import NO_HINTS
from chatcli.config.settings import SETTINGS_BY_NAME
from chatcli.conversation.play import play
from chatcli.core import messages
from chatcli.core.errors import ChatcliError, EndpointError, InputTooLong
from chatcli.repl.between_turns import PATIENCE_S, BetweenTurns
from chatcli.repl.long_choice import settle_length
from chatcli.repl.question_attachments import Attachments, attached_line
from chatcli.repl.recap import recap
from chatcli.repl.suspect_texts import settle_suspects
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.redaction import MARK, without, without_gaps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.attachments.attached import Attachment
    from chatcli.attachments.encodings import EncodingHints
    from chatcli.attachments.web_texts import WebText
    from chatcli.chat import Conversation
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.config.settings import Settings
    from chatcli.core.events import Event, TurnEnd
    from chatcli.core.messages import Message
    from chatcli.render.theme_in_force import ThemeInForce
    from chatcli.repl.frontend import Frontend
    from chatcli.repl.model_connection import Connection
    from chatcli.repl.queue import Submission
    from chatcli.templates.template_store import TemplateStore
    from chatcli.text.key_shapes import Span

FAREWELLS: Final = frozenset({"exit", "quit"})

_NO_MODEL: Final = frozenset({"nothing_configured", "no_key"})
_SET_UP: Final = "/login sets one up; /help lists what works without"
_NOT_FOUND: Final = 404
_HELP_MARKS: Final = frozenset({"?", "\uff1f"})
"""A lone question mark, as typed on Latin and on Chinese or Japanese keyboards."""
# A path is not a command: /etc/hosts has a second slash where a command has a blank.
_COMMAND: Final = lazy_pattern(r"/(?P<name>[^\s/]*)(?:\s+(?P<argument>.*))?", re.DOTALL)
_WAITING: Final = "waiting"
_SHELL_MARK: Final = "!"
_IMAGE_MARK: Final = "!["


class ReplSession:
    """The state commands work on: the frontend, the conversation, the settings and the model connection.

    ``reload_settings`` resolves the settings again, with changes that override every other source.
    ``run_command`` runs a command by name with its argument, and raises a ``ChatcliError`` if it cannot.
    """

    def __init__(
        self,
        frontend: Frontend,
        chat: Conversation,
        *,
        settings: Settings,
        options: ChatOptions,
        context: RunContext,
        connection: Connection,
        theme: ThemeInForce,
        run_command: Callable[[ReplSession, str, str], Awaitable[None]],
        reload_settings: Callable[[Mapping[str, object]], Settings],
        verbose: bool,
        encoding_hints: EncodingHints = NO_HINTS,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.frontend = frontend
        self.between_turns = BetweenTurns(frontend.remark, patience_s=patience_s)
        self.chat: Conversation = chat
        self.settings = settings
        self.options = options
        self.context = context
        self.connection = connection
        self.theme = theme
        self.verbose = verbose
        self.attachments = Attachments(self._read_page, encoding_hints)
        self.is_leaving = False
        self.typed = ""
        """The visible part of the submission in hand: pasted and folded text is not in it."""
        self.failure: ChatcliError | None = None
        """The error of the submission in hand."""
        self.is_unsent = False
        """Whether its question was not sent, or something else in it was declined."""
        self.follow_up: Callable[[], Awaitable[None]] | None = None
        """What is to be done once the submission in hand is."""
        self.loading: list[Path] = []
        """The files whose lines are being submitted, each loaded by the one before."""
        self._is_finished = self.has_cached_answer = False
        """Whether the submission in hand is done with, and whether the last answer came from the cache."""
        self._run_command = run_command
        self._reload_settings = reload_settings
        self._changes: dict[str, object] = {}

    @cached_property
    def templates(self) -> TemplateStore:
        from chatcli.templates.template_store import FOLDER, TemplateStore  # noqa: PLC0415 - many use none

        return TemplateStore(self.context.paths.config / FOLDER)

    @property
    def was_completed(self) -> bool:
        """Whether the last submission did what it says: nothing failed, was stopped or declined."""
        return self._is_finished and self.failure is None and not self.is_unsent

    async def run(self, read: Callable[[], Awaitable[Submission | None]]) -> None:
        """Take submissions from ``read`` until the person leaves or it returns ``None``."""
        while not self.is_leaving and (written := await read()) is not None:
            await self.take(written.text, shown=written.shown)
        await self.between_turns.stop()

    async def take(self, line: str, *, shown: str | None = None) -> None:
        """Process ``line``: leave, run a command, or ask.

        ``shown`` is its visible part, empty for a command sent by a key. Only files and web pages mentioned in it
        are attached: pasted and folded text is data.
        """
        shown = line if shown is None else shown
        self.typed = shown or line
        self.failure, self.is_unsent, self._is_finished = None, False, False
        if line.strip().lower() in FAREWELLS:
            self.is_leaving = True
            return
        if keys := self.context.redactor.keys_in(line):
            is_wanted: list[bool] = []
            await self.frontend.work(self._ask_about_keys(line, keys, is_wanted), "waiting")
            if not any(is_wanted):
                self.frontend.pause()
                return
        if command := split_command(line):
            if shown:
                self.frontend.echo(shown)
            await self.frontend.work(self._obey(*command), "working")
        elif is_meant_for_a_shell(shown):
            self.frontend.echo(shown)
            self.frontend.remark(
                "not sent: a line that begins with ! runs no command here; put a space before it to send it"
            )
        else:
            files = self.attachments.of(shown)
            self.frontend.postpone_drawing()
            self.frontend.echo(shown, attached_line(files))
            if untyped := self.attachments.untyped(shown):
                self.frontend.remark(
                    f"not attached: {', '.join(untyped)} (it stood in a text of others; /file attaches it)"
                )
            await self.frontend.work(self._answer(line, files), _WAITING)
        if shown and not self.is_leaving and self.follow_up is None:
            self.frontend.pause()
        follow_up, self.follow_up = self.follow_up, None
        if follow_up is not None:
            await follow_up()

    async def play(self, events: AsyncGenerator[Event], *, is_aside: bool = False) -> TurnEnd:
        """Show a turn and return how it ended."""
        await self.between_turns.settle()
        observers = self.frontend.observers(verbose=self.verbose)
        end = await play(events if is_aside else self.displayed(events), *observers)
        is_answered = end.result.error is None and bool(end.result.text)
        self.between_turns.begin(self.chat, self._ask_ahead if is_answered else lambda: None)
        self.has_cached_answer = end.result.cached
        self.failure = self.failure or end.result.error
        if is_answered and self.between_turns.ahead is not None:
            self.between_turns.ahead.note_answer(is_cached=end.result.cached)
        if end.result.cached and not self.frontend.draws and not self.verbose:
            # A frontend that draws shows it in its status line.
            self.frontend.remark("from the cache")
        if (error := end.result.error) is not None:
            self.frontend.hold()
        if isinstance(error, EndpointError) and error.status == _NOT_FOUND:
            self.mention_unlisted_model()
        return end

    def displayed(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Return the events of a turn with the JSON of a structured answer laid out."""
        if self.chat.turns.response_format is not None:
            from chatcli.render.structured_answer import laid_out  # noqa: PLC0415 - most answers have no schema

            events = laid_out(events)
        return events

    def mention_unlisted_model(self) -> None:
        """Mention that the endpoint does not list the model in use, if its list is already known."""
        name, endpoint = self.chat.turns.connected.model_name, self.chat.turns.connected.endpoint
        names = self.connection.listed(endpoint.base_url)
        # Ollama completes a name without a tag.
        if not names or {name, f"{name}:latest"} & set(names):
            return
        import difflib  # noqa: PLC0415 - only for a mistyped name

        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        meant = f"; did you mean {near[0]}?" if near else "; /model lists its models"
        self.frontend.remark(f"{endpoint.name} does not list {name}{meant}")

    def complain(self, error: ChatcliError) -> None:
        """Show an error, with a hint that fits a conversation without a model."""
        self.failure = error
        self.frontend.complain(error.reworded(hint=_SET_UP) if error.code in _NO_MODEL else error)

    async def connected(self) -> Conversation:
        """Return the conversation once it is connected. Raise a ``ChatcliError`` if it cannot be."""
        await self.connection.ready(self.chat, self.settings)
        return self.chat

    async def change(self, **changes: object) -> None:
        """Change settings for this run; ``None`` reverts one. A ``ChatcliError`` leaves all unchanged."""
        wanted = {name: value for name, value in {**self._changes, **changes}.items() if value is not None}
        settings = self._reload_settings(wanted)
        if changes and all(SETTINGS_BY_NAME[name].needs_no_reconnect for name in changes):
            self.settings, self._changes = settings, wanted
            return
        await self.between_turns.stop()
        resolved = await self.connection.replace(self.chat, settings)
        self.settings, self._changes = settings, wanted
        if changes.get("model") is not None:
            self.chat.switch(resolved)
        else:
            self.chat.turns.connect(resolved)

    @asynccontextmanager
    async def beside(self, **changes: object) -> AsyncIterator[ResolvedModel]:
        """Resolve a model with changed settings temporarily; the conversation keeps its own."""
        settings = self.settings_with(changes)
        async with self.connection.beside(self.chat, settings) as resolved:
            yield resolved

    def settings_with(self, changes: Mapping[str, object]) -> Settings:
        return self._reload_settings({**self._changes, **changes})

    def forget_changes(self, *names: str) -> None:
        """Forget changes made to these settings in this run."""
        self._changes = {name: value for name, value in self._changes.items() if name not in names}

    def use_embedded(self, wanted: bool) -> None:
        """Make the next connection use the embedded model, or the configured endpoint."""
        self.options = self.connection.options = replace(self.options, embedded=wanted)

    async def reconnect(self) -> None:
        """Read the configuration again and connect accordingly."""
        await self.change()

    async def turn_to(self, chat: Conversation) -> None:
        """Switch to another conversation; close it if it cannot be connected and this one was."""
        await self.between_turns.stop()
        try:
            chat.turns.connect(await self.connection.replace(chat, self.settings))
        except ChatcliError:
            if self.chat.resolved is not None:
                chat.close()
                raise
        except BaseException:
            chat.close()
            raise
        before, self.chat = self.chat, chat
        before.close()
        recap(chat, self.frontend)
        self.resume_schema()

    def resume_schema(self) -> None:
        """Ask for the form of answers that the conversation had, or begins with, if any; those opened later do not get it."""
        begins_with, self.options = self.options.response_format, replace(self.options, response_format=None)
        if begins_with is not None or self.chat.session.schema is not None:
            from chatcli.repl.answer_schema import resume_schema  # noqa: PLC0415 - most have none

            resume_schema(self.chat, self.frontend, begins_with)

    async def ask(
        self,
        compose: Callable[[Sequence[str]], Message],
        files: Sequence[Attachment],
        *,
        draft: str,
    ) -> None:
        """Ask the question that ``compose`` builds from the framed texts of ``files``.

        ``draft`` is what the person wrote; it is offered for editing again if nothing is asked.
        """
        try:
            documents = await self.attachments.read(
                files, self.frontend.remark, say=self.frontend.say, ask=self.frontend.ask
            )
        except ChatcliError as error:
            self.complain(error)
            self.frontend.draft(draft)
            self.frontend.hold()
            return
        except CancelledError:
            self._stop_before_sending(draft)
            raise
        try:
            chat = await self.connected()
        except ChatcliError as error:
            self.complain(error)
            # The hint is a command, so there is nothing to edit.
            self.frontend.hold(draft)
            return
        except CancelledError:
            self._stop_before_sending(draft)
            raise
        frontend, message, named = self.frontend, compose(documents), self.attachments.take()
        was_editing, stood = chat.branches.editing is not None, chat.session.head
        is_unasked = False
        try:
            allowed = await settle_suspects(
                chat,
                chat.turns.whole(message),
                frontend,
                redact=self.context.redactor.redact,
                replaced=chat.branches.editing,
            )
            if allowed is None:
                return
            asked = await settle_length(
                chat, allowed, self.settings, say=frontend.say, ask=frontend.ask, columns=frontend.columns()
            )
            if asked is None:
                return
            end = await self.play(chat.turns.send(asked))
            is_unasked = chat.branches.take_back_unsent(end) or isinstance(end.result.error, InputTooLong)
        finally:
            # A question that was declined, or stopped during reading, is not part of the conversation.
            if is_unasked or (chat.session.head == stood and not was_editing):
                self.attachments.put_back(named)
                self.frontend.draft(draft)
                self.is_unsent = True

    async def _read_page(self, address: str, hints: EncodingHints) -> WebText:
        from chatcli.app.web_reader import read_page  # noqa: PLC0415 - most conversations read no page

        reports: list[str] = []

        def doing(what: str) -> None:
            reports.append(what)
            self.frontend.doing(what)

        page = await read_page(address, self.settings, self.context, hints, doing=doing)
        if reports:
            self.frontend.doing(_WAITING)
        return page

    async def _ask_about_keys(self, line: str, keys: Sequence[Span], is_wanted: list[bool]) -> None:
        """Ask whether a line with ``keys`` is meant; if not, offer the rest of it for editing.

        Until then it is in no file: neither in the input history nor in the session.
        """
        frontend, redactor = self.frontend, self.context.redactor
        for start, end in keys:
            redactor.add_key(without_gaps(line[start:end]))
        what = "Send it anyway?" if split_command(line) is None else "Run it anyway?"
        if await frontend.confirm(f"This looks like a key (/login keeps it). {what}"):
            is_wanted.append(True)
            return
        frontend.remark("dropped; it is not in the input history and not in the session")
        if re.search(r"\w", without(line, keys)):
            frontend.draft(without(line, keys, mark=MARK))

    def _stop_before_sending(self, draft: str) -> None:
        self.frontend.remark("stopped before it was sent")
        self.frontend.draft(draft)

    async def obeys(self, line: str) -> bool:
        """Run ``line`` if it is a command, or leave; return whether it was either."""
        if line.strip().lower() in FAREWELLS:
            self.is_leaving = True
            return True
        command = split_command(line)
        if command is not None:
            self.typed = line
            await self._obey(*command)
        return command is not None

    def _ask_ahead(self) -> None:
        if not self.settings.prefetch:
            return
        if self.between_turns.ahead is None:
            # Nothing of it is imported while it is off.
            from chatcli.repl.asking_ahead import AskingAhead  # noqa: PLC0415

            self.between_turns.ahead = AskingAhead(
                chat=lambda: self.chat,
                settings=lambda: self.settings,
                context=self.context,
                frontend=self.frontend,
                is_question=is_question,
            )
        self.between_turns.ahead.begin()

    async def _answer(self, question: str, files: Sequence[Attachment]) -> None:
        if (ahead := self.between_turns.ahead) is not None:
            ahead.take(question)
        await self.ask(lambda documents: messages.question(question, *documents), files, draft=question)
        if ahead is not None:
            ahead.forget_question()
        self._is_finished = True

    async def approves(self, question: str) -> bool | None:
        """Ask the person about the turn, as whether to exceed the budget; ``None`` if they would rather stop it."""
        if self.between_turns.is_asking:
            return False  # never ask about requests the person did not make
        return await self.frontend.confirm(question)

    async def _obey(self, name: str, argument: str) -> None:
        try:
            await self._run_command(self, name, argument)
        except ChatcliError as error:
            self.complain(error)
            self.frontend.hold()
        if self.between_turns.ahead is not None:
            self.between_turns.ahead.check()
        self.report_file_faults()
        self._is_finished = True

    def report_file_faults(self) -> None:
        notices = self.chat.opened.notices
        while notices:
            self.frontend.remark(notices.pop(0).message)


def split_command(line: str) -> tuple[str, str] | None:
    """Split ``line`` into command name and argument, ``None`` if it is no command. ``?`` is ``/help``."""
    if line.strip() in _HELP_MARKS:
        return "help", ""
    match = _COMMAND.fullmatch(line.strip())
    return (match["name"], (match["argument"] or "").strip()) if match else None


def is_question(line: str) -> bool:
    """Whether a line would be asked: it is no command, not meant for a shell, and does not leave."""
    is_farewell = line.strip().lower() in FAREWELLS
    return not (is_farewell or split_command(line) is not None or is_meant_for_a_shell(line))


def is_meant_for_a_shell(typed: str) -> bool:
    """Whether a line is meant for a shell, as ``!`` is in other programs; ``![`` begins a Markdown image."""
    line = typed.rstrip("\n")
    return line.startswith(_SHELL_MARK) and not line.startswith(_IMAGE_MARK) and "\n" not in line
