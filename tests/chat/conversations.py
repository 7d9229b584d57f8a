"""Conversations with scripted models, and the check that a resume finds the same state."""

from __future__ import annotations

from contextlib import aclosing

from chatcli.chat import Conversation, history_of
from chatcli.chat.resolved_model import ResolvedModel
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import (
    NetworkError,
    RequestRefused,
)
from chatcli.core.events import (
    Completion,
    TextDelta,
    Usage,
)
from chatcli.core.messages import question
from chatcli.core.request import Parameters
from chatcli.sessions.log import SessionLog
from conversation.fakes import ScriptedModel

ENDPOINT = Endpoint("http://127.0.0.1:1/v1", loopback=True)
EMBEDDED = Endpoint("http://127.0.0.1:1/v1", loopback=True, embedded=True)
BROKEN = (NetworkError("gone"),)
REFUSED = (RequestRefused("host: 400 Bad Request: bad input", status=400),)


def replies(text):
    return (TextDelta(text), Completion("stop", "small", Usage(1, 1)))


def target(*scripts, model=None, name="small", endpoint=ENDPOINT, default_system=None, window_tokens=4096):
    return ResolvedModel(
        model=model or ScriptedModel(*scripts),
        model_name=name,
        window_tokens=window_tokens,
        parameters=Parameters(),
        endpoint=endpoint,
        default_system=default_system,
    )


def opened(store, name="trip", *, kept=True, requested_system=None):
    """Open the conversation ``name`` as it is on disk, without a model."""
    file = store.resolve(name)
    return Conversation(
        SessionLog(file if kept else None, app="x", session=store.load(file)), store, system=requested_system
    )


async def played(events):
    async with aclosing(events):
        return [event async for event in events]


async def ask(chat, *texts):
    for text in texts:
        await played(chat.turns.send(question(text)))


def texts_of(history):
    return [[message.text for message in turn.messages] for turn in history.turns]


def standing(history):
    return (history.system, history.notes, history.turns, history.pinned, history.head)


def assert_a_resume_finds_it(chat):
    """Check that the session file, read anew, equals the running conversation."""
    resumed = history_of(chat.opened.store.load(chat.opened.file))
    assert standing(resumed) == standing(chat.manager.history)
