"""What keys would do now, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from chatcli.config.key_actions import KeyTable

Hint: TypeAlias = tuple[tuple[str, str], ...]
"""The names of actions and what they do, as a verb; the first matters most."""

LEAVING: Final[Hint] = (("leave", "leaves"),)
LEAVING_BUSY: Final[Hint] = (("leave", "again stops this and leaves"),)
QUEUED: Final[Hint] = (
    ("edit_queued", "edits"),
    ("drop_queued", "drops"),
    ("stop_and_send", "sends it now"),
)
HELD: Final[Hint] = (("send", "sends the next one"), ("edit_queued", "edits"), ("drop_queued", "drops"))
FOLDED: Final[Hint] = (("expand_paste", "unfolds it"), ("edit_in_editor", "edits it"))


def hint_line(hint: Hint, keys: KeyTable, columns: int) -> str:
    """Return what of ``hint`` is bound to keys and has room."""
    line = ""
    for name, does in hint:
        longer = f"{line}, {keys.shown(name)} {does}" if line else f"{keys.shown(name)} {does}"
        if keys.keys(name) and (len(longer) <= columns or not line):
            line = longer
    return line
