from __future__ import annotations

import re
import threading
from pathlib import Path

from chatcli.core.event_log import DEBUG, ERROR, EVENTS, INFO, OFF, WARNING, EventLog

ROOT = Path(__file__).resolve().parents[2]


class Sink:
    """A sink that keeps what is written to it."""

    def __init__(self):
        self.events = []
        self.is_closed = False

    def write(self, level, event, facts):
        self.events.append((level, event, facts))

    def close(self):
        self.is_closed = True


class Opening:
    """Opens sinks, and keeps them."""

    def __init__(self):
        self.sinks = []

    def __call__(self):
        self.sinks.append(Sink())
        return self.sinks[-1]

    @property
    def events(self):
        return [event for sink in self.sinks for event in sink.events]


def test_a_log_without_a_place_takes_nothing():
    log = EventLog()
    log.note(ERROR, "bug")
    log.close()
    assert (log.place, log.least) == (None, OFF)


def test_nothing_is_opened_before_there_is_an_event_to_write():
    log, opening = EventLog(), Opening()
    log.write_to("a", opening, least=WARNING)
    log.note(INFO, "call_began")
    log.close()
    assert opening.sinks == []
    log.note(WARNING, "retry")
    assert [event for _, event, _ in opening.events] == ["retry"]


def test_an_event_has_its_facts_and_the_id_of_its_call():
    log, opening = EventLog(), Opening()
    log.write_to("a", opening, least=DEBUG)
    log.note(DEBUG, "attempt", "c-1", sent_bytes=3)
    log.note(INFO, "context", dropped_turns=0)
    assert opening.events == [
        (DEBUG, "attempt", {"call": "c-1", "sent_bytes": 3}),
        (INFO, "context", {"call": None, "dropped_turns": 0}),
    ]


def test_a_log_that_goes_elsewhere_closes_what_it_wrote_to():
    log, here, there = EventLog(), Opening(), Opening()
    log.write_to("here", here, least=INFO)
    log.note(INFO, "context")
    log.write_to("here", here, least=WARNING)
    assert not here.sinks[0].is_closed
    log.write_to("there", there, least=INFO)
    log.note(INFO, "context")
    assert here.sinks[0].is_closed
    assert (len(here.events), len(there.events)) == (1, 1)


def test_a_log_that_is_turned_off_takes_nothing_any_more():
    log, opening = EventLog(), Opening()
    log.write_to("a", opening, least=DEBUG)
    log.turn_off()
    log.note(ERROR, "bug")
    assert (opening.sinks, log.place) == ([], "")


def test_threads_that_note_at_once_open_one_sink():
    log, opening, together = EventLog(), Opening(), threading.Barrier(4)
    log.write_to("a", opening, least=DEBUG)

    def note():
        together.wait(10)
        log.note(INFO, "context")

    threads = [threading.Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(opening.sinks), len(opening.events)) == (1, 4)


def test_every_event_is_explained_in_the_guide_and_none_is_noted_that_is_not():
    guide = (ROOT / "docs/guides/monitoring.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [a-z, ]+ \| (.+) \|$", guide, re.MULTILINE)
    assert {event: meaning.replace("`", "") for event, meaning in rows} == dict(EVENTS)
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    noted = re.findall(r'\bnote\(\s*(?:[A-Z]+|level),\s*"(\w+)"', source)
    assert set(noted) | {"lines_lost"} == set(EVENTS)
