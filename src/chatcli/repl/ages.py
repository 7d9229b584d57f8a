"""How long ago something was, in the words of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_COLUMNS: Final = len("30 Sep 2025")

# A process has one locale, and strftime would follow it in the middle of English words.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_SAME_NIGHT_S: Final = 6 * _HOUR_S
_DAYS_COUNTED: Final = 7


def age(then: datetime, now: datetime) -> str:
    """Return when ``then`` was: "2 h ago", "yesterday", "12 Oct". Days are those of the zone of ``now``."""
    then = then.astimezone(now.tzinfo)
    passed_s = (now - then).total_seconds()
    days = (now.date() - then.date()).days
    if passed_s < _MINUTE_S:
        return "just now"
    if passed_s < _HOUR_S:
        return f"{passed_s // _MINUTE_S:.0f} min ago"
    # Shortly after midnight nobody calls the last hour yesterday.
    if days == 0 or passed_s < _SAME_NIGHT_S:
        return f"{passed_s // _HOUR_S:.0f} h ago"
    if days < _DAYS_COUNTED:
        return "yesterday" if days == 1 else f"{days} days ago"
    date = f"{then.day} {_MONTHS[then.month - 1]}"
    return date if then.year == now.year else f"{date} {then.year}"
