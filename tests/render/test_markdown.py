"""The Markdown renderer and what it makes of rich."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from chatcli.core.events import (
    AnswerContinued,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
)
from chatcli.render.markdown import MarkdownRenderer
from chatcli.render.rich_markdown import rendered
from render.turns import show

END = TurnFinished(TurnResult("", "m"))
DOCUMENT = """\
# Title

A *paragraph* with `code` and [a link](https://example.com/x).

- one
- two

  ```python
  def f():
      return 1
  ```

1. first

2. second

> a quote

| a | b |
|---|--:|
| 日本 | 2 |

---

```make
all:
\tcc
```

The end.
"""


async def written(*texts, width=60, color_system=None, end=END):
    pieces = []
    renderer = MarkdownRenderer(pieces.append, width=lambda: width, color_system=color_system)
    await show(renderer, [*map(TextDelta, texts), end])
    return pieces


def plain(markdown, width=60):
    return rendered(markdown, width=width, color_system=None)


async def test_block_by_block_gives_what_the_whole_gives():
    whole = rendered(DOCUMENT, width=60, color_system="truecolor")
    assert "".join(await written(*DOCUMENT, color_system="truecolor")) == whole
    assert "".join(await written(DOCUMENT, color_system="truecolor")) == whole


async def test_a_block_is_written_once_when_it_is_complete():
    pieces = []
    renderer = MarkdownRenderer(pieces.append, width=lambda: 60, color_system=None)
    await show(renderer, [TextDelta("one\n"), TextDelta("\ntw")])
    assert pieces == ["one\n"]
    await show(renderer, [TextDelta("o"), END])
    assert pieces == ["one\n", "\ntwo\n"]


async def test_the_rest_of_a_code_block_is_code_and_what_stands_above_is_not_shown_again():
    pieces = []
    renderer = MarkdownRenderer(pieces.append, width=lambda: 60, color_system=None)
    so_far = AnswerContinued("See:\n\n```python\nx = *1*\n")
    await show(renderer, [so_far, TextDelta("y = *2*\n```\nDone."), END])
    assert "".join(pieces).split() == ["y", "=", "*2*", "Done."]
    pieces.clear()
    await show(renderer, [AnswerContinued("See:\n\n```\nx\n```\n\nSo "), TextDelta("it *is*."), END])
    assert pieces == ["it is.\n"]


@pytest.mark.parametrize("end", [TurnFinished, TurnFailed, TurnCancelled])
async def test_an_unfinished_block_is_shown_when_the_turn_ends(end):
    assert await written("```\nx = 1", end=end(TurnResult("", "m"))) == ["x = 1\n"]


async def test_no_answer_writes_nothing():
    assert await written() == []
    assert await written("\n\n") == []


async def test_the_next_turn_starts_anew():
    pieces = []
    renderer = MarkdownRenderer(pieces.append, width=lambda: 60, color_system=None)
    await show(renderer, [TextDelta("one"), END, TextDelta("two"), END])
    assert pieces == ["one\n", "two\n"]


async def test_a_renderer_that_fails_shows_the_source():
    assert await written("> " * 3_000 + "deep") == ["> " * 3_000 + "deep\n"]


async def test_the_width_is_asked_for_each_block():
    widths = iter([20, 40])
    pieces = []
    renderer = MarkdownRenderer(pieces.append, width=lambda: next(widths), color_system=None)
    await show(renderer, [TextDelta("***\n\n***\n"), END])
    assert [len(piece.strip()) for piece in pieces] == [20, 40]


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b]0;title\x07",
        "`\x1b[2J`",
        "```\n\x1b[2J\n```",
        "&#x202E; &#27; &ZeroWidthSpace; &#155;",
        "<https://x/%1B]0;evil%07%E2%80%AE>",
        "[a](<x\u202ey>) ![\x1b](\x9b)",
        "<b \x1b>",
        "<div \x1b>&#27;\n</div>",
        "```\x1b[31m\nx\n```",
        "| \x1b |\n|---|\n| &#x202e; |",
    ],
)
async def test_nothing_in_an_answer_acts_on_the_terminal(hostile):
    shown = "".join(await written(hostile))
    assert not set(shown) & set("\x1b\x07\x9b\u202e\u200b")


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("Use List<String> & <T>", "Use List<String> & <T>\n"),
        ("<details>\n  <summary>x</summary>\n</details>", "<details>\n  <summary>x</summary>\n</details>\n"),
        ("one<br>two<br/>three", "one\ntwo\nthree\n"),
        ("[text](https://a.example/)", "text (https://a.example/)\n"),
        ("[https://a.example/](https://a.example/)", "https://a.example/\n"),
        ("<https://a.example/> <me@a.example>", "https://a.example/ me@a.example\n"),
        ("[js](javascript:alert)", "[js](javascript:alert)\n"),
        ("![a picture](https://a.example/p.png)", "a picture (https://a.example/p.png)\n"),
        ("[x][1]\n\n[1]: https://a.example", "[x][1]\n\n[1]: https://a.example\n"),
        ("```\na  \n\n\tb\n```", "a  \n\n\tb\n"),
        ("```nosuchlanguage\nx\n```", "x\n"),
        ("x[bold] :smile:", "x[bold] :smile:\n"),
    ],
)
def test_nothing_of_an_answer_is_lost(markdown, shown):
    assert plain(markdown) == shown


def test_code_is_neither_wrapped_nor_padded():
    code = "x = " + "1 + " * 50 + "1"
    assert plain(f"```python\n{code}\n```\n", width=30) == code + "\n"


def test_code_inside_a_list_is_wrapped_and_kept():
    shown = plain("- item\n\n  ```\n  " + "word " * 20 + "\n  ```\n", width=30)
    assert shown.count("word") == 20
    assert max(map(len, shown.splitlines())) <= 30


def test_a_table_wider_than_the_terminal_is_shown_as_its_source():
    row = "|" + "cell|" * 40
    source = f"{row}\n|{'-|' * 40}\n{row}\n"
    assert plain(source, width=40) == source


def test_a_table_row_with_more_cells_than_columns_loses_none():
    source = "| a |\n|---|\n| x || y |\n"
    assert plain(source) == source
    assert plain("| a |\n|---|\n| x \\| y |\n").endswith("x | y\n")


def test_a_long_word_in_a_table_is_kept():
    word = "abcdefghij" * 10
    shown = plain(f"| a |\n|---|\n| {word} |\n", width=40)
    assert "".join(shown.split()).endswith(word)


def test_wide_characters_line_up():
    lines = plain("| a | b |\n|---|---|\n| 日本語 | x |\n| abcdef | y |\n").splitlines()
    assert {cell_len(line[: line.index(end)]) for line, end in zip(lines[-2:], "xy", strict=True)} == {9}


def test_without_colour_there_is_no_escape_sequence():
    assert "\x1b" not in plain(DOCUMENT)
    assert re.sub(r"\x1b\[[0-9;]*m", "", rendered(DOCUMENT, width=60, color_system="256")) == plain(DOCUMENT)


def test_lines_outside_code_do_not_end_in_blanks():
    assert not [line for line in plain(DOCUMENT).splitlines() if line.endswith(" ")]


def test_the_environment_of_the_process_plays_no_part(monkeypatch):
    before = rendered(DOCUMENT, width=60, color_system="256")
    for name, value in {"NO_COLOR": "1", "COLUMNS": "20", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    assert rendered(DOCUMENT, width=60, color_system="256") == before


snippets = st.sampled_from(
    [
        *"abc *_`[]()<>|#-!&\n\n\n日👍",
        "```\n",
        "- ",
        "1. ",
        "> ",
        "    ",
        "|---|\n",
        "**",
        "<br>",
        "&amp;",
        "\x1b[",
        "\u202e",
    ]
)


@settings(max_examples=200)
@given(st.lists(snippets, max_size=40).map("".join) | st.text(), st.integers(-5, 100))
async def test_whatever_a_model_writes_its_words_are_shown(source, width):
    shown = "".join(await written(source, width=width))
    if not set("`[|") & set(
        source
    ):  # the words of a fence's first line and of addresses are not the answer's
        assert source.count("日") <= shown.count("日")
        assert source.count("b") - source.count("<br>") <= shown.count("b")
    assert not set(shown) & set("\x1b\u202e")
    assert not shown or shown.endswith("\n")


def test_nobody_pays_for_rich_before_markdown_is_shown():
    program = (
        "import sys, chatcli.render.markdown, chatcli.render.extract, chatcli.render.status,"
        "chatcli.render.json_lines, chatcli.render.plain, chatcli.render.waiting;"
        "print([name for name in sys.modules if name.split('.')[0] in {'rich', 'pygments', 'markdown_it'}])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
