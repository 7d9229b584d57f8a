"""Choosing a session in the line frontend: a numbered list and a prompt for the number."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.render.markdown.inline import words_alone
from chatcli.render.text_columns import table
from chatcli.text.times import age
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from chatcli.repl.frontend import Frontend
    from chatcli.repl.pickable_sessions import Listing, PickableSessions
    from chatcli.sessions.store import SessionSummary

_NUMBERED: Final = 20
_ALL: Final = "all"
_ENDS: Final = (".", "!", "?", "…", "。", "！", "？")


async def choose_by_number(
    frontend: Frontend,
    pickable: PickableSessions,
    *,
    words: str = "",
    everywhere: bool = False,
    in_words: bool = False,
) -> str | None:
    """List the results for ``words`` and ask for a number; an answer in words searches again.

    ``in_words`` formats the list for reading aloud. Only sessions of the person's folder are listed if it has
    any, until the answer is "all".
    """
    await in_thread(pickable.refresh)
    is_here = pickable.has_folder and not everywhere
    if is_here:
        is_here = (await in_thread(lambda: pickable.listing("", is_here=True))).total > 0
    while True:
        listing = await _listed(pickable, words, is_here=is_here)
        if not listing.total and not words:
            frontend.remark("no sessions yet; every conversation is saved automatically")
            return None
        _show(frontend, pickable, listing, in_words=in_words)
        answer = await _answer(frontend, min(_NUMBERED, len(listing.sessions)))
        if not answer:
            frontend.remark("no session chosen")
            return None
        if _is_number(answer):
            return listing.sessions[int(answer) - 1].name
        if answer.lower() == _ALL and is_here:
            is_here = False
        else:
            words = answer


async def _answer(frontend: Frontend, count: int) -> str:
    """Return the answer: a number from 1 to ``count``, words, or nothing."""
    while True:
        answer = (await frontend.ask(_question(count)) or "").strip()
        if not _is_number(answer) or 1 <= int(answer) <= count:
            return answer
        frontend.remark(f"there is no session {answer} in this list; {_what_to_type(count)}")


def _is_number(answer: str) -> bool:
    """Whether ``answer`` is a number of the list: a longer one, like a year, is searched for."""
    return answer.removeprefix("-").isdecimal() and len(answer.removeprefix("-")) <= len(str(_NUMBERED))


def _what_to_type(count: int) -> str:
    other = "words to search for, or Enter to leave"
    return f"type a number from 1 to {count}, {other}" if count > 1 else f"type {'1, ' * count}{other}"


async def _listed(pickable: PickableSessions, words: str, *, is_here: bool) -> Listing:
    return await in_thread(lambda: pickable.listing(words, is_here=is_here))


def _show(frontend: Frontend, pickable: PickableSessions, listing: Listing, *, in_words: bool) -> None:
    now = datetime.now().astimezone()
    rows = [
        (
            str(number),
            (words_alone(session.title) if in_words else session.title) or session.name,
            "current" if session.name == pickable.current else "",
            _spoken(age(session.last_used, now)) if in_words else age(session.last_used, now),
            words_alone(_excerpt(listing, session)) if in_words else _excerpt(listing, session),
        )
        for number, session in enumerate(listing.sessions[:_NUMBERED], start=1)
    ]
    if rows and in_words:
        frontend.say(
            "\n".join(f"{number}: {_ended(', '.join(filter(None, facts)))}" for number, *facts in rows)
        )
    elif rows:
        frontend.say(table(rows, frontend.columns(), right={0}))
    else:
        frontend.remark(f"no session{' of this folder' if listing.is_here else ''} has {listing.words}")
    if (more := listing.found - len(rows)) > 0:
        frontend.remark(f"{more:,} older sessions are not shown; type words to find them")
    if listing.is_here and (listing.words or listing.found_everywhere > listing.total):
        frontend.remark(f"only sessions of this folder are shown; type {_ALL} to see the others too")


def _ended(text: str) -> str:
    return text if text.endswith(_ENDS) else f"{text}."


def _spoken(age: str) -> str:
    """Return an age with its unit as a word."""
    number, _, unit = age.partition(" ")
    word = {"h ago": "hour", "min ago": "minute"}.get(unit)
    return f"{number} {word}{'' if number == '1' else 's'} ago" if word else age


def _excerpt(listing: Listing, session: SessionSummary) -> str:
    hit = listing.hits.get(session.name)
    if hit is not None and hit.excerpt:
        return hit.excerpt
    return f"{counted(session.turns, 'turn')}"


def _question(count: int) -> str:
    if not count:
        return "Other words to search for: "
    return f"Which one? [{'1' if count == 1 else f'1-{count}'}, or words to search for] "
