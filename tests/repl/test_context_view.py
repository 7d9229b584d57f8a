"""The drawing of ``/context``."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.chat.context_report import ContextReport, LeftOutTurns, ReportedPart, ranges
from chatcli.render.themes import theme
from chatcli.repl.context_view import (
    Stretch,
    bar,
    comparison,
    comparison_sentences,
    context_sentences,
    context_view,
    differences,
    left_out_lines,
    shares,
)

PLAIN = theme("dark", None)
ESCAPES = re.compile(r"\x1b\[[\d;]*m")

SEEN = ContextReport(
    "small",
    "truncate",
    window_tokens=8192,
    budget_tokens=6144,
    parts=(
        ReportedPart("system", 120, "Be brief."),
        ReportedPart("note", 10, "Keep in mind: a"),
        ReportedPart("note", 12, "Keep in mind: b"),
        ReportedPart("pinned", 300, "mind me", turn=2),
        ReportedPart("turn", 700, "Capital of France?", turn=6),
        ReportedPart("turn", 900, "北京天气怎么样" * 9, turn=7),
        ReportedPart("question", 4, ""),
    ),
    left_out=(LeftOutTurns((1, 3, 4, 5), "does not fit", 9_000),),
    estimated=False,
)

kinds = st.sampled_from(["system", "note", "summary", "pinned", "retrieved", "turn", "question"])
seens = st.builds(
    lambda parts, budget, answer: replace(
        SEEN,
        parts=tuple(ReportedPart(kind, tokens, text, number) for number, (kind, tokens, text) in enumerate(parts, 1)),
        budget_tokens=budget,
        window_tokens=budget + answer,
    ),
    st.lists(st.tuples(kinds, st.integers(0, 10**6), st.text()), max_size=60),
    st.integers(0, 10**7),
    st.integers(0, 10**5),
)  # fmt: skip


def test_every_part_of_the_window_is_a_sign_and_a_row():
    drawn, *rows = PLAIN.painted(context_view(SEEN, 80)).split("\n")
    assert re.fullmatch(r"\[S+N{2,}P+T+t+\.+A+\]", drawn)
    assert [row.split()[0] for row in rows[:-1]] == ["S", "N", "P", "T", "T", ".", "A"]
    assert rows[1].startswith("N  2 notes")
    assert rows[2].startswith("P  turn 2, pinned: mind me")
    assert rows[2].endswith(" 300")
    assert rows[-1].split() == ["window", "of", "small", "8,192"]


def test_a_part_tells_what_it_costs_where_a_price_is_known_and_there_is_room():
    priced = replace(SEEN, parts=(ReportedPart("system", 120, "Be brief.", cost_usd=0.0012),))
    assert PLAIN.painted(context_view(priced, 80)).split("\n")[1].endswith("120  $0.0012")
    assert "$" not in PLAIN.painted(context_view(priced, 40))


def test_many_turns_are_reported_together_and_counts_that_are_estimated_are_marked():
    turns = tuple(ReportedPart("turn", 10, "so", turn=number) for number in range(3, 40) if number != 9)
    text = PLAIN.painted(context_view(replace(SEEN, parts=turns, estimated=True), 80))
    assert re.search(r"T  6 turns, 3–8 +~60\n", text)
    assert re.search(r"T  30 turns, 10–39 +~300\n", text)
    assert re.search(r"window of small +8,192", text)


def test_a_turn_names_what_is_attached_to_it():
    attached = ("“On cats” https://host.example/cats", "notes.md")
    turn = ReportedPart("turn", 10, "What do they say of purring, and since when?", turn=1, attached=attached)
    row = PLAIN.painted(context_view(replace(SEEN, parts=(turn,)), 100)).split("\n")[1]
    assert "turn 1: What do they say of pur… + “On cats” https://host.example/cats, notes.md " in row


def test_read_aloud_each_part_is_a_sentence():
    turns = tuple(ReportedPart("turn", 10, "so", turn=number) for number in range(3, 40) if number != 9)
    seen = replace(SEEN, parts=(*SEEN.parts[:3], *turns), estimated=True)
    assert context_sentences(seen).split("\n") == [
        "System prompt, about 120 tokens.",
        "2 notes, about 22 tokens.",
        "6 turns, 3 to 8, about 60 tokens.",
        "30 turns, 10 to 39, about 300 tokens.",
        f"Free for a question, about {seen.free_tokens:,} tokens.",
        "Reserved for the answer, 2,048 tokens.",
        "Window of small, 8,192 tokens.",
    ]


def test_read_aloud_a_turn_has_its_words_behind_its_count():
    line = context_sentences(replace(SEEN, parts=(ReportedPart("turn", 7, "Why: so?", turn=2),))).split("\n")[
        0
    ]
    assert line == "Turn 2, 7 tokens: Why: so?"


def test_read_aloud_a_comparison_names_both_sides_of_each_count():
    then = replace(SEEN, model_name="large", window_tokens=131_072)
    lines = comparison_sentences(SEEN, then).split("\n")
    assert lines[0] == "System prompt: 120 with small, 120 with large."
    assert lines[-1] == "Window: 8,192 with small, 131,072 with large."


@pytest.mark.parametrize("colors", [None, "standard", "256", "truecolor"])
def test_colours_change_nothing_about_the_signs(colors):
    assert ESCAPES.sub("", theme("dark", colors).painted(context_view(SEEN, 60))) == PLAIN.painted(
        context_view(SEEN, 60)
    )


@given(seens, st.sampled_from([20, 40, 80, 10_000]))
def test_no_row_is_wider_than_the_terminal(seen, columns):
    rows = PLAIN.painted(context_view(seen, columns)).split("\n")
    assert max(map(width, rows)) <= columns
    assert max(map(width, comparison(seen, SEEN, columns).split("\n"))) <= columns


@given(st.lists(st.integers(0, 10**9), max_size=50), st.integers(1, 200))
def test_cells_are_all_given_away_and_nothing_is_hidden_where_there_is_room(weights, cells):
    given_away = shares(weights, cells)
    if len(weights) <= cells:
        assert all(given_away)
        assert not sum(weights) or sum(given_away) == cells
    else:
        assert sum(given_away) == cells


def test_a_bar_fills_its_row_and_empty_segments_take_no_cell():
    parts = [Stretch("a", "rule", 1), Stretch("b", "rule", 0), Stretch("c", "math", 1)]
    assert bar(parts, 12) == [("[", "rule"), ("aaaaa", "rule"), ("ccccc", "math"), ("]", "rule")]
    assert bar([], 12) == [("[", "rule"), ("]", "rule")]


def test_what_is_left_out_is_reported_with_why():
    assert list(left_out_lines(SEEN)) == ["not sent: turns 1, 3–5 (~9,000 tokens): does not fit"]


def test_a_comparison_tells_the_numbers_side_by_side_and_which_turns_differ():
    then = replace(
        SEEN, context="middle-out", parts=(ReportedPart("turn", 700, "One", turn=1), *SEEN.parts[:4])
    )
    rows = [row.split() for row in comparison(SEEN, then, 80).split("\n")]
    assert rows[0] == ["truncate", "middle-out"]
    assert ["turns", "sent", "3", "2"] in rows
    assert list(differences(SEEN, then)) == ["it would also send turn 1", "it would leave out turns 6–7"]
    assert list(differences(SEEN, SEEN)) == ["no difference: same turns"]


def test_numbers_that_follow_each_other_are_reported_as_a_range():
    assert ranges([]) == ""
    assert ranges([1, 2, 3, 7, 9, 10]) == "1–3, 7, 9–10"
