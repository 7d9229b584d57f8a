"""A conversation: its session and the model that is asked, kept together."""

from chatcli.chat.chat import Chat
from chatcli.chat.session_history import history_of

__all__ = ["Chat", "history_of"]
