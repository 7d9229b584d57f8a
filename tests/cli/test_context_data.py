from __future__ import annotations

from chatcli.chat.context_report import ContextReport, LeftOutTurns, ReportedPart
from chatcli.cli.run_chat import context_data


def test_what_is_seen_is_told_part_by_part_and_what_is_not_with_why():
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
            {"kind": "system", "tokens": 8, "turn": None, "cost_usd": None},
            {"kind": "turn", "tokens": 20, "turn": 5, "cost_usd": 0.25},
            {"kind": "question", "tokens": 9, "turn": None, "cost_usd": None},
        ],
        "left_out": [
            {"turns": [[1, 2], [4, 4]], "reason": "does not fit", "tokens": 99},
            {"turns": [[3, 3]], "reason": "dropped", "tokens": None},
        ],
    }
