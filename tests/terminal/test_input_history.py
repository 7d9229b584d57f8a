from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from wcwidth import width

from chatcli.terminal.input_history import (
    HistoryFile,
    HistorySearch,
    HistorySuggestions,
    InputHistory,
    Limits,
    input_history,
)
from chatcli.text.search_text import folded, places
from terminal.test_screen import CTRL_C, ENTER, desk

SMALL = Limits(texts=3, read_bytes=400, file_bytes=800)
REWRITTEN_EACH_TIME = Limits(texts=10_000, read_bytes=10_000_000, file_bytes=0)
WRITER = """\
import sys
from pathlib import Path
from chatcli.terminal.input_history import HistoryFile

file, name, count = HistoryFile(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.read()
for number in range(count):
    file.append([f"{name} {number}"])
"""

UP, DOWN, RIGHT, CTRL_R = "\x1b[A", "\x1b[B", "\x1b[C", "\x12"

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="rights are the profile's own on Windows")
# The super-user may read and write everything.
not_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="needs a user who is not root")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "input-history.jsonl"


@pytest.fixture
def reported():
    return []


@pytest.fixture
def history(path, reported):
    return InputHistory(HistoryFile(path), reported.append)


async def loaded(history):
    return [text async for text in history.load()]


def entries(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_the_next_session_finds_what_was_typed_the_newest_first(history, path, reported):
    history.append_string("first")
    history.append_string("second")
    assert await loaded(input_history(path, reported.append)) == ["second", "first"]
    assert reported == []


async def test_what_was_just_typed_is_found_at_once(history):
    assert await loaded(history) == []
    history.append_string("first")
    assert history.get_strings() == ["first"]
    assert await loaded(history) == ["first"]


async def test_what_another_copy_took_in_meanwhile_is_found_at_the_next_load(history, path, reported):
    history.append_string("mine")
    assert await loaded(history) == ["mine"]
    other = input_history(path, reported.append)
    other.append_string("theirs")
    history.append_string("mine again")
    assert await loaded(history) == ["mine again", "theirs", "mine"]
    assert await loaded(other) == ["mine again", "theirs", "mine"]


async def test_a_text_typed_twice_in_a_row_is_kept_once(history, path):
    for text in ("again", "again", "other", "again"):
        history.append_string(text)
    assert [entry["text"] for entry in entries(path)] == ["again", "other", "again"]


async def test_a_text_two_copies_took_in_one_after_the_other_is_shown_once(history, path):
    HistoryFile(path).append(["same"])
    HistoryFile(path).append(["same"])
    assert await loaded(history) == ["same"]


def test_an_entry_tells_when_it_was_typed_in_utc(path):
    moment = datetime(2026, 11, 23, 23, 5, 7, 123_000, tzinfo=timezone(timedelta(hours=2)))
    HistoryFile(path, clock=lambda: moment).append(["hi"])
    assert entries(path) == [{"at": "2026-11-23T21:05:07.123Z", "text": "hi"}]


@posix_only
def test_only_the_owner_can_read_it(history, path):
    history.append_string("secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@given(st.lists(st.text(st.characters(codec=None), min_size=1), max_size=8))
def test_any_text_comes_back_as_it_was(texts):
    # JSON cannot keep the two surrogates of a pair apart: they become the character they encode.
    texts = [text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for text in texts]
    once = [text for text, before in zip(texts, [None, *texts], strict=False) if text != before]
    with TemporaryDirectory() as folder:
        path = Path(folder, "history.jsonl")
        HistoryFile(path).append(texts)
        assert list(HistoryFile(path).texts()) == once
        assert path.read_bytes().count(b"\n") == len(texts)


@pytest.mark.parametrize(
    "text", ["two\nlines", "in 北京 and 東京", "👩‍👩‍👧", "\ud83d", "\x1b[31mred", "a\u2028b\r\n", "null\0"]
)
async def test_lines_emoji_and_what_no_encoding_has_survive(history, path, reported, text):
    history.append_string(text)
    assert await loaded(input_history(path, reported.append)) == [text]


@pytest.mark.parametrize(
    "line",
    [
        b'{"at":"2026-11-23T21:05:07.123Z","te',
        b"# 2026-11-23 21:05:07\n+as prompt_toolkit writes it",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"text":7}',
        b'{"text":""}',
        b'["text"]',
        b"",
    ],
    ids=lambda line: line[:12].decode("latin-1") or "empty",
)
async def test_a_torn_or_foreign_line_is_skipped(history, path, line):
    history.append_string("before")
    with path.open("ab") as file:
        file.write(line)
    HistoryFile(path).append(["after"])
    assert await loaded(history) == ["after", "before"]


async def test_a_line_another_copy_is_still_writing_is_read_when_it_is_whole(history, path):
    history.append_string("before")
    line = b'{"at":"2026-11-23T21:05:07.123Z","text":"slow"}\n'
    for part in (line[:20], line[20:]):
        assert await loaded(history) == ["before"]
        with path.open("ab") as file:
            file.write(part)
    assert await loaded(history) == ["slow", "before"]


async def test_only_the_newest_texts_are_read(path):
    file = HistoryFile(path, limits=SMALL)
    file.append(["1", "2", "3", "4"])
    assert list(file.texts()) == ["2", "3", "4"]
    file.append(["5"])
    assert list(file.texts()) == ["3", "4", "5"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows would fill the hole")
def test_a_huge_file_is_read_from_its_end(path):
    path.parent.mkdir()
    hole_bytes = 10_000_000_000
    with path.open("wb") as file:
        file.truncate(hole_bytes)
    HistoryFile(path).append(["new"])
    assert list(HistoryFile(path).texts()) == ["new"]


def test_a_text_that_would_push_all_others_out_is_not_kept(path):
    file = HistoryFile(path, limits=SMALL)
    file.append(["small", "large" * 100])
    assert list(file.texts()) == ["small"]


async def test_a_file_grown_too_large_is_shortened_to_its_newest_texts(path, reported):
    file = HistoryFile(path, limits=SMALL)
    for number in range(40):
        file.append([f"question {number}"])
    assert path.stat().st_size > SMALL.file_bytes
    newest = ["question 39", "question 38", "question 37"]
    history = InputHistory(file, reported.append)
    assert await loaded(history) == newest
    assert [entry["text"] for entry in entries(path)] == newest[::-1]
    assert await loaded(history) == newest
    assert reported == []


def test_a_file_that_is_not_too_large_is_left_alone(path):
    file = HistoryFile(path)
    file.shorten()
    assert not path.exists()
    file.append(["hi"])
    before = path.stat()
    file.shorten()
    assert path.stat() == before


@posix_only
def test_a_link_stays_one_when_its_file_is_shortened(path, tmp_path):
    path.parent.mkdir()
    (tmp_path / "elsewhere").touch(0o600)
    path.symlink_to(tmp_path / "elsewhere")
    file = HistoryFile(path, limits=REWRITTEN_EACH_TIME)
    file.append(["hi"])
    file.shorten()
    assert path.is_symlink()
    assert list(file.texts()) == ["hi"]


async def test_a_file_somebody_removed_is_forgotten_and_begun_anew(history, path):
    history.append_string("old")
    assert await loaded(history) == ["old"]
    path.unlink()
    assert await loaded(history) == []
    history.append_string("new")
    assert await loaded(history) == ["new"]


async def test_a_place_that_cannot_be_used_is_reported_once_and_texts_stay_in_memory(tmp_path, reported):
    (tmp_path / "data").touch()
    history = input_history(tmp_path / "data" / "input-history.jsonl", reported.append)
    assert await loaded(history) == []
    history.append_string("first")
    history.append_string("second")
    assert await loaded(history) == ["second", "first"]
    assert len(reported) == 1
    assert "cannot use the input history" in reported[0]
    assert "readable and writable" in reported[0]


async def test_texts_that_could_not_be_written_are_written_when_it_works_again(tmp_path, reported):
    (tmp_path / "data").touch()
    path = tmp_path / "data" / "input-history.jsonl"
    history = input_history(path, reported.append)
    history.append_string("first")
    (tmp_path / "data").unlink()
    history.append_string("second")
    assert await loaded(history) == ["second", "first"]
    assert [entry["text"] for entry in entries(path)] == ["first", "second"]


@posix_only
@not_root
async def test_a_file_that_cannot_be_written_is_still_read(history, path, reported):
    history.append_string("kept")
    path.chmod(0o400)
    again = input_history(path, reported.append)
    again.append_string("new")
    assert await loaded(again) == ["new", "kept"]
    assert len(reported) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's disk that is always full")
async def test_a_full_disk_is_reported(tmp_path, reported):
    path = tmp_path / "input-history.jsonl"
    path.symlink_to("/dev/full")
    history = input_history(path, reported.append)
    history.append_string("hi")
    assert "No space left" in reported[0]


async def test_without_a_path_nothing_is_written(reported, tmp_path):
    history = input_history(None, reported.append)
    assert isinstance(history, InMemoryHistory)
    history.append_string("private")
    assert await loaded(history) == ["private"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (f"{UP}\r", "about trains"),
        (f"{UP}{UP}{UP}{DOWN}\r", "about boats"),
        (f"{CTRL_R}cars\r\r", "about cars"),
    ],
    ids=["up", "down", "search"],
)
async def test_keys_bring_back_what_was_typed(history, keys, expected):
    for text in ("about cars", "about boats", "about trains"):
        history.append_string(text)
    with create_pipe_input() as pipe:
        session = PromptSession(history=history, input=pipe, output=DummyOutput())
        session.app.after_render += _once(lambda: pipe.send_text(keys))
        assert await session.prompt_async() == expected


async def test_the_suggestion_from_it_can_be_taken(history):
    history.append_string("about cars")
    with create_pipe_input() as pipe:
        session = PromptSession(
            history=history, auto_suggest=HistorySuggestions(), input=pipe, output=DummyOutput()
        )
        session.app.after_render += _once(lambda: pipe.send_text("about"))
        session.default_buffer.on_suggestion_set += _once(lambda: pipe.send_text(f"{RIGHT}\r"))
        assert await session.prompt_async() == "about cars"


def _once(action):
    """Return an event handler that acts only the first time."""
    actions = [action]
    return lambda _: actions and actions.pop()()


def test_copies_that_write_while_one_shortens_lose_nothing(path):
    names, count = "abc", 150
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in names
    ]
    shortening = HistoryFile(path, limits=REWRITTEN_EACH_TIME)
    for writer in writers:
        assert writer.stdout.readline()
    for writer in writers:
        writer.stdin.close()
    files = set()
    while any(writer.poll() is None for writer in writers):
        shortening.shorten()
        files.update({path.stat().st_ino} if path.exists() else ())
    for writer in writers:
        writer.stdout.close()
        assert writer.wait() == 0
    texts = [entry["text"] for entry in entries(path)]
    assert Counter(texts) == Counter(f"{name} {number}" for name in names for number in range(count))
    for name in names:
        own = [text for text in texts if text.startswith(name)]
        assert own == [f"{name} {number}" for number in range(count)]
    assert len(files) > 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes with names")
def test_a_pipe_in_its_place_is_reported_and_not_waited_for(tmp_path):
    path, reported = tmp_path / "input-history.jsonl", []
    os.mkfifo(path)
    history = InputHistory(HistoryFile(path), reported.append)
    assert list(history.load_history_strings()) == []
    assert "it is a pipe" in reported[0]
    history.store_string("Rome")
    assert list(history.load_history_strings()) == ["Rome"]


def suggested(text, *earlier, cursor=None):
    """Return the suggestion after ``text``, ``None`` without one, given ``earlier`` texts, oldest first."""
    history = InMemoryHistory()
    for entry in earlier:
        history.append_string(entry)
    suggestion = HistorySuggestions().get_suggestion(Buffer(history=history), Document(text, cursor))
    return suggestion and suggestion.text


def test_the_newest_text_with_this_beginning_is_proposed():
    assert suggested("what is", "what is it", "what is that", "who") == " that"


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_nothing_is_suggested_before_something_is_written(text):
    assert suggested(text, " hello", "\nhello") is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("", "Which river is it?"),
        ("Which", " river is it?"),
        ("Is", " it far?"),
        ("Which river is it?", None),
    ],
)
def test_proposals_are_suggested_before_the_history_and_before_something_is_written(text, rest):
    history = InMemoryHistory()
    history.append_string("Which way?")
    suggestions = HistorySuggestions(lambda: ("Which river is it?", "Is it far?"))
    suggestion = suggestions.get_suggestion(Buffer(history=history), Document(text))
    assert (suggestion and suggestion.text) == rest


def test_nothing_is_suggested_inside_the_text():
    assert suggested("what", "what is it", cursor=2) is None


def test_nothing_is_suggested_when_nothing_began_so():
    assert suggested("why", "what is it", "and why") is None


def test_a_text_that_is_already_whole_lets_an_older_one_go_on():
    assert suggested("hi", "hi there", "hi") == " there"
    assert suggested("hi", "hi") is None


def test_only_the_line_being_written_goes_on():
    assert suggested("def", "def f():\n    return 1") == " f():"
    assert suggested("def f():\n    re", "def f():\n    return 1\n") == "turn 1"
    assert suggested("def f():", "def f():\n    return 1") is None


def test_commands_go_on_like_any_text():
    assert suggested("/mod", "/model small") == "el small"


@given(st.lists(st.text("ab\n", min_size=1)), st.text("ab\n"))
def test_a_suggestion_is_always_the_way_an_earlier_text_goes_on(earlier, text):
    rest = suggested(text, *earlier)
    if rest is not None:
        assert rest
        assert "\n" not in rest
        assert any(f"{entry}\n".startswith(f"{text}{rest}\n") for entry in earlier)


CTRL_R, CTRL_UNDO, ESCAPE, DOWN, UP = "\x12", "\x1f", "\x1b", "\x1b[B", "\x1b[A"
TYPED = [
    "what is a monad",
    "北京天气怎么样？",
    "東京のｷﾞﾀｰ",
    "first line\nsecond one\nabout monads",
    "北京烤鸭",
]


def search(*typed, rows=20, columns=60, unicode=True):
    found = HistorySearch(
        typed=lambda: typed,
        take=[].append,
        closed=lambda: None,
        size=lambda: Size(rows=rows, columns=columns),
        unicode=unicode,
    )
    found.open()
    return found


def rows(found):
    return "".join(text for _, text in found._rows()).split("\n")


def highlighted(found):
    return [text for style, text in found._rows() if style.endswith("match")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("北京", ["❯ 北京烤鸭", "  北京天气怎么样？"]),
        ("ギター", ["❯ 東京のｷﾞﾀｰ"]),
        ("ｷﾞﾀ", ["❯ 東京のｷﾞﾀｰ"]),
        ("怎么样?", ["❯ 北京天气怎么样？"]),
        ("ＭＯＮＡＤ", ["❯ about monads +2 lines", "  what is a monad"]),
        ("monad is", ["❯ what is a monad"]),
        ("no such", ["nothing you typed matches"]),
    ],
)
def test_texts_with_all_the_words_are_listed_the_newest_first_in_any_width_and_case(words, expected):
    found = search(*TYPED)
    found.buffer.text = words
    assert rows(found) == expected


def test_every_word_is_highlighted_as_it_was_written():
    found = search("Ｐｙｔｈｏｎ and python, ｷﾞﾀｰ")
    found.buffer.text = "python ギター"
    assert highlighted(found) == ["Ｐｙｔｈｏｎ", "python", "ｷﾞﾀｰ"]


def test_a_text_that_was_typed_twice_is_listed_once_where_it_was_typed_last():
    assert rows(search("a", "b", "a")) == ["❯ a", "  b"]


def test_a_match_far_behind_is_brought_into_sight():
    found = search("很长的" * 40 + "西安 and more", columns=40)
    found.buffer.text = "西安"
    assert highlighted(found) == ["西安"]


@given(
    st.text(st.sampled_from("北京ｷﾞギa é\u0301🇨🇳👩‍👧\x1b\n。"), max_size=60),
    st.text(st.sampled_from("北京ギキea"), max_size=3),
    st.integers(1, 80),
    st.booleans(),
)
def test_no_row_is_wider_than_the_screen(text, words, columns, unicode):
    found = search(text, columns=columns, unicode=unicode)
    found.buffer.text = words
    assert all(width(row) <= max(columns - 1, 3) for row in [*rows(found), found._footer()])


@given(st.text(st.sampled_from("北京ｷﾞギガaA é\u0301ﬁß")), st.text(st.sampled_from("北京ギaéfs"), min_size=1))
def test_places_are_in_order_and_fold_to_what_was_looked_for(text, word):
    spans = places(text, [folded(word)])
    assert spans == sorted(spans)
    assert all(folded(word) in folded(text[start:end]) for start, end in spans)


async def test_arrows_and_ctrl_r_move_enter_takes_it_and_undo_brings_the_draft_back():
    async with desk() as found:
        for text in ("one", "two", "three"):
            found.history.append_string(text)
        await found.type("my draft", CTRL_R)
        assert found.glass.shown.startswith("search:\n❯ three\n  two\n  one\n1 of 3 · Enter takes it")
        assert "my draft" not in found.glass.shown
        await found.type(CTRL_R, DOWN, UP)
        assert "❯ two" in found.glass.shown
        await found.type(ENTER)
        assert found.glass.shown == "> two\ntoolbar"
        await found.type(CTRL_UNDO)
        assert found.screen.composer.text == "my draft"


async def test_a_long_paste_that_is_taken_is_folded_as_it_was():
    async with desk() as found:
        await found.type("\x1b[200~" + "line\n" * 40 + "\x1b[201~", ENTER)
        await found.type(CTRL_R, "line", ENTER)
        assert found.glass.shown.endswith("\n> [pasted 40 lines]\ntoolbar")
        assert found.screen.composer.text == "line\n" * 40


async def test_lines_pasted_into_the_search_are_searched_for_as_words():
    async with desk() as found:
        found.history.append_string("one and two")
        await found.type(CTRL_R, "\x1b[200~one\ntwo\x1b[201~")
        assert found.glass.shown.startswith("search: one two\n❯ one and two")


@pytest.mark.parametrize("key", [CTRL_C, ESCAPE, "\x07"])
async def test_leaving_the_list_gives_the_draft_back(key):
    async with desk() as found:
        found.history.append_string("北京")
        await found.type("my draft", CTRL_R, "北", key)
        await found.until(lambda: found.glass.shown == "> my draft\ntoolbar")


async def test_a_question_of_the_program_closes_the_list_and_keeps_the_draft():
    async with desk() as found:
        await found.type("my draft", CTRL_R)
        asking = asyncio.ensure_future(found.screen.ask("Sure? "))
        await found.settle()
        assert "search" not in found.glass.shown
        await found.type("yes", ENTER)
        assert await asking == "yes"
        await found.settle()
        assert found.glass.shown == "> my draft\ntoolbar"


async def test_what_is_going_on_is_not_stopped_by_leaving_the_list():
    async with desk() as found, found.working() as work:
        await found.type(CTRL_R, CTRL_C)
        assert not work.done()


async def test_on_twelve_rows_the_list_leaves_room_for_the_rest():
    async with desk() as found:
        found.screen.application.output.size = Size(rows=12, columns=40)
        for at in range(40):
            found.history.append_string(f"text {at}")
        await found.type(CTRL_R)
        await found.until(lambda: found.glass.shown.count("text ") == 6)
        await found.type(*[DOWN] * 9)
        assert "❯ text 30" in found.glass.shown
        assert "10 of 40" in found.glass.shown
