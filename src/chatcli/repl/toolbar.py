"""The toolbar: which model, which session, how full its window is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wcwidth import clip, width

from chatcli.safety.terminal import sanitize_line

if TYPE_CHECKING:
    from chatcli.chat import Chat
    from chatcli.config.settings import Settings

_BETWEEN = " · "


def toolbar(chat: Chat, settings: Settings, columns: int) -> str:
    """Return as many parts as ``columns`` have room for, the most important first."""
    target = chat.target
    model = target.model_name if target else chat.session.model or settings.model or ""
    parts = [model, _window(chat), _session(chat)]
    line = ""
    for part in filter(None, map(sanitize_line, parts)):
        longer = line + _BETWEEN + part if line else clip(part, 0, columns)
        if width(longer) <= columns:
            line = longer
    return line


def _session(chat: Chat) -> str:
    return chat.name or "not kept"


def _window(chat: Chat) -> str:
    if chat.target is None:
        return ""
    usage = chat.manager.context_usage()
    taken = usage.system_tokens + usage.turns_tokens
    about = "~" if usage.estimated else ""
    return f"{about}{_short(taken)}/{_short(usage.window_tokens)} tokens"


def _short(tokens: int) -> str:
    return f"{tokens}" if tokens < 1_000 else f"{tokens / 1_000:.0f}k"  # noqa: PLR2004
