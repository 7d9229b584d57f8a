"""Times as they are written in files, and durations and ages in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_SAME_NIGHT_S: Final = 6 * _HOUR_S
_DAYS_COUNTED: Final = 7

# strftime follows the locale of the process, which would mix languages.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def local_now() -> datetime:
    return datetime.now(UTC).astimezone()


def timestamp(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 in UTC with milliseconds: ``2026-11-23T21:05:07.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def in_milliseconds(time_s: float) -> str:
    """Return a measured time: ``240 ms``, ``1.2 s``."""
    return f"{time_s:.1f} s" if time_s >= 1 else f"{time_s * 1000:.0f} ms"


def in_seconds(time_s: float) -> str:
    """Return a time in seconds: ``1.2 s``, ``2 s``."""
    return f"{time_s:.1f}".removesuffix(".0") + " s"


def in_minutes(time_s: float) -> str:
    """Return a time in minutes and seconds: ``20 s``, ``3 min 20 s``."""
    if time_s < _MINUTE_S:
        return f"{time_s:.0f} s"
    minutes, seconds = divmod(round(time_s), _MINUTE_S)
    return f"{minutes} min {seconds} s"


def in_hours(time_s: float) -> str:
    """Return a time to wait, rounded up: ``20 s``, ``6 min``, ``1 h 5 min``."""
    whole_s = math.ceil(time_s)
    if whole_s < _MINUTE_S:
        return f"{whole_s} s"
    minutes = math.ceil(whole_s / _MINUTE_S)
    hours, minutes = divmod(minutes, 60)
    return " ".join(part for part in (hours and f"{hours} h", minutes and f"{minutes} min") if part)


LONGEST_AGE_COLUMNS: Final = len("30 Sep 2025")


def age(then: datetime, now: datetime) -> str:
    """Return ``then`` as an age: "2 h ago", "yesterday", "12 Oct". Days are in the time zone of ``now``."""
    then = then.astimezone(now.tzinfo)
    passed_s = (now - then).total_seconds()
    days = (now.date() - then.date()).days
    if passed_s < _MINUTE_S:
        return "just now"
    if passed_s < _HOUR_S:
        return f"{passed_s // _MINUTE_S:.0f} min ago"
    # Shortly after midnight, the last hour is not yet "yesterday".
    if days == 0 or passed_s < _SAME_NIGHT_S:
        return f"{passed_s // _HOUR_S:.0f} h ago"
    if days < _DAYS_COUNTED:
        return "yesterday" if days == 1 else f"{days} days ago"
    return calendar_day(then, now)


def calendar_day(moment: datetime, now: datetime | None = None) -> str:
    """Return the date of ``moment``, "23 Nov 2026", without the year if it is that of ``now``."""
    date = f"{moment.day} {_MONTHS[moment.month - 1]}"
    return date if now is not None and moment.year == now.year else f"{date} {moment.year}"


def moment_in_words(moment: datetime, now: datetime | None = None) -> str:
    """Return the date as ``calendar_day`` does, and the time of day without seconds: ``23 Nov 09:30``."""
    return f"{calendar_day(moment, now)} {moment:%H:%M}"
