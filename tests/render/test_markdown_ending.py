from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatcli.render.markdown_ending import ended


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words",
        "```py\nx\n```",
        "- ```py\n  x\n  ```",
        "- ```\n  x",
        "> ```\n> x",
        "<div>\nx",
        "1. ```\n   x",
    ],
)
def test_text_with_nothing_open_is_unchanged(text):
    assert ended(text) == text


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a\n```py\nx", "```"),
        ("````md\n```", "````"),
        ("~~~\nx", "~~~"),
        ("<!-- x", "-->"),
        ("<pre>\nx", "</pre>"),
        ("<SCRIPT>\nx", "</script>"),
        ("<style>\nx", "</style>"),
        ("<?php", "?>"),
        ("<![CDATA[ x", "]]>"),
    ],
)
def test_an_open_construct_is_closed(text, end):
    assert ended(text) == f"{text}\n{end}"


chunks = st.sampled_from(
    [
        "```",
        "~~~",
        "````",
        "<!--",
        "-->",
        "<pre>",
        "</pre>",
        "<?",
        "<![CDATA[",
        "<!A",
        "> ",
        "- ",
        "1. ",
        "  ",
        "\n",
        "x",
    ]
)


@given(st.lists(chunks).map("".join))
def test_a_heading_can_follow_whatever_it_is(text):
    tokens = MarkdownIt("commonmark").parse(f"{ended(text)}\n\n## next\n")
    assert [token.type for token in tokens[-3:]] == ["heading_open", "inline", "heading_close"]
    assert tokens[-2].content == "next"
