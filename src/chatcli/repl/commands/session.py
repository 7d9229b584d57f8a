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

    from chatcli.repl.repl_session import ReplSession
    from chatcli.sessions.store import SessionSummary


async def go_on_with(repl: ReplSession, name_or_path: str) -> None:
    """Turn to another session, or begin one; raise a ``ChatcliError`` where that cannot be."""
    if (
        repl.chat.opened.file is not None
        and repl.chat.opened.store.resolve(name_or_path).path == repl.chat.opened.file.path
    ):
        repl.frontend.remark(f"{repl.chat.opened.file.name} is already open")
        return
    is_new = not repl.chat.opened.store.resolve(name_or_path).path.exists()
    wish = replace(repl.wish, session=name_or_path, resume_last=False)
    await repl.turn_to(open_session(repl.settings, wish, repl.world))
    if is_new:
        repl.frontend.remark(f"new conversation: {repl.chat.opened.name or name_or_path}")


async def _run(repl: ReplSession, argument: str) -> None:
    if argument:
        await go_on_with(repl, argument)
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


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    with pickable_sessions(repl.world, repl.chat) as pickable:

        def there_are() -> Sequence[SessionSummary]:
            pickable.refresh()
            return pickable.listing("", is_here=False).sessions

        summaries = await in_thread(there_are)
        return [
            Choice(summary.name, summary.title) for summary in summaries if summary.name != pickable.current
        ]


COMMAND = Command("session", "show this session, or open or start another", _run, "[NAME|PATH]", _choices)
