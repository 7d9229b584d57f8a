"""``/session``: which conversation this is, or another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chatcli.app.wiring import open_session
from chatcli.render.text_columns import labelled, sentences
from chatcli.repl.commands.command import Choice, Command
from chatcli.repl.pickable_sessions import pickable_sessions
from chatcli.repl.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatcli.repl.talk import Talk
    from chatcli.sessions.store import SessionSummary


async def go_on_with(talk: Talk, name_or_path: str) -> None:
    """Turn to another session, or begin one; raise a ``ChatcliError`` where that cannot be."""
    if (
        talk.chat.opened.file is not None
        and talk.chat.opened.store.resolve(name_or_path).path == talk.chat.opened.file.path
    ):
        talk.surface.remark(f"{talk.chat.opened.file.name} is already open")
        return
    is_new = not talk.chat.opened.store.resolve(name_or_path).path.exists()
    wish = replace(talk.wish, session=name_or_path, resume_last=False)
    await talk.turn_to(open_session(talk.settings, wish, talk.world))
    if is_new:
        talk.surface.remark(f"new conversation: {talk.chat.opened.name or name_or_path}")


async def _run(talk: Talk, argument: str) -> None:
    if argument:
        await go_on_with(talk, argument)
        return
    chat = talk.chat
    rows = [
        ("name", chat.opened.name or "not saved (--no-save); /save NAME saves it"),
        ("title", chat.opened.title),
        ("turns", str(len(chat.session.questions))),
        ("file", str(chat.opened.file.path) if chat.opened.file else ""),
    ]
    there = [row for row in rows if row[1]]
    is_spoken = talk.settings.plain
    columns = talk.surface.columns()
    talk.surface.say(sentences(there) if is_spoken else labelled(there, columns, whole=("name", "file")))


async def _choices(talk: Talk) -> Iterable[Choice]:
    with pickable_sessions(talk.world, talk.chat) as pickable:

        def there_are() -> Sequence[SessionSummary]:
            pickable.refresh()
            return pickable.listing("", is_here=False).sessions

        summaries = await in_thread(there_are)
        return [
            Choice(summary.name, summary.title) for summary in summaries if summary.name != pickable.current
        ]


COMMAND = Command("session", "show this session, or open or start another", _run, "[NAME|PATH]", _choices)
