from __future__ import annotations

import io
import json
import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chatcli.cli.options import main_parser, parse
from chatcli.cli.outputs import notification_output, turn_outputs, waiting_output
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve
from chatcli.core.errors import LocalIOError, NetworkError
from chatcli.core.events import (
    Notice,
    Retrying,
    TextDelta,
    TurnFailed,
    TurnFinished,
    TurnResult,
    TurnStarted,
    Waiting,
)
from chatcli.render.waiting_line import WaitingLine
from cli.fakes import terminal
from conversation.fakes import ManualClock

NOWHERE = Path("/nowhere")

ANSWER = "# T\n\n```py\nx\x1b\n```\n"


def options(*arguments):
    return parse(main_parser(""), arguments)


def settings_of(given):
    return resolve({"plain": given.plain}, {}, find_paths({"CHATCLI_CONFIG_DIR": str(NOWHERE)}), NOWHERE)


def answering(given, terminal, **named):
    return closing(turn_outputs(given, settings_of(given), terminal, **named).answer)


def telling(given, terminal):
    return turn_outputs(given, settings_of(given), terminal).status


async def shown_beside(events, given, terminal):
    """Show events to the observers beside the answer."""
    outputs = turn_outputs(given, settings_of(given), terminal)
    for event in events:
        for observe in outputs.always[1:]:
            await observe(event)


async def shown(arguments, terminal, *, text=ANSWER, error=None):
    """Show an answer of two deltas; return the output's exit code."""
    result = TurnResult(text, "small", "stop", error=error)
    with answering(options(*arguments), terminal) as output:
        await output(TurnStarted("small"))
        await output(TextDelta(text[:3]))
        await output(TextDelta(text[3:]))
        await output(TurnFailed(result) if error else TurnFinished(result))
        return output.exit_code()


@pytest.mark.parametrize(
    ("arguments", "environment", "is_rendered"),
    [
        ([], {}, True),
        (["--raw"], {}, False),
        (["-o", "text"], {}, False),
        ([], {"TERM": "dumb"}, False),
    ],
)
async def test_a_terminal_shows_markdown_unless_told_otherwise(arguments, environment, is_rendered):
    streams = terminal(is_terminal=True, **environment)
    await shown(arguments, streams)
    assert ("# T" not in streams.out) == is_rendered


@pytest.mark.parametrize(("arguments", "is_rendered"), [([], False), (["-o", "markdown"], True)])
async def test_a_pipe_gets_text_unless_told_otherwise(arguments, is_rendered):
    streams = terminal()
    await shown(arguments, streams)
    assert ("# T" not in streams.out) == is_rendered


async def test_markdown_for_a_file_has_no_colours_whatever_the_terminal_can(tmp_path):
    path = tmp_path / "answer.md"
    await shown(["-o", "markdown", "--out", str(path)], terminal(is_terminal=True, FORCE_COLOR="1"))
    assert "\x1b" not in path.read_text(encoding="utf-8")


async def test_extraction_waits_for_the_whole_block_and_sanitizes_it():
    streams = terminal()
    assert await shown(["-x"], streams) == 0
    assert streams.out == "x␛\n"
    await shown(["-x", "--raw"], raw := terminal())
    assert raw.out == "x\x1b\n"


async def test_an_answer_without_code_is_printed_whole_and_the_code_tells_so():
    streams = terminal()
    assert await shown(["-x"], streams, text="ls\x1b lists") == 10
    assert streams.out == "ls␛ lists\n"
    assert streams.err == "error: no code block found; printed the whole answer\n"
    assert await shown(["-x", "--raw"], raw := terminal(), text="ls\x1b\n") == 10
    assert raw.out == "ls\x1b\n"


async def test_extraction_from_a_failed_turn_leaves_the_word_to_the_failure():
    streams = terminal()
    assert await shown(["-x"], streams, text="no code", error=NetworkError("gone")) == 0
    assert (streams.out, streams.err) == ("", "")


async def test_json_is_one_object():
    await shown(["-o", "json"], streams := terminal())
    assert json.loads(streams.out)["text"] == ANSWER


async def test_a_file_takes_its_name_when_the_answer_is_complete(tmp_path):
    path = tmp_path / "answer.txt"
    path.write_text("old", encoding="utf-8")
    with answering(options("--out", str(path)), terminal()) as output:
        await output(TextDelta("new"))
        assert path.read_text(encoding="utf-8") == "old"
        await output(TurnFinished(TurnResult("new", "small")))
    assert path.read_text(encoding="utf-8") == "new\n"
    assert list(tmp_path.iterdir()) == [path]


async def test_a_partial_answer_is_kept_in_the_file(tmp_path):
    path = tmp_path / "answer.txt"
    await shown(["--out", str(path)], terminal(), text="half", error=NetworkError("gone"))
    assert path.read_text(encoding="utf-8") == "half\n"


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
async def test_the_rights_of_a_file_outlive_its_replacement(tmp_path):
    path = tmp_path / "answer.txt"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o640)
    await shown(["--out", str(path)], terminal())
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="pipes with a name and links as POSIX has them")
class TestAPathThatIsNoPlainFile:
    async def test_a_pipe_or_a_device_is_written_to_and_stays_what_it_is(self, tmp_path):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            await shown(["-o", "text", "--out", str(path)], terminal())
            assert os.read(reading, 1000).decode().startswith("# T")
        finally:
            os.close(reading)
        assert path.is_fifo()
        assert list(tmp_path.iterdir()) == [path]

    async def test_a_link_leads_to_the_file_that_is_written(self, tmp_path):
        meant, link = tmp_path / "meant" / "answer.txt", tmp_path / "link"
        meant.parent.mkdir()
        link.symlink_to(meant)
        for _ in range(2):
            await shown(["-o", "text", "--out", str(link)], terminal())
            assert link.is_symlink()
            assert meant.read_text(encoding="utf-8").startswith("# T")


@pytest.mark.parametrize("name", [".", "missing/answer.txt"])
def test_a_place_that_cannot_be_written_is_known_before_anything_is_asked(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LocalIOError, match="cannot write "):
        answering(options("--out", name), terminal())
    assert list(tmp_path.iterdir()) == []


def test_a_notice_is_dim_on_a_terminal_and_cannot_act_there():
    streams = terminal(is_terminal=True)
    telling(options(), streams).notify(Notice("model_chosen", "model x\x1b[2J"))
    assert streams.err == "\x1b[2mmodel x␛[2J\x1b[0m\n"


def test_quiet_says_no_notice():
    streams = terminal()
    telling(options("-q"), streams).notify(Notice("model_chosen", "model x"))
    assert streams.err == ""


async def test_plain_text_comes_in_sentences_from_who_speaks():
    streams = terminal(is_terminal=True)
    with answering(options("--plain"), streams, speaker="Assistant: ") as output:
        await output(TextDelta("It is\nPar"))
        assert streams.out == "Assistant: It is\n"
        await output(TextDelta("is."))
        await output(TurnFinished(TurnResult("", "small")))
    assert streams.out == "Assistant: It is\nParis.\nEnd of answer.\n"


async def test_plain_lines_beside_an_answer_are_sentences_without_colours():
    streams = terminal(is_terminal=True, FORCE_COLOR="1")
    events = [
        Notice("model_chosen", "the model is small"),
        Retrying(2, 60.0, "429"),
        Waiting(4.0, "waiting for api.example"),
        TurnFailed(TurnResult("", "small", error=NetworkError("gone", hint="wait"))),
    ]
    await shown_beside(events, options("--plain"), streams)
    assert streams.err.splitlines() == [
        "The model is small.",
        "429, retrying in 60 s (attempt 2).",
        "Enter tries at once, Control C stops.",
        "Waiting for api.example, 4 seconds so far.",
        "Error: gone.",
        "What to do: wait.",
    ]


async def test_nobody_is_kept_company_where_nobody_waits():
    streams = terminal()
    await shown_beside([Waiting(4.0, "")], options("--plain"), streams)
    await shown_beside([Waiting(4.0, "")], options("--plain", "-q"), other := terminal(is_terminal=True))
    assert (streams.err, other.err) == ("", "")


def drawn(given, terminal):
    accompanying = waiting_output(given, settings_of(given), terminal, list)
    return any(isinstance(observer, WaitingLine) for observer in accompanying)


def test_waiting_is_drawn_only_where_it_can_be_taken_back():
    assert drawn(options(), terminal(is_terminal=True))
    assert not drawn(options(), terminal())
    assert not drawn(options(), terminal(is_terminal=True, TERM="dumb"))
    assert not drawn(options("--plain"), terminal(is_terminal=True))
    assert not drawn(options("-q"), terminal(is_terminal=True))


class Full(io.RawIOBase):
    """A disk without room."""

    def write(self, content):
        raise OSError(28, "No space left on device")


async def test_where_nothing_can_be_written_the_turn_goes_on_and_it_is_reported_once():
    streams = terminal()
    streams.stdout.file = Full()
    assert await shown(["-o", "text"], streams) == 8
    assert streams.err.count("error: the output cannot be written: No space left on device\n") == 1


async def test_debug_adds_where_a_failed_turn_failed():
    streams = terminal()
    failed = TurnFailed(TurnResult("", "small", error=NetworkError("gone")))
    await shown_beside([failed], options("--debug"), streams)
    assert streams.err.splitlines()[-1].endswith("NetworkError: gone")


@pytest.mark.parametrize(
    ("arguments", "destination", "notify", "written"),
    [
        (
            [],
            {"is_terminal": True, "TERM": "foot"},
            "desktop",
            "\x1b]777;notify;chatcli;answered: Capitals\x1b\\",
        ),
        ([], {"is_terminal": True, "TERM": "foot"}, "bell", "\x07"),
        ([], {"is_terminal": True, "TERM": "foot"}, "off", ""),
        (["--plain"], {"is_terminal": True, "TERM": "foot"}, "desktop", "\x07"),
        (["-q"], {"is_terminal": True, "TERM": "foot"}, "bell", ""),
        ([], {"is_terminal": True, "TERM": "dumb"}, "bell", ""),
        ([], {}, "bell", ""),
    ],
)
async def test_a_person_at_a_terminal_is_reported_of_an_answer_that_took_long(
    tmp_path, arguments, destination, notify, written
):
    streams = terminal(**destination)
    paths = find_paths({"CHATCLI_CONFIG_DIR": str(tmp_path)})
    flags = {"notify": notify, "notify_after_s": 20, "plain": "--plain" in arguments or None}
    settings = resolve(flags, {}, paths, tmp_path)
    clock = ManualClock()
    for observer in notification_output(
        options(*arguments), settings, streams, lambda: "Capitals", clock=clock
    ):
        await observer(TurnStarted("small"))
        clock.now_s += 20
        await observer(TurnFinished(TurnResult("Paris.", "small", "stop")))
    assert (streams.out, streams.err) == ("", written)


@pytest.mark.parametrize(("arguments", "gap"), [([], "\n"), (["--plain"], "")])
async def test_an_answer_is_set_apart_from_the_lines_above_it_once(arguments, gap):
    streams = terminal(is_terminal=True, NO_COLOR="1")
    outputs = turn_outputs(options("-o", "text", *arguments), settings_of(options(*arguments)), streams)
    with closing(outputs.answer) as answer:
        await answer(TurnStarted("small"))
        outputs.status.remark("a fact")
        await answer(TextDelta("a"))
        await answer(TextDelta("b"))
    assert streams.err.lower().rstrip(".\n") == "a fact"
    assert streams.err[len(streams.err.rstrip("\n")) + 1 :] == gap


async def test_an_answer_with_nothing_above_it_leaves_no_gap():
    streams = terminal(is_terminal=True)
    with answering(options("-o", "text"), streams) as answer:
        await answer(TextDelta("a"))
    assert streams.err == ""
