"""Answers for reading aloud: sentences, and visual structure in words."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.events import (
    ReasoningDelta,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFinished,
    TurnResult,
)
from chatcli.render.spoken_answer import SPOKEN_AFTER_S, SpokenAnswer
from conversation.fakes import ManualClock

END = TurnFinished(TurnResult("", "m"))


def start(speaker=""):
    written, remarks, clock = [], [], ManualClock()
    return SpokenAnswer(written.append, remarks.append, speaker=speaker, clock=clock), written, remarks, clock


async def spoken(*texts, end=END):
    answer, written, _, _ = start()
    for text in texts:
        await answer(TextDelta(text))
    await answer(end)
    return "".join(written).split("\n")[:-1]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("It is Paris. Not Rome! Is it?", ["It is Paris.", "Not Rome!", "Is it?"]),
        ("It is **Paris**, see `x` and [that](https://a.b).", ["It is Paris, see x and that (https://a.b)."]),
        ("是巴黎。不是罗马。", ["是巴黎。", "不是罗马。"]),
        ("Version 3.11 of e.g. this", ["Version 3.11 of e.g. this"]),
        (
            "Dr. Who lives in the U.S. There, i.e. here. No. 5 is no. A. B. C. is.",
            ["Dr. Who lives in the U.S. There, i.e. here.", "No. 5 is no.", "A. B. C. is."],
        ),
        ("1. First item. More.\n2. Second", ["1. First item.", "More.", "2. Second"]),
        ("- a\n  - b\n    1. c\n- d", ["• a", "• Level 2: b", "1. Level 3: c", "• d"]),
        (
            "So:\n\\[\na &= b \\\\\n c &= d. E\n\\]\nDone.",
            ["So:", "\\[", "a &= b \\\\", " c &= d. E", "\\]", "Done."],
        ),
        ("$$\nx_1 \\\\ y__2\n$$", ["$$", "x_1 \\\\ y__2", "$$"]),
        (
            "Let \\(\\alpha * b * c\\) and $a*b$. So `x. Y`.",
            ["Let \\(\\alpha * b * c\\) and $a*b$.", "So x. Y."],
        ),
        ("\\[\na \\\\\n\nnever closed", ["\\[", "a \\\\", "never closed"]),
        ("I work at AT&T", ["I work at AT&T"]),
        ("## Capitals\n\nParis", ["Heading: Capitals", "Paris"]),
        ("- one\n- [x] two\n1. three\n> four\n---", ["• one", "Done: two", "1. three", "four"]),
        (
            "See:\n```python\nx = 1\n\ny = 2\n```\nSo.",
            ["See:", "Code, python, 3 lines:", "x = 1", "", "y = 2", "End of code.", "So."],
        ),
        ("```\nnever closed", ["Code, 1 line:", "never closed", "End of code."]),
        (
            "| Name | **Qty** |\n|---|---|\n| a | 1 |\n| b | |\n\nDone.",
            [
                "Table, 2 columns: Name, Qty.",
                "Row 1: Name: a; Qty: 1.",
                "Row 2: Name: b.",
                "End of table, 2 rows.",
                "Done.",
            ],
        ),
        (
            "- | a | b |\n  |---|---|\n  | 1 | 2 |\n- x",
            ["Table, 2 columns: a, b.", "Row 1: a: 1; b: 2.", "End of table, 1 row.", "• x"],
        ),
        ("| no | table |", ["| no | table |"]),
        ("| no | table |\nat all.", ["| no | table |", "at all."]),
    ],
)
async def test_an_answer_is_read_in_words(text, lines):
    assert await spoken(text) == [*lines, "End of answer."]


async def test_a_sentence_is_written_as_soon_as_it_is_complete_and_not_before():
    answer, written, _, _ = start("Assistant: ")
    await answer(TextDelta("It is Par"))
    assert written == []
    await answer(TextDelta("is. And"))
    assert written == ["Assistant: It is Paris.\n"]
    await answer(END)
    assert written[1:] == ["And\n", "End of answer.\n"]


async def test_words_do_not_wait_for_the_end_of_a_long_sentence():
    answer, written, _, clock = start()
    await answer(TextDelta("one two thr"))
    clock.now_s += SPOKEN_AFTER_S
    answer.look()
    assert written == ["one two\n"]
    await answer(TextDelta("ee.\n"))
    await answer(END)
    assert written[1] == "three.\n"


async def test_slow_code_is_begun_without_its_number_of_lines():
    answer, written, _, clock = start()
    await answer(TextDelta("```sh\nls\n"))
    clock.now_s += SPOKEN_AFTER_S
    answer.look()
    assert written == ["Code, sh:\n", "ls\n"]
    await answer(TextDelta("pwd\n```\n"))
    await answer(END)
    assert written[2:] == ["pwd\n", "End of code, 2 lines.\n", "End of answer.\n"]


async def test_silence_and_thinking_are_reported_ever_more_rarely():
    answer, _, remarks, clock = start()
    await answer(ReasoningDelta("hm"))
    for _ in range(15):
        clock.now_s += 1
        await answer(ReasoningDelta("hm"))
        answer.look()
    assert remarks == ["thinking for 3 seconds", "thinking for 6 seconds", "thinking for 12 seconds"]
    await answer(TextDelta("Paris"))
    for _ in range(12):
        clock.now_s += 1
        answer.look()
    assert remarks[3:] == ["nothing new for 5 seconds", "nothing new for 10 seconds"]
    await answer(END)


async def test_an_answer_that_was_stopped_has_no_end_and_the_next_one_a_speaker():
    answer, written, _, _ = start("Assistant: ")
    await answer(TextDelta("It is"))
    await answer(TurnCancelled(TurnResult("", "m")))
    await answer(TextDelta("Paris."))
    await answer(END)
    assert written == ["Assistant: It is\n", "Assistant: Paris.\n", "End of answer.\n"]
    await asyncio.sleep(0)


async def test_words_that_turn_out_to_be_reasoning_are_reported():
    answer, written, remarks, _ = start("Assistant: ")
    await answer(TextDelta("hm, hm"))
    await answer(TextReclassified("hm, hm"))
    await answer(TextDelta("Paris."))
    await answer(END)
    assert written == ["Assistant: hm, hm\n", "Assistant: Paris.\n", "End of answer.\n"]
    assert remarks == ["the text before is reasoning, the answer follows"]


@given(st.lists(st.text("ab .!?\n-#*>。", max_size=20), max_size=8))
async def test_no_letter_is_lost(texts):
    written = re.sub("Heading: |End of answer.", "", "".join(await spoken(*texts)))
    assert re.sub("[^ab]", "", written) == re.sub("[^ab]", "", "".join(texts))


PARTS = (
    *(
        "One. ",
        "Two! ",
        "e.g. ",
        "Dr. Who",
        "U.S. ",
        "1. ",
        "- ",
        "  - [x] ",
        "> ",
        "\n",
        "\n\n",
        " $x. Y$ ",
        "\\[ a. B \\\\ \\] ",
        "\\[",
    ),
    *(
        "\n\\]\n",
        "`a. B` ",
        "[a. B](http://c.d/e) ",
        "**bold. Bolder** ",
        "是。",
        "”",
        "…",
        "| a | b |\n|---|---|\n",
        "| 1. X | 2 |\n",
        "x",
    ),
    *("```\n", "# H. I\n", "costs $5. ", "?", ")", " "),
)


@given(st.lists(st.sampled_from(PARTS), max_size=10), st.integers(1, 7))
async def test_the_lines_do_not_depend_on_how_the_text_was_cut(parts, size):
    text = "".join(parts)
    whole = await spoken(text)
    assert await spoken(*(text[at : at + size] for at in range(0, len(text), size))) == whole


@given(
    st.sampled_from(("So:\n", "- ", "")),
    st.lists(st.sampled_from(("a &= b \\\\", "\\frac{a}{b}", "x_1 * y_2 * z", "# 1. |")), min_size=1),
)
async def test_a_formula_is_left_as_it_is(before, rows):
    formula = "\n".join(["\\[", *rows, "\\]"])
    assert formula in "\n".join(await spoken(before + formula + "\nSo it is."))
