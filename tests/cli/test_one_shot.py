"""What a one-shot call reports: the context as JSON, and the exit code."""

from __future__ import annotations

import pytest

from chatcli.chat.context_report import ContextReport, LeftOutTurns, ReportedPart
from chatcli.cli.one_shot import context_data, exit_code
from chatcli.core.errors import Cancelled, KeyRefused, NetworkError
from chatcli.core.events import CitedSource, TurnCancelled, TurnFailed, TurnFinished, TurnResult
from chatcli.core.messages import ToolCallPart


def test_what_is_seen_is_reported_part_by_part_and_what_is_not_with_why():
    seen = ContextReport(
        "small",
        "truncate",
        4096,
        3072,
        parts=(
            ReportedPart("system", 8, "Be brief."),
            ReportedPart("turn", 20, "Hi", turn=5, cost_usd=0.25),
            ReportedPart("question", 9, "And?"),
        ),
        left_out=(LeftOutTurns((1, 2, 4), "does not fit", 99), LeftOutTurns((3,), "dropped")),
        estimated=False,
    )
    assert context_data(seen) == {
        "context": "truncate",
        "parts": [
            {"kind": "system", "tokens": 8, "turn": None, "cost_usd": None, "suspicious": False},
            {"kind": "turn", "tokens": 20, "turn": 5, "cost_usd": 0.25, "suspicious": False},
            {"kind": "question", "tokens": 9, "turn": None, "cost_usd": None, "suspicious": False},
        ],
        "left_out": [
            {"turns": [[1, 2], [4, 4]], "reason": "does not fit", "tokens": 99},
            {"turns": [[3, 3]], "reason": "dropped", "tokens": None},
        ],
    }


@pytest.mark.parametrize(
    ("finish_reason", "length_was_chosen", "code"),
    [
        ("stop", False, 0),
        ("tool_calls", False, 7),
        ("function_call", False, 7),
        ("refusal", True, 7),
        ("length", True, 0),
        ("length", False, 7),
        ("content_filter", True, 7),
        ("content_filter", False, 7),
    ],
)
def test_a_finished_turn_is_complete_unless_something_cut_it(finish_reason, length_was_chosen, code):
    end = TurnFinished(TurnResult("text", "small", finish_reason))
    assert exit_code(end, length_was_chosen=length_was_chosen) == code


@pytest.mark.parametrize("more", [{"refusal": "No."}, {"tool_calls": (ToolCallPart("1", "search", "{}"),)}])
def test_a_refusal_and_a_call_nobody_answers_are_incomplete_whatever_the_finish_reason_says(more):
    assert exit_code(TurnFinished(TurnResult("", "small", "stop", **more)), length_was_chosen=True) == 7


def test_sources_and_pictures_make_no_answer_incomplete():
    sources = (CitedSource(1, "Paris", "https://example.com"),)
    end = TurnFinished(TurnResult("Paris.", "small", "stop", sources=sources))
    assert exit_code(end, length_was_chosen=False) == 0


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (TurnFailed(TurnResult("", "small", error=KeyRefused("no"))), 4),
        (TurnFailed(TurnResult("half", "small", "length", error=NetworkError("gone"))), 6),
        (TurnCancelled(TurnResult("half", "small", error=Cancelled("stopped"))), 130),
    ],
)
def test_an_error_has_its_own_code(end, code):
    assert exit_code(end, length_was_chosen=False) == code
