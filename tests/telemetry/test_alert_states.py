"""The file of alerts: what is kept, damage, locks, and many processes at once."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest

from chatcli.storage.file_lock import lock
from chatcli.storage.private_files import open_for_append
from chatcli.telemetry.alert_states import AlertEvent, AlertFile, AlertStates, Firing

EVENT = AlertEvent(100.0, "errors", "error_count", True, 4.0, 9)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "alerts-1.json"


def test_what_is_noted_is_there_for_the_next_process(path):
    with AlertFile(path).changing() as states:
        states.note("key", EVENT)
    assert AlertFile(path).read().firing == {"key": Firing(100.0, 4.0)}
    over = AlertEvent(200.0, "errors", "error_count", False, None, 0)
    with AlertFile(path).changing() as states:
        states.note("key", over)
    states = AlertFile(path).read()
    assert states.firing == {}
    assert states.events == [EVENT, over]


def test_a_missing_file_is_empty_and_reading_makes_none(path):
    assert AlertFile(path).read().events == []
    assert not path.parent.exists()


def test_only_its_owner_reads_the_file(path):
    with AlertFile(path).changing() as states:
        states.note("key", EVENT)
    if sys.platform != "win32":
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_only_the_last_events_are_kept(path):
    states = AlertStates()
    for number in range(1_000):
        states.note("key", EVENT._replace(at_s=float(number)))
    assert len(states.events) == 200
    assert states.events[-1].at_s == 999


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"firing": [], "events": {}}',
        b'{"firing": {"a": 1, "b": {}, "c": {"since_s": "x", "value": 1}, "d": {"since_s": NaN, "value": 1}}}',
        b'{"events": [1, {}, {"at_s": 1}, {"at_s": true, "is_firing": true}, {"at_s": 1, "is_firing": 1}]}',
        b'{"events": [{"at_s": -1e15, "is_firing": true}, {"at_s": 1e15, "is_firing": true}]}',
        b'{"firing": {"a": {"since_s": -1e15, "value": 1}, "b": {"since_s": 1e15, "value": 1}}}',
    ],
)
def test_a_damaged_file_counts_as_empty_and_is_written_anew(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    states = AlertFile(path).read()
    assert (states.firing, states.events) == ({}, [])
    with AlertFile(path).changing() as states:
        states.note("key", EVENT)
    assert AlertFile(path).read().events == [EVENT]


def test_what_another_version_wrote_beside_it_does_no_harm(path):
    path.parent.mkdir()
    event = {**EVENT._asdict(), "later": [1]}
    path.write_text(
        json.dumps({"events": [event], "firing": {"k": {"since_s": 1, "value": 2, "x": 3}}, "y": 1})
    )
    states = AlertFile(path).read()
    assert states.events == [EVENT]
    assert states.firing == {"k": Firing(1, 2)}


def test_nothing_is_written_where_the_change_fails(path):
    with pytest.raises(AttributeError), AlertFile(path).changing() as states:
        states.note("key", None)
    assert AlertFile(path).read().events == []


def test_a_suspended_holder_of_the_lock_is_not_waited_for_long(path):
    held = open_for_append(path.with_name("alerts-1.json.lock"))
    try:
        lock(held)
        with pytest.raises(BlockingIOError), AlertFile(path, patience_s=0.05).changing():
            pass
    finally:
        os.close(held)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(path):
    path.parent.mkdir(mode=0o500)
    with pytest.raises(PermissionError), AlertFile(path).changing():
        pass


def test_a_folder_in_place_of_the_file_is_an_error_of_the_system(path):
    path.mkdir(parents=True)
    with pytest.raises((IsADirectoryError, PermissionError)), AlertFile(path).changing():
        pass
