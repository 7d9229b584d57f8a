"""Answers on a terminal, cell by cell: texts, colours and links, at several widths and in every mode.

To update the golden files: ``WRITE_SCREENS=1 scripts/test tests/render/test_screens.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_answer import answer
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.core.events import TextDelta, TurnFinished, TurnResult
from chatcli.render.live_answer import LiveAnswer
from chatcli.render.markdown.renderer import MarkdownRenderer
from chatcli.render.reasoning import Reasoning
from chatcli.render.themes import theme
from render.cell_screen import Row
from render.code.samples import SAMPLES
from render.golden_screens import (
    COLORED,
    EVERY_COLORED,
    UNCOLORED,
    WIDTHS,
    Golden,
    described,
    drawn,
    shown,
)
from render.markdown.specification import EXAMPLES
from render.markdown.test_block_stream import cut
from render.turns import show
from terminal.test_screen import desk

GOLDEN = Path(__file__).parent / "golden" / "screens"
ANSWERS = {path.stem: path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("answers/*.md"))}
THOUGHTS = (
    "Let me think about this, and for so long that it takes more than one row of a narrow terminal.\n\nYes."
)


async def screens_of(text, modes=COLORED, *, widths=WIDTHS, **thoughts):
    return {
        columns: described(
            {mode: await drawn([text], look, columns, **thoughts) for mode, look in modes.items()},
            await drawn([text], UNCOLORED, columns, **thoughts),
        )
        for columns in widths
    }


async def check(name, texts, modes=COLORED, **options):
    golden = Golden(GOLDEN / f"{name}.txt", modes)
    for title, text in texts.items():
        golden.add(title, await screens_of(text, modes, **options))
    golden.check()


class TestAreAsRecorded:
    async def test_for_answers_with_everything_in_them(self):
        await check("answers", ANSWERS, EVERY_COLORED)

    async def test_for_a_long_answer(self):
        await check("long-answer", {"long": answer(1_500).text})

    async def test_for_code_in_many_languages(self):
        # Only the terminal's own width matters.
        samples = {language: f"```{language}{text}```\n" for language, text in SAMPLES.items()}
        await check("code", samples, widths=[140])

    async def test_for_the_examples_of_the_specification(self):
        await check("commonmark", {str(example): example.markdown for example in EXAMPLES})

    async def test_for_thoughts_above_an_answer(self):
        golden = Golden(GOLDEN / "reasoning.txt", EVERY_COLORED)
        for name, shows_thoughts in (("shown", True), ("folded", False)):
            options = {"thoughts": THOUGHTS, "shows_thoughts": shows_thoughts}
            golden.add(name, await screens_of("The answer.", EVERY_COLORED, **options))
        golden.check()


class TestAreTheSame:
    @given(
        st.sampled_from(list(ANSWERS.values())),
        st.sampled_from(WIDTHS),
        st.lists(st.integers(0, 2_000), max_size=30),
    )
    @settings(max_examples=15)
    async def test_however_the_answer_was_cut_and_drawn_meanwhile(self, text, columns, ends):
        whole = await drawn([text], COLORED["dark"], columns)
        assert await drawn(cut(text, ends), COLORED["dark"], columns, frames=True) == whole

    @pytest.mark.parametrize("name", ANSWERS)
    async def test_but_for_the_links_on_a_terminal_that_reads_none(self, name):
        linked = await drawn([ANSWERS[name]], COLORED["dark"], 80)
        assert await drawn([ANSWERS[name]], theme("dark", "truecolor", links=False), 80) == [
            Row(tuple(cell._replace(link="") for cell in row.cells), row.wraps) for row in linked
        ]

    @pytest.mark.parametrize("name", ANSWERS)
    async def test_where_nothing_is_redrawn(self, name):
        chunks = []
        renderer = MarkdownRenderer(chunks.append, COLORED["dark"], width=lambda: 79)
        await show(renderer, [TextDelta(ANSWERS[name]), TurnFinished(TurnResult("", "m"))])
        assert shown("".join(chunks), 80) == await drawn([ANSWERS[name]], COLORED["dark"], 80)

    @pytest.mark.parametrize("name", ANSWERS)
    async def test_above_the_line_a_person_writes_in(self, name):
        async with desk() as at:
            observer = LiveAnswer(
                at.screen, COLORED["dark"], reasoning=Reasoning(COLORED["dark"]), shows_reasoning=False
            )
            await show(observer, [TextDelta(ANSWERS[name]), TurnFinished(TurnResult("", "m"))])
            written = "".join(at.glass.writes)
        rows = await drawn([ANSWERS[name]], COLORED["dark"], 60)
        assert shown(written, 60)[: len(rows)] == rows
