"""The block splitter."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatcli.render.blocks import BlockSplitter

lines = st.sampled_from(
    [
        *["", "", "", "text", "more text", "# heading", "===", "---", "--", "***", "- - -", "_ _ _"],
        *[
            "- a",
            "- b",
            "* c",
            "-",
            "*",
            "  - nested",
            "   text",
            "  text",
            "    indented",
            "\tindented",
            "      deep",
        ],
        *["1. one", "2. two", "10) ten", "1.", "3.   wide", "-     code", "-\ttab", " - b"],
        *[
            "```",
            "```python",
            "~~~",
            "````",
            "  ```",
            "   ```",
            "    ```",
            "- ```",
            "1. ~~~",
            "``` no ` fence",
        ],
        *["> quote", ">", "> ```", "> - a", "  > inner", "    > x"],
        *["| a | b |", "|---|---|", "| 1 | 2 |", "a | b", "-|-", "| a |"],
        *["<div>", "</div>", "<!-- open", "--> end", "<!-- c -->", "<custom>", "</b>", "<b>x</b> y", "<pre>"],
        *["  <!--", "- <!--", "  <custom>", "</pre>", "- # h", "- <div>", "<?php", "?>"],
    ]
)
documents = st.lists(lines, max_size=14).map("\n".join)
parser = MarkdownIt().enable("table").enable("strikethrough").disable("reference")


def blocks_of(*pieces):
    splitter = BlockSplitter()
    return [block for piece in pieces for block in splitter.feed(piece)] + splitter.finish()


def meaning(source):
    return [(token.type, token.tag, token.content, token.level, token.info) for token in parser.parse(source)]


@settings(max_examples=500)
@given(documents)
def test_each_block_means_alone_what_it_means_in_the_whole(source):
    assert [token for block in blocks_of(source) for token in meaning(block)] == meaning(source)


@given(documents | st.text(), st.data())
def test_how_the_text_was_cut_makes_no_difference(source, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(source)), max_size=12)))
    pieces = [source[start:end] for start, end in zip([0, *cuts], [*cuts, len(source)], strict=True)]
    assert blocks_of(*pieces) == blocks_of(source) == blocks_of(*source)


@given(documents | st.text())
def test_the_blocks_joined_are_the_text(source):
    blocks = blocks_of(source)
    assert "".join(blocks) == source
    assert all(blocks)


@pytest.mark.parametrize(
    "blocks",
    [
        ["one\ntwo\n\n", "three\n"],
        ["# Title\n", "text\n", "## Next\n", "\n\nmore"],
        ["Title\n=====\n", "text\n\n", "more"],
        ["text\n", "```python\n\nx = 1\n\n# no heading\n```\n", "after\n"],
        ["````\n```\nnested\n```\n````\n", "after"],
        ["~~~\n```\n~~~\n", "after"],
        ["```\nnever closed\n\n- x\n"],
        ["Here:\n", "- a\n- b\n\n- c\n\n  more of c\n\n      code\n\n", "after"],
        ["1. a\n\n   ```\n   x\n\n   y\n   ```\n\n2. b\n\n", "# next\n"],
        ["1. a\n", "```\nx\n```\n", "2. b\n"],
        ["- a\nlazy\n\n", "after"],
        ["> a\n> b\n\n", "> c\n", "---\n"],
        ["| a | b |\n|---|---|\n| 1 | 2 |\n\n", "after"],
        ["    code\n\n    more\n\n", "text"],
        ["<div>\n# inside\n</div>\n\n", "text"],
        ["<!-- a\n\nb -->\n", "text"],
        ["***\n", "---\n", "text"],
        ["\n\ntext"],
    ],
)
def test_blocks_end_where_commonmark_ends_them(blocks):
    assert blocks_of("".join(blocks)) == blocks


@pytest.mark.parametrize(
    ("source", "blocks"),
    [
        ("para\n\n", 1),
        ("# heading\n", 1),
        ("```\nx\n```\n", 1),
        ("> q\n\n", 1),
        ("***\n", 1),
        ("- a\n\nb", 0),
    ],
)
def test_a_block_comes_as_soon_as_it_is_surely_complete(source, blocks):
    assert len(BlockSplitter().feed(source)) == blocks


@pytest.mark.parametrize(
    "source", ["- a\n  b\n\n", "x " * 40 + "\n", "```\n" + "y\n" * 40, "a" * 80, "> q\n"]
)
def test_the_cost_grows_with_the_length_only(source):
    splitter = BlockSplitter()
    begun_s = time.process_time()
    for _ in range(5_000):
        for start in range(0, len(source), 8):
            splitter.feed(source[start : start + 8])
    splitter.finish()
    assert time.process_time() - begun_s < 3
