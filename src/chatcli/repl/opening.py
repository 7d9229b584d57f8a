"""Opening and leaving a conversation, with any frontend."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.app.run_context import is_model_set_up
from chatcli.app.wiring import open_session
from chatcli.attachments.attached import shell_word
from chatcli.attachments.encodings import NO_HINTS
from chatcli.repl.between_turns import PATIENCE_S
from chatcli.repl.model_connection import Connection
from chatcli.repl.pickable_sessions import pickable_sessions
from chatcli.repl.repl_session import ReplSession
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.attachments.encodings import EncodingHints
    from chatcli.config.settings import Settings
    from chatcli.render.theme_in_force import ThemeInForce
    from chatcli.repl.frontend import Frontend

_LONG_PATIENCE_S: Final = 60.0
"""How long a question waits for a summary if none is made while the person types."""


def open_repl(
    frontend: Frontend,
    *,
    settings: Settings,
    options: ChatOptions,
    context: RunContext,
    theme: ThemeInForce,
    reload_settings: Callable[[Mapping[str, object]], Settings],
    verbose: bool,
    encoding_hints: EncodingHints = NO_HINTS,
) -> ReplSession:
    """Return the conversation of ``options`` on ``frontend``; no model is connected to it yet.

    ``reload_settings`` resolves the settings again, with changes that override every other source.
    ``encoding_hints`` help decode files that are not UTF-8. Raise a ``ChatcliError`` if the session cannot be
    opened.
    """
    options = replace(options, offers_similar=True, may_have_schema=True)
    works_while_typing = frontend.idle_s() < math.inf
    repl = ReplSession(
        frontend,
        open_session(settings, options, context),
        settings=settings,
        options=options,
        context=context,
        connection=Connection(
            options,
            context,
            frontend.notify,
            idle_s=frontend.idle_s,
            draws=frontend.draws,
            opened=frontend.refresh,
            counting=lambda: repl.between_turns.prefill(repl.chat),
            approve=(lambda question: repl.approves(question)) if frontend.can_ask else None,  # noqa: PLW0108 - made here
        ),
        theme=theme,
        run_command=_run_command,
        reload_settings=reload_settings,
        verbose=verbose,
        encoding_hints=encoding_hints,
        patience_s=PATIENCE_S if works_while_typing else _LONG_PATIENCE_S,
    )
    return repl


async def choose_session(repl: ReplSession, *, everywhere: bool) -> bool:
    """Let the person choose the session to resume before anything else; return whether they did."""
    with pickable_sessions(repl.context, repl.chat) as pickable:
        chosen = await repl.frontend.choose_session(pickable, everywhere=everywhere)
    if chosen is None:
        return False
    options = replace(repl.options, session=chosen)
    fresh, repl.chat = repl.chat, open_session(repl.settings, options, repl.context)
    fresh.close()
    return True


async def _run_command(repl: ReplSession, name: str, argument: str) -> None:
    # Imported with the first command: the prompt needs none.
    from chatcli.repl.commands import run_command  # noqa: PLC0415

    await run_command(repl, name, argument)


async def onboard_first_run(repl: ReplSession) -> None:
    """Let the person set up a model if there is none; leave if they end the input instead."""
    if is_model_set_up(repl.settings, repl.options, repl.context):
        return
    from chatcli.repl.onboarding import NO_MODEL_YET, onboard  # noqa: PLC0415 - needed once in a lifetime

    repl.frontend.say(NO_MODEL_YET)
    if not await onboard(repl) and repl.frontend.was_left:
        repl.is_leaving = True


def farewell(repl: ReplSession) -> str:
    """Return the farewell: how to resume the conversation, if it is saved."""
    chat, words = repl.chat, repl.frontend.words
    is_kept = chat.opened.file is not None and chat.opened.file.path.exists()
    return (
        words.resume.format(sanitize_line(shell_word(chat.opened.name or ""))) if is_kept else words.farewell
    )
