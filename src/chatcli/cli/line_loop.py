"""Talking line by line, on any terminal: a prompt, a question, an answer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from chatcli.app import open_chat
from chatcli.cli.ask import wish_of
from chatcli.cli.encodings import decode
from chatcli.cli.outputs import answer_output, status_output, waiting_output
from chatcli.cli.signals import until_signalled
from chatcli.conversation.play import play
from chatcli.core import messages
from chatcli.core.errors import UsageError
from chatcli.core.exit_codes import ExitCode
from chatcli.safety.terminal import sanitize, sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.chat import Chat
    from chatcli.cli.terminal import Terminal
    from chatcli.config.settings import Settings
    from chatcli.sessions.session import Session
    from chatcli.target import World

PROMPT = "> "
_FAREWELLS = frozenset({"exit", "quit", "/exit", "/quit"})


def line_loop(options: Namespace, settings: Settings, world: World, terminal: Terminal) -> ExitCode:
    """Ask what is typed until the person leaves with Ctrl-D or ``exit``. Ctrl-C stops an answer, never the program."""
    status = status_output(options, terminal)
    wish = replace(wish_of(options), talks=True)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        chat = runner.run(stack.enter_async_context(open_chat(settings, wish, world, status.tell)))
        try:
            terminal.warn(_greeting(chat))
            _show_last_exchange(chat.session, terminal)
            while (line := _read_line(terminal)) is not None:
                if line.strip() and (
                    code := _turn(runner, chat, line, options=options, settings=settings, terminal=terminal)
                ):
                    return code
        finally:
            runner.run(stack.aclose())
    terminal.warn(_farewell(chat))
    return ExitCode.DONE


def _turn(
    runner: asyncio.Runner,
    chat: Chat,
    line: str,
    *,
    options: Namespace,
    settings: Settings,
    terminal: Terminal,
) -> ExitCode:
    """Ask, and return the code of a signal that is to end more than the answer."""

    async def turn() -> ExitCode:
        with answer_output(options, settings, terminal) as answer:
            waiting, status = waiting_output(options, terminal, chat.hurry), status_output(options, terminal)
            await play(chat.send(messages.question(line)), *waiting, answer, status)
        return ExitCode.DONE

    code = ExitCode.INTERRUPTED
    # Ctrl-C in the moment before the turn or after it.
    with suppress(KeyboardInterrupt):
        code = runner.run(until_signalled(turn(), hurry=terminal.hurry))
    terminal.hurry(False)
    if code not in {ExitCode.DONE, ExitCode.INTERRUPTED}:
        return code
    terminal.stdout.write("\n")
    return ExitCode.DONE


def _read_line(terminal: Terminal) -> str | None:
    """Return the next line, ``None`` when the person leaves."""
    while True:
        try:
            terminal.stdout.write(PROMPT)
            content = terminal.stdin.readline() if terminal.stdin else b""
        except KeyboardInterrupt:
            terminal.stdout.write("\n")
            continue
        except OSError:  # the terminal is gone
            return None
        line = _decoded(content, terminal)
        if not content:
            terminal.stdout.write("\n")
        return None if not content or line.strip() in _FAREWELLS else line.rstrip("\r\n")


def _decoded(content: bytes, terminal: Terminal) -> str:
    try:
        return decode(content, "the line", locale_encoding=terminal.locale_encoding).text
    except UsageError:
        return content.decode("utf-8", "replace")


def _greeting(chat: Chat) -> str:
    return f"{sanitize_line(chat.model_name)} · Ctrl-C stops an answer, Ctrl-D leaves"


def _farewell(chat: Chat) -> str:
    name = chat.manager.session_name
    return f"resume with: chatcli -s {sanitize_line(name)}" if name and chat.manager.history.turns else "bye"


def _show_last_exchange(session: Session, terminal: Terminal) -> None:
    path = [record.message for record in session.path() if record.message.role != "system"]
    if not path:
        return
    earlier = sum(message.role == "user" for message in path[:-2])
    if earlier:
        terminal.warn(f"… {earlier} earlier turns")
    for message in path[-2:]:
        mark = PROMPT if message.role == "user" else ""
        terminal.stdout.write(f"{mark}{sanitize(message.text)}\n")
