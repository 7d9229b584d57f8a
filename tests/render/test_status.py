"""Status lines beside the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatcli.core.errors import Cancelled, ConfigurationError, InputTooLong, NetworkError, ServerFailed
from chatcli.core.events import (
    CitedSource,
    ContextFitted,
    Notice,
    Retrying,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
    Usage,
    Waiting,
)
from chatcli.render.status import (
    AnswerGap,
    StatusRenderer,
    error_lines,
    for_the_shell,
    measured,
    measurements,
)
from render.markdown.drawn import COLORED, PLAIN
from render.turns import CANCELLED, FAILED, FINISHED, show


@pytest.mark.parametrize(
    ("line", "kept", "lost"),
    [
        (
            "answer cut at the token limit; /continue gets the rest",
            "answer cut at the token limit; chatcli -c, then /continue gets the rest",
            "answer cut at the token limit",
        ),
        ("→ /continue gets the rest", "→ chatcli -c, then /continue gets the rest", ""),
        (
            Cancelled.PARTIAL_KEPT,
            "stopped; the partial answer is kept (chatcli -c, then /continue)",
            "stopped",
        ),
        (
            "continuing in memory; /save NAME saves it elsewhere",
            *("continuing in memory; -s PATH saves elsewhere",) * 2,
        ),
        ("kept", "kept", "kept"),
    ],
)
def test_in_the_shell_a_line_offers_only_what_works_there(line, kept, lost):
    assert for_the_shell(line, is_kept=True) == kept
    assert for_the_shell(line, is_kept=False) == lost


async def status_lines(*events, look=PLAIN, verbose=False, quiet=False):
    lines = []
    await show(StatusRenderer(lines.append, theme=look, verbose=verbose, quiet=quiet), events)
    return lines


async def test_a_warning_says_what_to_do_once_behind_all_of_its_kind():
    lines = await status_lines(
        Notice("injection", "a.txt, line 1: it orders"),
        Notice("injection", "b.txt, line 2: it orders"),
        ContextFitted(980, 1008, 0),
        TextDelta("Hi"),
        Notice("outgoing_link", "a link in the answer: it repeats your text"),
        FINISHED[-1],
    )
    assert lines[:5] == [
        "warning: a.txt, line 1: it orders",
        "warning: b.txt, line 2: it orders",
        "→ sent all the same: check whether the answer obeys it",
        "warning: a link in the answer: it repeats your text",
        "→ open it only if you know where it leads",
    ]


async def test_a_warning_stands_out_and_quiet_leaves_it_out():
    event = Notice("injection", "a.txt, line 1: it orders")
    (line,) = await status_lines(event, look=COLORED)
    (remark,) = await status_lines(Notice("model", "using x"), look=COLORED)
    assert line.split("warning")[0] != remark.split("using")[0]
    assert await status_lines(event, FINISHED[-1], quiet=True) == []


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (ContextFitted(980, 1008, 12), "left out 12 older turns: 980 of 1,008 tokens sent"),
        (ContextFitted(980, 1008, 1), "left out 1 older turn: 980 of 1,008 tokens sent"),
        (Retrying(2, 7.0, "429 from host"), "429 from host, retrying in 7 s (attempt 2)"),
        (Retrying(3, 0.25, "no\nroute"), "no route, retrying in 0.2 s (attempt 3)"),
        (Retrying(2, 7.0, "sorry about that!"), "sorry about that, retrying in 7 s (attempt 2)"),
        (Notice("x", "first\x1b]0;model"), "first␛]0;model"),
        (
            TurnFinished(TurnResult("a", "m", "length")),
            "answer cut at the token limit; /continue gets the rest",
        ),
        (
            TurnFinished(TurnResult("", "m", "length")),
            "cut at the token limit before the answer began: raise max_tokens",
        ),
        (
            TurnFinished(TurnResult("a", "m", "content_filter")),
            "answer cut by the endpoint's content filter",
        ),
        (TurnFinished(TurnResult("a", "m", "refusal")), "the model refused to go on"),
        (TurnFinished(TurnResult("a", "m", "tool_calls")), "the model called a tool without naming it"),
    ],
)
async def test_each_event_is_one_line(event, line):
    assert await status_lines(event) == [line]
    assert await status_lines(event, look=COLORED) == [f"\x1b[2m{line}\x1b[0m"]
    assert await status_lines(event, quiet=True) == []


CITED = TurnFinished(
    TurnResult(
        "a",
        "m",
        "stop",
        sources=(
            CitedSource(1, "Paris \x1b]0;x", "https://example.com/paris"),
            CitedSource(3, "", "https://example.com/\u202efrance"),
            CitedSource(4, "deep.pdf", path="deep.pdf"),
        ),
    )
)


async def test_sources_are_listed_below_an_answer_and_cannot_act_on_the_terminal():
    assert await status_lines(CITED) == [
        "sources:",
        "[1] Paris ␛]0;x · https://example.com/paris",
        "[3] https://example.com/<U+202E>france",
        "[4] deep.pdf",
    ]
    assert await status_lines(CITED, quiet=True) == []


async def test_sources_are_not_listed_if_the_answer_lists_them():
    lines = []
    await show(StatusRenderer(lines.append, theme=PLAIN, lists_sources=False), [CITED])
    assert lines == []


async def test_notices_about_an_answer_are_below_its_last_line():
    notice, other = Notice("refusal", "the model refused to answer: No."), Notice("x", "at once")
    assert await status_lines(notice, other) == ["at once"]
    assert await status_lines(notice, other, TurnFinished(TurnResult("Par", "m", "stop"))) == [
        "at once",
        "the model refused to answer: No.",
    ]
    assert await status_lines(notice, CANCELLED[-1], quiet=True) == []


@pytest.mark.parametrize(
    "code",
    ["answers_left_out", "outgoing_link", "prompt_cut_by_server", "spending_unwritten", "usage_doubted"],
)
async def test_what_is_found_at_the_end_of_an_answer_is_not_said_in_the_middle_of_its_text(code):
    found = Notice(code, "this is odd")
    assert await status_lines(TextDelta("Par"), found) == []
    lines = await status_lines(TextDelta("Par"), found, TurnFinished(TurnResult("Par", "m", "stop")))
    assert lines[0].removeprefix("warning: ") == "this is odd"


async def test_a_stopped_turn_is_one_line():
    assert await status_lines(CANCELLED[-1]) == ["stopped; the partial answer is kept (/continue)"]


@pytest.mark.parametrize(
    "event",
    [
        ContextFitted(980, 1008, 0),
        TextDelta("a"),
        Waiting(1.0, ""),
        TurnFinished(TurnResult("a", "m", "stop")),
        object(),
    ],
)
async def test_expected_events_are_not_written(event):
    assert await status_lines(event) == []


async def test_what_a_request_waits_for_that_was_not_sent_is_one_line():
    limit = Waiting(1.0, "rate limit of 5 requests a minute (41 s left)", is_held=True)
    events = [limit, limit, Waiting(3.0, "waiting for x"), TextDelta("Paris")]
    for options, expected in (
        ({}, ["not sent yet: rate limit of 5 requests a minute (41 s left)"]),
        ({"lists_retries": False}, []),
        ({"quiet": True}, []),
    ):
        lines = []
        await show(StatusRenderer(lines.append, theme=PLAIN, **options), events)
        assert lines == expected


async def test_an_error_is_followed_by_its_hint():
    lines = ["error: host is busy (request req_1)", "→ try again in a minute"]
    assert await status_lines(*FAILED) == lines
    assert await status_lines(*FAILED, quiet=True, look=COLORED) == lines


def test_an_error_without_hint_or_status_is_one_line():
    assert error_lines(ConfigurationError("no key")) == ["error: no key"]
    assert error_lines(NetworkError("no route")) == ["error: no route"]


async def test_an_error_body_cannot_act_on_the_terminal():
    error = NetworkError("a\r\nb\x1b[2J", hint="\u202ec", request_id="\x07")
    lines = await status_lines(TurnFailed(TurnResult("", "m", error=error)))
    assert lines == ["error: a b␛[2J (request ␇)", "→ <U+202E>c"]


async def test_verbose_ends_with_the_numbers_of_the_turn():
    assert (await status_lines(*FINISHED, verbose=True))[-1] == (
        "1,234 in (12 cached) · 345 out (5 reasoning) · 2.3 s · first text 0.4 s · $0.0012 · 2 attempts · 178 tokens/s · smollm2"
    )
    assert (await status_lines(*CANCELLED, verbose=True))[-1] == "~8 in · ~1 out · 0.5 s · smollm2"
    assert (await status_lines(*FAILED, verbose=True))[-1] == "1 s · 3 attempts · smollm2"


def test_unknown_numbers_are_left_out():
    assert measurements(TurnResult("", "m\x1b", usage=Usage(output_tokens=3), cached=True)) == (
        "3 out · from the cache · m␛"
    )


async def test_verbose_says_nothing_of_a_turn_that_nothing_is_known_of():
    stopped = TurnCancelled(TurnResult("", "smollm2", error=Cancelled(Cancelled.NOTHING_YET)))
    assert await status_lines(stopped, verbose=True) == await status_lines(stopped)


@pytest.mark.parametrize(("cost_usd", "words"), [(0.0, "free"), (0.00003, "under $0.0001"), (0.02, "$0.02")])
def test_a_cost_differs_from_zero_unless_it_is_free(cost_usd, words):
    assert measured(TurnResult("", "m", cost_usd=cost_usd)) == words


async def test_a_retry_is_no_line_where_another_line_shows_it():
    lines = []
    await show(StatusRenderer(lines.append, theme=PLAIN, lists_retries=False), [Retrying(2, 7.0, "429")])
    assert lines == []


def test_the_numbers_of_a_turn_say_how_often_it_was_asked():
    assert measurements(TurnResult("", "m", attempts=3)) == "3 attempts · m"


def test_the_ids_of_the_last_call_lead_to_the_logs_and_to_the_provider():
    ids = {"call_id": "c-1a2b3c4d", "request_id": "req_7\x1b"}
    assert measurements(TurnResult("", "m", **ids)) == "m · c-1a2b3c4d = req_7␛"
    assert measurements(TurnResult("", "m", call_id="c-1a2b3c4d")) == "m · c-1a2b3c4d"


def test_a_turn_that_a_failed_call_ended_before_its_own_request_names_that_call():
    error = ServerFailed("down").of_call("c-1a2b3c4d", "req_7")
    assert measurements(TurnResult("", "m", error=error)) == "m · c-1a2b3c4d = req_7"
    assert measurements(TurnResult("", "m", error=InputTooLong("too long"))) == "m"


def test_the_speed_is_that_of_the_answer_and_not_of_the_parts_read_before_it():
    result = TurnResult("", "m", usage=Usage(output_tokens=320), latency_s=11.0, ttft_s=10.0)
    assert "80 tokens/s" in measurements(replace(result, earlier_tokens=240))


def test_the_times_of_a_model_near_by_are_milliseconds():
    assert measured(TurnResult("", "m", latency_s=0.0996, ttft_s=0.0312)) == "100 ms · first text 31 ms"
    assert measured(TurnResult("", "m", latency_s=0.1, ttft_s=0.0)) == "0.1 s · first text 0 ms"


def test_an_answer_that_came_at_once_had_no_speed():
    at_once = TurnResult("", "m", usage=Usage(output_tokens=3), latency_s=1.0, ttft_s=1.0)
    assert measurements(at_once) == "3 out · 1 s · first text 1 s · m"


async def test_punctuation_is_not_doubled_before_a_reference():
    error = NetworkError("the model is busy.", request_id="r1")
    assert error_lines(error) == ["error: the model is busy (request r1)"]


async def test_an_answer_is_set_apart_from_the_lines_above_it_once():
    gaps = []
    gap = AnswerGap(lambda: gaps.append(""), is_due=lambda: True)
    await show(gap, [Waiting(1.0, ""), TextDelta("a"), TextDelta("b")])
    assert gaps == [""]
    await show(AnswerGap(lambda: gaps.append(""), is_due=lambda: False), [TextDelta("a")])
    assert gaps == [""]
