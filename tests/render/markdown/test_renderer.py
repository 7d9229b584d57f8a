"""Markdown where nothing can be redrawn, and output that is safe for a terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.events import (
    AnswerContinued,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
)
from chatcli.render.markdown.renderer import MarkdownRenderer
from render.markdown.drawn import COLORED, PLAIN, without_styles
from render.turns import show

END = TurnFinished(TurnResult("", "m"))


async def written(*texts, theme=PLAIN, width=60, end=END):
    chunks = []
    renderer = MarkdownRenderer(chunks.append, theme, width=lambda: width)
    await show(renderer, [*map(TextDelta, texts), end])
    return chunks


async def test_rows_are_written_once_when_they_are_finished():
    chunks = []
    renderer = MarkdownRenderer(chunks.append, PLAIN, width=lambda: 60)
    await show(renderer, [TextDelta("one\n"), TextDelta("\ntw")])
    assert chunks == ["one\n"]
    await show(renderer, [TextDelta("o"), END])
    assert chunks == ["one\n", "\ntwo\n"]


async def test_an_answer_that_is_continued_is_not_written_again():
    chunks = []
    renderer = MarkdownRenderer(chunks.append, PLAIN, width=lambda: 60)
    await show(renderer, [AnswerContinued("```\none\n"), TextDelta("*two*"), END])
    assert chunks == ["*two*\n"]


@pytest.mark.parametrize("end", [TurnFinished, TurnFailed, TurnCancelled])
async def test_unfinished_text_is_written_when_the_turn_ends(end):
    assert await written("```\nx = 1", end=end(TurnResult("", "m"))) == ["── 1 ──\n", "x = 1\n"]


async def test_the_cursor_is_never_moved_in_a_pipe():
    table = "| 👨‍👩‍👧 a | b |\n|---|---|\n| ✅ [x](https://e.f) | ~~y~~ |\n"
    shown = "".join(await written(table, theme=COLORED))
    assert "https://e.f" in shown
    assert "\x1b" not in without_styles(shown)


async def test_no_answer_writes_nothing():
    assert await written() == []


async def test_the_width_is_asked_for_each_block():
    widths = iter([20, 40, 60])
    chunks = []
    renderer = MarkdownRenderer(chunks.append, PLAIN, width=lambda: next(widths))
    await show(renderer, [TextDelta("***\n\n"), TextDelta("***\n"), END])
    assert [len(chunk.strip()) for chunk in chunks] == [20, 40]


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b]0;title\x07",
        "`\x1b[2J`",
        "```\n\x1b[2J\n```",
        "&#x202E; &#27; &ZeroWidthSpace; &#155;",
        "<https://x/%1B]0;evil%07%E2%80%AE>",
        "[a](<x\u202ey>) ![\x1b](\x9b)",
        "[a](https://x/\x1b\\\x07)",
        "<b \x1b>",
        "<div \x1b>&#27;\n</div>",
        "```\x1b[31m\nx\n```",
        "| \x1b |\n|---|\n| &#x202e; |",
        "- [ ] \x1b[m\n\n# \x9b",
    ],
)
async def test_nothing_in_an_answer_acts_on_the_terminal(hostile):
    assert not set("".join(await written(hostile))) & set("\x1b\x07\x9b\u202e\u200b")
    assert not set(without_styles("".join(await written(hostile, theme=COLORED)))) & set(
        "\x1b\x07\x9b\u202e\u200b"
    )


@given(st.text() | st.text("abc *_`[]()<>|#-!&\n日👍\x1b\u202e", max_size=60), st.integers(1, 100))
async def test_whatever_a_model_writes_ends_in_a_newline_and_is_safe(source, width):
    shown = "".join(await written(source, width=width))
    assert not set(shown) & set("\x1b\u202e")
    assert not shown or shown.endswith("\n")
    if not set("[|`") & set(source):  # the marks of links and fences are not shown
        assert shown.count("日") == source.count("日")


def test_markdown_is_not_loaded_before_it_is_shown():
    program = (
        "import sys, chatcli.render.extract, chatcli.render.status, chatcli.render.json_output, chatcli.render.plain,"
        "chatcli.render.waiting_line, chatcli.render.theme_in_force;"
        "print([name for name in sys.modules if name.split('.')[0] in {'rich', 'pygments', 'markdown_it'}])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
