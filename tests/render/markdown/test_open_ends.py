"""The end of an incomplete text, completed for the tail."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.render.markdown.open_ends import closed
from render.markdown.drawn import PLAIN, WrittenStream

DOCUMENT = """\
# A **bold** title with `code`

Some *slanted*, **bold**, ***both***, __bold too__ and ~~struck~~ words, a [link](https://example.com/a_b "Title"),
`some code`, an ![image](cat.png) and a snake_case_name. 重要なのは**「安全性」**であり。

- item with **bold
  over lines**
- [ ] a task with [a *link*](https://example.com)

| Name | **What** | Link |
|:-----|---------:|:----:|
| one | *two* | [three](https://example.com) |
| `a` | b | c |

> A quote with **bold** words

1. first
2. second with `code`

---

Title
=====

The end.
"""
SOURCE = re.compile(r"\*|__|\]\(|\[[a-z]|`{2,}|\|[ :]?-|^\s*[|#]|={3}|\bhttps:\S*\"|^-", re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a **bold", "a **bold**"),
        ("a **bold*", "a **bold**"),
        ("a **bold ", "a **bold**"),
        ("a **", "a"),
        ("a *", "a"),
        ("a **b** and *c", "a **b** and *c*"),
        ("**a *b", "**a *b***"),
        ("a ~~b", "a ~~b~~"),
        ("2 * 3", "2 * 3"),
        ("snake_case", "snake_case"),
        ("see `co", "see `co`"),
        ("see ``a ` b", "see ``a ` b``"),
        ("see ``a`", "see ``a``"),
        ("see `", "see"),
        ("see `*`", "see `*`"),
        ("see `**", "see `**`"),
        ("see [the te", "see the te"),
        ("see [the text]", "see the text"),
        ("see [the text](", "see the text"),
        ("see [the text](https://exa", "see the text"),
        ('see [the text](https://example.com "ti', "see the text"),
        ("see [a](b) and c", "see [a](b) and c"),
        ("see [1] and c", "see [1] and c"),
        ("an ![image](ca", "an image"),
        ("see <https://exa", "see"),
        ("a \\", "a"),
        ("", ""),
    ],
)
def test_open_marks_are_closed_or_removed(text, shown):
    assert closed(text) == shown


def test_at_no_moment_is_source_shown():
    stream = WrittenStream(PLAIN)
    printed = ""
    for at, character in enumerate(DOCUMENT):
        printed += stream.feed(character, 100)
        shown = printed + "\n".join(stream.tail(100, 40))
        assert SOURCE.search(shown) is None, (at, shown)


NESTED = """\
- item

  | Name | What |
  |------|------|
  | one  | two  |
- | in | it |
  |----|----|
  | a  | b  |

> A quote
>
> | Name | What |
> |------|------|
> | one  | two  |

1. one
   - > | deep | er |
     > |---|---|
     > | a | b |
"""


def test_nor_that_of_a_table_in_an_item_or_a_quote():
    stream = WrittenStream(PLAIN)
    printed = ""
    for at, character in enumerate(NESTED):
        printed += stream.feed(character, 100)
        shown = printed + "\n".join(stream.tail(100, 40))
        assert "|" not in shown, (at, shown)
        assert "--" not in shown, (at, shown)
    assert "deep" in shown


def test_a_table_is_one_from_its_header_on():
    stream = WrittenStream(PLAIN)
    stream.feed("| Name | Qu", 60)
    assert stream.tail(60, 9) == ["Name │ Qu", "─────┼───"]
    stream.feed("antity |\n|--", 60)
    assert stream.tail(60, 9) == ["Name │ Quantity", "─────┼─────────"]
    stream.feed("--|---|\n| o", 60)
    assert stream.tail(60, 9) == ["Name │ Quantity", "─────┼─────────", "o    │"]


@given(st.text("ab *_~`[]()!\\<&\n", max_size=60))
def test_closing_any_text_loses_no_letter(text):
    def letters(part):
        return re.sub("[^ab]", "", part)

    shown = closed(text)
    assert letters(text).startswith(letters(shown)) or letters(shown) in letters(text)
