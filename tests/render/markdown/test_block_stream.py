"""Markdown blocks, independent of how their text is cut into chunks."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatcli.render.markdown.block_stream import LOOK_AHEAD_CHARACTERS, LOOK_AHEAD_LINES, BlockStream
from chatcli.render.markdown.blocks import (
    CodeText,
    Heading,
    ListStart,
    Paragraph,
    Table,
    TableRow,
    texts_of,
)
from chatcli.render.markdown.parser import DEEPEST, FIRST_ROWS
from render.markdown.html import html_of
from render.markdown.specification import SECTIONS


def emitted(*chunks):
    """Return the blocks emitted for the chunks, and those emitted only at the end."""
    stream = BlockStream({})
    during = [block for chunk in chunks for block in stream.feed(chunk)]
    return during, stream.finish()


def html(*chunks):
    references = {}
    stream = BlockStream(references)
    blocks = [block for chunk in chunks for block in stream.feed(chunk)]
    return html_of([*blocks, *stream.finish()], references)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_example_matches_the_specification(section):
    for example in SECTIONS[section]:
        assert (example, html(example.markdown)) == (example, example.html)
        assert (example, html(*example.markdown)) == (example, example.html)


MARKS = (
    "- ", "* ", "1. ", "2) ", "10. ", "> ", "    ", "  ", "\t", "\n", "\n\n", "a", "foo", "`", "```", "~~~", "*", "**",
    "_", "#", "## ", "---", "===", "|", "<div>", "</div>", "<!--", "-->", "[a]", "[a]: /u\n\n", "(b)", "![", "]", "\\",
    "  \n", "+", "x y", "<b>", "&amp;", "~~", "- - ", "\n  ", "\n    ", "\n- ", "\n> ",
)  # fmt: skip
DOCUMENTS = st.lists(st.sampled_from(MARKS), max_size=25).map(lambda marks: "".join(marks) + "\n")
REFERENCE = MarkdownIt("commonmark").enable("strikethrough")
# Cases where markdown-it differs from the reference implementation: a definition directly followed by text,
# and an empty item before a blank line.
DIFFERS = re.compile(r"\[a\]: /u.*\n[ \t>]*[^\s>]|(?:[-+*]|\d[.)])[ \t]*\n[ \t>]*\n")


def without_spaces(text):
    return re.sub(r"\s+", "", text)


@given(DOCUMENTS.filter(lambda text: not DIFFERS.search(text)))
def test_any_text_matches_another_parser(text):
    assert without_spaces(html(text)) == without_spaces(REFERENCE.render(text))


def cut(text, ends):
    places = sorted({0, len(text), *(end % (len(text) + 1) for end in ends)})
    return [text[start:end] for start, end in pairwise(places)]


@given(DOCUMENTS, st.lists(st.integers(0, 400)))
def test_the_chunks_make_no_difference(text, ends):
    chunks = cut(text, ends)
    during, after = emitted(*chunks)
    whole_during, whole_after = emitted(text)
    assert repr(during + after) == repr(whole_during + whole_after)


@given(DOCUMENTS)
def test_a_preview_of_whole_blocks_equals_the_finished_text(text):
    stream = BlockStream({})
    list(stream.feed(text + "\n"))
    preview = stream.preview()
    assert repr(preview) == repr(stream.finish())


@given(DOCUMENTS)
def test_a_preview_changes_nothing(text):
    stream = BlockStream({})
    blocks = []
    for character in text:
        blocks += stream.feed(character)
        stream.preview()
    during, _ = emitted(*text)
    assert repr(blocks) == repr(during)


class TestBeyondTheLookAhead:
    """Rules for text too long to hold back, as described in docs/guides/markdown.md."""

    def test_code_is_emitted_line_by_line(self):
        during, _ = emitted("```\n", "one\n", "two\nthr")
        assert [block.text for block in during if isinstance(block, CodeText)] == ["one", "two"]

    def test_a_long_paragraph_is_emitted_in_parts_that_join_to_the_whole(self):
        text = "word *marked text* " * 500
        during, after = emitted(*text)
        parts = [block for block in during if isinstance(block, Paragraph)]
        assert len(parts) > 5
        assert all(block.continues for block in parts)
        assert all(len(block.text) <= LOOK_AHEAD_CHARACTERS for block in parts)
        assert "".join(block.text for block in [*parts, *after]) == text.rstrip()
        assert all(part.text.count("*") % 2 == 0 for part in parts)

    def test_a_word_without_end_is_emitted_in_parts(self):
        during, after = emitted("x" * 50_000)
        assert len(during) > 50
        assert sum(len(block.text) for block in [*during, *after]) == 50_000

    def test_a_partly_emitted_paragraph_is_no_heading(self):
        during, after = emitted("word " * 300 + "\n===\n")
        assert not any(isinstance(block, Heading) for block in [*during, *after])
        assert after[-1].text.endswith("===")

    def test_a_list_is_tight_once_the_look_ahead_saw_no_blank_line(self):
        during, _ = emitted("- item\n" * (LOOK_AHEAD_LINES + 2), "\n- late\n")
        (start,) = [block for block in during if isinstance(block, ListStart)]
        assert not start.kind.is_loose
        assert len(during) > LOOK_AHEAD_LINES

    def test_the_items_of_a_long_list_are_emitted_one_by_one(self):
        stream = BlockStream({})
        list(stream.feed("- item\n" * 30))
        assert [len(list(stream.feed("- item\n"))) for _ in range(5)] == [3] * 5

    def test_a_loose_list_is_emitted_at_its_first_blank_line_between_items(self):
        during, _ = emitted("- one\n\n- two\n")
        assert during[0].kind.is_loose

    def test_a_link_waits_for_its_definition_as_long_as_the_look_ahead(self):
        early = emitted("[a]\n\n", "\n" * 5 + "[a]: /u\n\n")
        late = emitted("[a]\n\n", "\n" * LOOK_AHEAD_LINES)
        assert early[0] == late[0] == [Paragraph("[a]")]
        assert emitted("[a]\n\n", "\n" * 5)[0] == []

    def test_text_that_needs_no_definition_does_not_wait(self):
        for text in ("[x](y)", "`[a]`", "- [ ] task", r"\[a]", "[]", "see [b](<c d> 'title') now"):
            during, _ = emitted(f"{text}\n\nend\n\n")
            assert texts_of(during[-1]) == ("end",) or during == [], text
            assert emitted(f"{text.removeprefix('- ')}\n\n")[0] != [], text

    def test_a_table_is_emitted_once_its_first_rows_are_known_and_then_row_by_row(self):
        head = "| a | b |\n|---|---|\n"
        assert emitted(head, "| 1 | 2 |\n" * (FIRST_ROWS - 1))[0] == []
        during, _ = emitted(head, "| 1 | 2 |\n" * (FIRST_ROWS + 2))
        assert [type(block) for block in during] == [Table, TableRow, TableRow]

    def test_a_preview_stays_small_however_long_a_line_gets(self):
        stream = BlockStream({})
        for _ in range(500):
            list(stream.feed("# " + "x" * 1_000))
        assert sum(len(text) for block in stream.preview() for text in texts_of(block)) < 10_000

    def test_quotes_and_lists_are_opened_to_a_depth(self):
        during, after = emitted("> " * (DEEPEST + 10) + "deep\n")
        assert Paragraph("> " * 10 + "deep") in [*during, *after]


class TestTables:
    @pytest.mark.parametrize(
        ("header", "delimiters"),
        [
            ("| a | b |", "|---|---|"),
            ("a | b", "--|--"),
            ("| a | b", ":-- | --:"),
            ("a|b|", " :-:|-"),
            (r"| a \| b | c |", "|-|-|"),
            ("| a | b |", "|---|"),
            ("| a | b |", "---"),
            ("a b", "--|--"),
            ("| a |", "- "),
            ("text\n| a | b |", "|-|-|"),
        ],
    )
    @pytest.mark.parametrize(
        "body", ["", "| 1 | 2 |\n", "1\n", "| 1 |\n| 2 | 3 |\n\nend\n", "1 | `x`\n> quote\n", "1\n# end\n", "1\n    code\n"]
    )  # fmt: skip
    def test_match_another_parser(self, header, delimiters, body):
        parser = MarkdownIt("commonmark").enable(["strikethrough", "table"])
        text = f"{header}\n{delimiters}\n{body}"
        assert without_spaces(html(text)) == without_spaces(parser.render(text))

    def test_show_a_cell_too_many(self):
        _, after = emitted("| a | b |\n|---|---|\n| 1 | x | y | z |\n")
        assert [block.rows for block in after if isinstance(block, Table)] == [(("1", "x | y | z"),)]
