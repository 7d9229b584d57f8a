"""The toolbar: the model, how full its window is, the cost, the session, and what is being edited."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from wcwidth import clip, width

from chatcli.core.frozen import frozen
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatcli.chat import Conversation
    from chatcli.conversation.context import ContextUsage
    from chatcli.render.themes import Role, StyledRow

_BETWEEN: Final = " · "
_BAR_CELLS: Final = 8
_LONGEST_NAME: Final = 24
_NARROW_COLUMNS: Final = 60
_FILLING: Final = 0.7
_FULL: Final = 0.9
_SHORTEST_TITLE: Final = 8
_UNSAVED: Final = "not saved"
_SURELY: Final = 1.3
"""How far an estimate must exceed the room to be sure without counting."""

_LEFT_OUT_LAST: Final = (
    "too long",
    "alert",
    "ahead",
    "cached",
    "spent",
    "to send",
    "web",
    "editing",
    "model",
    "window",
    "title",
)
"""Parts in order of priority, lowest first: without room, the lowest are left out."""


@frozen
class _Part:
    """A part of the toolbar, by its ``name`` in the table of priorities, with its role in the theme.

    ``bar`` is drawn before it, full and empty.
    """

    name: str
    text: str
    role: str = "label"
    bar: tuple[str, str] = ("", "")

    @property
    def columns(self) -> int:
        return width(self.text) + sum(map(len, self.bar))

    def row(self, columns: int) -> StyledRow:
        full, empty = self.bar
        return [(full, self.role), (empty, "rule"), (clip(self.text, 0, columns), self.role)]


def is_too_long(chat: Conversation, draft_tokens: int) -> bool:
    """Whether a question of about this length cannot be sent."""
    return chat.resolved is not None and draft_tokens > _room_tokens(chat.manager.context_usage())


def _room_tokens(usage: ContextUsage) -> int:
    return max(0, usage.budget_tokens - usage.system_tokens)


class Toolbar:
    """A line without its less important parts if they do not fit.

    ``unicode`` says whether the terminal can show more than ASCII.
    """

    def __init__(self, *, unicode: bool) -> None:
        self._unicode = unicode

    def line(
        self,
        chat: Conversation,
        expected_model: str,
        columns: int,
        *,
        draft_tokens: int = 0,
        is_cached: bool = False,
        ahead: str = "",
        alerts: Sequence[str] = (),
    ) -> StyledRow:
        """Return the line.

        ``expected_model`` is shown until a model is connected; ``draft_tokens`` is about the length of the
        draft. ``is_cached``: the last answer came from the cache. ``ahead`` says what is being asked ahead, ``alerts`` what is wrong with the last calls.
        """
        model = chat.resolved.model_name if chat.resolved else expected_model
        parts = [
            _Part("editing", self._editing(chat), "marker"),
            _model(model, columns),
            *self._window(chat, columns, draft_tokens),
            _Part("cached", "cached answer" if is_cached else ""),
            _Part("ahead", ahead),
            _Part("alert", _alert(alerts, columns), "finding.warning"),
            _Part("web", "web search" if chat.resolved and chat.resolved.parameters.web_search else ""),
            _Part("spent", _spent(chat)),
            _Part("to send", _cost_of_next(chat, draft_tokens)),
            _title(chat.opened.title if chat.opened.name else _UNSAVED, columns),
        ]
        return _row(parts, columns)

    def first_line(self, expected_model: str, columns: int, *, is_saved: bool) -> StyledRow:
        """Return the line of a new conversation before it is opened; it is the same afterwards."""
        return _row([_model(expected_model, columns), _title("" if is_saved else _UNSAVED, columns)], columns)

    def _window(self, chat: Conversation, columns: int, draft_tokens: int) -> tuple[_Part, ...]:
        if chat.resolved is None:
            return ()
        usage = chat.manager.context_usage()
        room_tokens = _room_tokens(usage)
        if draft_tokens > room_tokens:
            # Older turns can be left out, the draft cannot.
            surely = draft_tokens > room_tokens * _SURELY
            about = "~" if columns < _NARROW_COLUMNS else "about "
            text = f"too long: {about}{_short(draft_tokens)} tokens, room for {_short(room_tokens)}"
            text = text if surely else f"may be {text}"
            return (_Part("too long", text, "code.error"),)
        taken = usage.system_tokens + usage.turns_tokens + draft_tokens
        share = min(1.0, taken / max(1, usage.budget_tokens))
        role = "code.error" if share >= _FULL else "code.number" if share >= _FILLING else "label"
        about = "~" if usage.estimated or draft_tokens else ""
        numbers = f"{about}{_short(taken)}/{_short(usage.window_tokens)}"
        if columns < _NARROW_COLUMNS:
            return (_Part("window", numbers, role),)
        return (_Part("window", f" {numbers} tokens", role, self._bar(share)),)

    def _bar(self, share: float) -> tuple[str, str]:
        full, half = divmod(round(share * _BAR_CELLS * 2), 2)
        if not self._unicode:
            return "#" * full, "-" * (_BAR_CELLS - full)
        return "━" * full + "╸" * half, "─" * (_BAR_CELLS - full - half)

    def _editing(self, chat: Conversation) -> str:
        edited = chat.branches.editing
        if edited is None:
            return ""
        return f"editing question {chat.branches.number(edited)}"


def _model(name: str, columns: int) -> _Part:
    return _Part("model", _shortened(sanitize_line(name), columns))


def _alert(alerts: Sequence[str], columns: int) -> str:
    if not alerts:
        return ""
    if len(alerts) > 1:
        return f"{len(alerts)} alerts"
    mark = "! " if columns < _NARROW_COLUMNS else "alert: "
    return mark + sanitize_line(alerts[0])


def _title(title: str, columns: int) -> _Part:
    return _Part("title", _shortened(sanitize_line(title), columns))


def _row(parts: Iterable[_Part], columns: int) -> StyledRow:
    row: list[tuple[str, Role]] = []
    for at, part in enumerate(_fitting([part for part in parts if part.text], columns)):
        row += [(_BETWEEN, "rule")] if at else []
        row += part.row(columns)
    return row


def _fitting(parts: list[_Part], columns: int) -> list[_Part]:
    """Return the parts that fit, at least the most important one; a title is shortened first."""
    while len(parts) > 1:
        wide = sum(part.columns for part in parts) + len(_BETWEEN) * (len(parts) - 1)
        if wide <= columns:
            break
        last = max(parts, key=lambda part: _LEFT_OUT_LAST.index(part.name))
        at, room = parts.index(last), columns - wide + last.columns
        if last.name == "title" and room >= _SHORTEST_TITLE:
            parts[at] = replace(last, text=shortened(last.text, room))
            break
        del parts[at]
    return parts


def _shortened(name: str, columns: int) -> str:
    """Return a name as long as the terminal has room for, without its vendor in a narrow one."""
    if columns >= _NARROW_COLUMNS or width(name) <= columns // 3:
        longest = _LONGEST_NAME if columns < _NARROW_COLUMNS * 2 else columns // 3
    else:
        name, longest = name.rsplit("/", 1)[-1], max(8, columns // 3)
    return shortened(name, longest)


def _spent(chat: Conversation) -> str:
    cost_usd = chat.session.cost_usd
    # Free models need no room, and unknown prices say nothing.
    if not cost_usd:
        return ""
    from chatcli.text.wording import dollars  # noqa: PLC0415 - at the first prompt nothing has been spent

    return f"{dollars(cost_usd)} spent"


def _cost_of_next(chat: Conversation, draft_tokens: int) -> str:
    """Return about the cost of sending the draft, empty if free or unknown.

    The answer is assumed to have the length the budget expects.
    """
    resolved = chat.resolved
    if resolved is None or not draft_tokens:
        return ""
    from chatcli.cost.request_options import expected_answer_tokens  # noqa: PLC0415
    from chatcli.text.wording import dollars  # noqa: PLC0415 - as above

    usage = chat.manager.context_usage()
    sent_tokens = usage.system_tokens + usage.turns_tokens + draft_tokens
    cost_usd = resolved.request_usd(sent_tokens, expected_answer_tokens(resolved.parameters))
    return f"~{dollars(cost_usd)} to send" if cost_usd else ""


def _short(tokens: int) -> str:
    if tokens < 1_000:  # noqa: PLR2004 - what the letters stand for
        return f"{tokens}"
    thousands = tokens / 1_000
    if thousands < 10:  # noqa: PLR2004
        return f"{thousands:.1f}k".replace(".0k", "k")
    return f"{thousands:.0f}k" if thousands < 1_000 else f"{thousands / 1_000:.1f}M".replace(".0M", "M")  # noqa: PLR2004
