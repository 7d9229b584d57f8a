from __future__ import annotations

import pytest

from chat.conversations import (
    opened,
    target,
)
from chatcli.sessions.store import SessionStore
from conversation.fakes import ScriptedModel


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "data")


@pytest.fixture
def open_chat(store):
    """Open a conversation with a scripted model; return both."""
    chats = []

    def open_with(*scripts, **how):
        chat = opened(store, **how)
        chats.append(chat)
        model = ScriptedModel(*scripts)
        chat.turns.connect(target(model=model))
        return chat, model

    yield open_with
    for chat in chats:
        chat.close()
