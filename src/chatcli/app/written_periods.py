"""Periods of time as people write them: ``7d``, ``2026-11-20``, ``2026-11-20 14:00``."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from chatcli.config.parsers import duration
from chatcli.core.errors import UsageError
from chatcli.text.times import calendar_day, moment_in_words

if TYPE_CHECKING:
    from datetime import tzinfo

USUAL: Final = "7d"
_passed: Final = duration(1, 36_500 * 86_400)
_HINT: Final = "write 15m, 24h, 7d or 2w for the time until now, a date like 2026-11-20, or 2026-11-20 14:00"
_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}
_DAYS_AGO: Final = {"today": 0, "yesterday": 1}


class WrittenPeriod(NamedTuple):
    """The time from ``since`` up to ``until``, and how a heading says it: ``in the last 7 days``."""

    since: datetime
    until: datetime
    words: str


def period(
    since: str | None, until: str | None, now: datetime, *, zone: tzinfo | None = None
) -> WrittenPeriod:
    """Return the period of what was written; nothing means the last seven days, and until now.

    A date means its beginning, as an end its end. Times are of ``zone``, of the person's system without one. Raise ``UsageError``.
    """
    end = None if until is None else min(now, _moment(until, now, zone, is_end=True))
    since, reaches_from = (USUAL, end or now) if since is None else (since, now)
    begin = _moment(since, reaches_from, zone)
    if begin >= (end or now):
        raise UsageError(
            f"{since.strip()} is not before {'now' if until is None else until.strip()}",
            hint=_HINT,
        )
    begin, end, now = begin.astimezone(zone), (end or now).astimezone(zone), now.astimezone(zone)
    return WrittenPeriod(begin, end, _words(since, begin, None if until is None else end, now))


def _moment(written: str, now: datetime, zone: tzinfo | None, *, is_end: bool = False) -> datetime:
    text = written.strip()
    days_ago = _DAYS_AGO.get(text.lower())
    try:
        if text[-1:] in _UNITS:
            return now - timedelta(seconds=cast("float", _passed(text)))
        if days_ago is not None:
            text = (now.astimezone(zone).date() - timedelta(days=days_ago)).isoformat()
        if _is_date(text):
            # The end of a day is the beginning of the next one, which is 23 to 25 hours later.
            midnight = datetime.combine(date.fromisoformat(text) + timedelta(days=is_end), time())
            return _in_zone(midnight, zone)
        return _in_zone(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{written!r} is not a time", hint=_HINT) from error


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is not None:
        return moment
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)


def _words(since: str, begin: datetime, end: datetime | None, now: datetime) -> str:
    written, is_whole_day = since.strip().lower(), begin.time() == time()
    begun = (calendar_day if is_whole_day else moment_in_words)(begin, now)
    if end is not None:
        if is_whole_day and (end.time() == time() or end == now):
            last = calendar_day(end - timedelta(microseconds=1), now)
            return f"on {begun}" if last == begun else f"from {begun} to {last}"
        return f"from {begun} to {moment_in_words(end, now)}"
    if (noun := _UNITS.get(written[-1:])) is not None:
        number = f"{float(written[:-1]):g}"
        return f"in the last {noun}" if number == "1" else f"in the last {number} {noun}s"
    return written if written == "today" else f"since {begun}"
