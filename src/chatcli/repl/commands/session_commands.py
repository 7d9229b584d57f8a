"""Slash commands for whole conversations: start, open, name, save, copy, clear."""

from __future__ import annotations

import re
from asyncio import CancelledError
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.app.wiring import open_session
from chatcli.conversation.history import History
from chatcli.core import messages
from chatcli.core.errors import BadResponse, LocalIOError, UsageError
from chatcli.core.events import TextDelta, TextReclassified, TurnFailed
from chatcli.core.typed_paths import typed_path
from chatcli.render.text_columns import labelled, sentences
from chatcli.repl.commands.answer_commands import code_block
from chatcli.repl.commands.command import NO_QUESTION_YET, Choice, Command, has_question
from chatcli.repl.pickable_sessions import pickable_sessions
from chatcli.sessions.titles import TITLE_PROMPT, is_enough, question_for_title, title_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from chatcli.repl.repl_session import ReplSession
    from chatcli.sessions.store import SessionSummary


_AUTO: Final = "auto"
_WHOLE: Final = "/save NAME saves the whole conversation"
_BLOCK: Final = re.compile(r"(?P<number>\d+)\s+(?P<path>\S.*)", re.DOTALL)


async def _new(repl: ReplSession, _: str) -> None:
    before = repl.chat
    options = replace(repl.options, session=None, resume_last=False)
    await repl.turn_to(open_session(repl.settings, options, repl.context))
    is_kept = before.opened.name and before.session.questions
    kept = f"; /session {before.opened.name} goes back" if is_kept else ""
    repl.frontend.remark(f"new conversation{kept}")


async def _sessions(repl: ReplSession, argument: str) -> None:
    with pickable_sessions(repl.context, repl.chat) as pickable:
        chosen = await repl.frontend.choose_session(pickable, words=argument)
    if chosen is not None:
        await _open(repl, chosen)
    repl.is_unsent = chosen is None


async def _open(repl: ReplSession, name_or_path: str) -> None:
    """Switch to another session, or begin one; raise a ``ChatcliError`` if that fails."""
    if (
        repl.chat.opened.file is not None
        and repl.chat.opened.store.resolve(name_or_path).path == repl.chat.opened.file.path
    ):
        repl.frontend.remark(f"{repl.chat.opened.file.name} is already open")
        return
    is_new = not repl.chat.opened.store.resolve(name_or_path).path.exists()
    options = replace(repl.options, session=name_or_path, resume_last=False)
    await repl.turn_to(open_session(repl.settings, options, repl.context))
    if is_new:
        repl.frontend.remark(f"new conversation: {repl.chat.opened.name or name_or_path}")


async def _session(repl: ReplSession, argument: str) -> None:
    if argument:
        await _open(repl, argument)
        return
    chat = repl.chat
    rows = [
        ("name", chat.opened.name or "not saved (--no-save); /save NAME saves it"),
        ("title", chat.opened.title),
        ("turns", str(len(chat.session.questions))),
        ("file", str(chat.opened.file.path) if chat.opened.file else ""),
    ]
    there = [row for row in rows if row[1]]
    is_spoken = repl.settings.plain
    columns = repl.frontend.columns()
    repl.frontend.say(sentences(there) if is_spoken else labelled(there, columns, whole=("name", "file")))


async def _other_sessions(repl: ReplSession) -> Iterable[Choice]:
    with pickable_sessions(repl.context, repl.chat) as pickable:

        def there_are() -> Sequence[SessionSummary]:
            pickable.refresh()
            return pickable.listing("", is_here=False).sessions

        summaries = await in_thread(there_are)
        return [
            Choice(summary.name, summary.title) for summary in summaries if summary.name != pickable.current
        ]


async def _title(repl: ReplSession, argument: str) -> None:
    if argument:
        repl.chat.opened.set_title(await _generated_title(repl) if argument == _AUTO else argument)
    title = repl.chat.opened.title
    repl.frontend.remark(f"title: {title}" if title else "no title yet; your first question will be used")


async def _generated_title(repl: ReplSession) -> str:
    """Ask the model for a title. Raise a ``ChatcliError`` if there is none."""
    if not has_question(repl):
        raise UsageError(f"/title auto: {NO_QUESTION_YET}", hint="/title TEXT sets one")
    chat = await repl.connected()
    repl.frontend.doing("asking for a title")
    question, history, text = question_for_title(chat.session), History(), ""
    history.system = messages.system(TITLE_PROMPT)
    try:
        async with aclosing(chat.turns.aside(question, history=history)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, TextReclassified):
                    text = text.removesuffix(event.text)
                elif isinstance(event, TurnFailed) and event.result.error is not None:
                    raise event.result.error
                # No token limit: a reasoning model would spend it on reasoning. Hanging up costs nothing.
                if is_enough(text):
                    break
    except CancelledError:
        repl.frontend.remark("stopped; the title is unchanged")
        raise
    if not (title := title_in(text)):
        raise BadResponse(
            "the model sent no title; it is unchanged",
            hint="/title TEXT sets one",
            code="no_title",
        )
    return title


async def _titles(repl: ReplSession) -> Iterable[Choice]:
    now = [Choice(repl.chat.opened.title, "the current one")] if repl.chat.opened.title else []
    return [Choice(_AUTO, "let the model find one"), *now]


async def _save(repl: ReplSession, argument: str) -> None:
    if block := _BLOCK.fullmatch(argument):
        await _save_block(repl, int(block["number"]), block["path"])
        return
    chat = repl.chat
    if argument.isdecimal():
        code_block(repl, int(argument), otherwise=_WHOLE)
        raise UsageError(
            f"/save {argument} needs a path", hint=f"/save {argument} PATH writes code block {argument}"
        )
    if argument:
        chat.opened.save_as(chat.opened.store.resolve(argument))
        repl.frontend.remark(f"saved as {chat.opened.name}; continuing there")
    elif chat.opened.file is None or chat.opened.name is None:
        chat.opened.save_as(chat.opened.store.new())
        repl.frontend.remark(f"saving from now on, as {chat.opened.name}")
    else:
        repl.frontend.remark(f"already saved in {chat.opened.file.path}; /save NAME makes a copy")


async def _save_block(repl: ReplSession, number: int, named: str) -> None:
    code = code_block(repl, number, otherwise=_WHOLE)
    try:
        path = typed_path(named)
        if _file_exists(path) and not await repl.frontend.confirm(f"{path} already exists. Overwrite?"):
            repl.frontend.remark("nothing was written")
            repl.is_unsent = True
            return
        _write_code(path, code)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LocalIOError(
            f"cannot write {named}: {reason}",
            hint="give another path, or create its folder",
            code="not_written",
        ) from error
    repl.frontend.remark(f"code block {number} saved to {path}")


def _file_exists(path: Path) -> bool:
    """Return whether the file exists. Raise ``OSError`` if it is not a regular one: a pipe would block."""
    if path.exists() and not path.is_file():
        raise OSError(None, "it is not a regular file")
    return path.exists()


def _write_code(path: Path, code: str) -> None:
    path.write_text(code, encoding="utf-8", errors="replace", newline="\n")


async def _fork(repl: ReplSession, argument: str) -> None:
    chat = repl.chat
    before = chat.opened.name
    chat.opened.fork(chat.opened.store.resolve(argument) if argument else None)
    stays = f", a copy; {before} is unchanged" if before else ""
    repl.frontend.remark(f"now in {chat.opened.name}{stays}")


async def _clear(repl: ReplSession, _: str) -> None:
    repl.chat.memory.clear()
    notes = ", the system prompt and the notes stay" if repl.chat.memory.notes else ""
    repl.frontend.remark(f"cleared: the model no longer sees earlier turns{notes}; /undo restores them")


COMMANDS: Final = (
    Command("new", "start a new conversation", _new),
    Command(
        "sessions",
        "pick or search conversations",
        _sessions,
        "[WORDS]",
        aliases=("resume",),
    ),
    Command(
        "session", "show this session, or open or start another", _session, "[NAME|PATH]", _other_sessions
    ),
    Command("title", "show or set the title, or let the model find one", _title, "[TEXT|auto]", _titles),
    Command(
        "save",
        "save the conversation under another name, or code block N to a file",
        _save,
        "[NAME|PATH|N PATH]",
    ),
    Command(
        "fork",
        "continue in a copy; this conversation is unchanged",
        _fork,
        "[NAME|PATH]",
        applies=has_question,
        when=NO_QUESTION_YET,
    ),
    Command(
        "clear",
        "start afresh: hide earlier turns from the model",
        _clear,
        applies=has_question,
        when=NO_QUESTION_YET,
    ),
)
