"""The Markdown engine: final rows, the previewed tail, and the look of each block."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import width

from chatcli.render.themes import theme
from render.markdown.drawn import COLORED, PLAIN, WrittenStream, in_chunks, lines, rendered, without_styles
from render.markdown.specification import EXAMPLES
from render.markdown.test_block_stream import DOCUMENTS, cut

LONG = "\n\n".join(
    [
        "# A long answer",
        "word *emphasis* `code` [link](https://example.com) " * 60,
        "\n".join(f"- item {number}" for number in range(40)),
        "\n\n".join(f"1. loose {number}\n   - [x] inner" for number in range(15)),
        "x" * 2_500,
        "中文没有空格" * 250,
        "| a | 名 |\n|:-:|--:|\n" + "| one | two three four |\n" * 45,
        "- deep\n  ```python\n" + "  x = '''\n  y'''  # end\n" * 40 + "  ```",
        "> quoted " * 90,
        "[late]\n\nend\n\n[late]: https://example.com/late",
    ]
)
WIDTHS = st.integers(20, 200)
_TEXTS = [example.markdown for example in EXAMPLES]
TENS = ["\n\n".join(_TEXTS[at : at + 10]) for at in range(0, len(_TEXTS), 10)]
"""Documents longer than the look-ahead, with definitions of links that come late."""


class TestHoweverTheTextIsCut:
    @given(st.sampled_from(EXAMPLES), WIDTHS, st.lists(st.integers(0, 300)))
    def test_an_example_of_the_specification_ends_up_the_same(self, example, columns, ends):
        assert in_chunks(cut(example.markdown, ends), columns) == rendered(example.markdown, COLORED, columns)

    @given(DOCUMENTS, WIDTHS, st.lists(st.integers(0, 300)))
    def test_any_text_ends_up_the_same(self, text, columns, ends):
        assert in_chunks(cut(text, ends), columns) == rendered(text, COLORED, columns)

    # Eleven thousand characters are drawn twice for each.
    @settings(max_examples=10 if settings.default.derandomize else settings.default.max_examples)
    @given(WIDTHS, st.lists(st.integers(0, len(LONG)), max_size=60))
    def test_a_long_answer_ends_up_the_same(self, columns, ends):
        assert in_chunks(cut(LONG, ends), columns) == rendered(LONG, COLORED, columns)

    @pytest.mark.parametrize("columns", [34, 80])
    @pytest.mark.parametrize("text", TENS, ids=range(len(TENS)))
    def test_ten_examples_in_a_row_end_up_the_same_character_by_character(self, text, columns):
        stream = WrittenStream(COLORED)
        shown = "".join(stream.feed(character, columns) for character in text)
        assert shown + stream.finish(columns) == rendered(text, COLORED, columns)

    @given(st.sampled_from(TENS), st.sampled_from([34, 80]), st.lists(st.integers(0, 5_000), max_size=20))
    def test_ten_examples_in_a_row_end_up_the_same(self, text, columns, ends):
        assert in_chunks(cut(text, ends), columns) == rendered(text, COLORED, columns)

    def test_a_link_with_a_late_definition_is_text_however_it_was_cut(self):
        text = "Foo [bar] here\n\n" + "A paragraph of its own.\n\n" * 12 + "[bar]: /url\n"
        assert rendered(text, PLAIN, 80) == in_chunks(text, 80, PLAIN)
        assert rendered(text, PLAIN, 80).startswith("Foo [bar] here\n")

    @pytest.mark.parametrize("columns", [20, 39, 80, 200])
    def test_a_long_answer_character_by_character_ends_up_the_same(self, columns):
        stream = WrittenStream(COLORED)
        shown = "".join(stream.feed(character, columns) for character in LONG)
        assert shown + stream.finish(columns) == rendered(LONG, COLORED, columns)


class TestTheTail:
    @given(DOCUMENTS, WIDTHS)
    def test_of_whole_blocks_equals_the_finished_rows(self, text, columns):
        stream = WrittenStream(PLAIN)
        stream.feed(text + "\n", columns)
        tail = stream.tail(columns, 1_000)
        rest = stream.finish(columns).split("\n")[:-1]
        # A terminal wraps a row of code that is too wide, and its tabs are eight columns wide.
        spread = [row.expandtabs(8) for row in rest]
        assert tail == [
            row[at : at + columns] for row in spread for at in range(0, max(1, len(row)), columns)
        ]

    @given(st.one_of(DOCUMENTS, st.text("中é\t a👩‍👩‍👧`*|\n", max_size=200)), st.integers(10, 60))
    def test_is_never_wider_or_longer_than_there_is_room(self, text, columns):
        stream = WrittenStream(COLORED)
        stream.feed(text, columns)
        tail = stream.tail(columns, 5)
        assert len(tail) <= 5
        assert all(width(without_styles(row)) <= columns for row in tail)
        assert not any("\n" in row or "\t" in row for row in tail)

    def test_stays_small_whatever_grows(self):
        for chunk in ("word ", "x", "- item\n", "> quote\n", "| a |\n", "中", "[a](", "*", "```\n"):
            stream = WrittenStream(PLAIN)
            stream.feed("| a |\n|---|\n" if "|" in chunk else "", 80)
            for _ in range(20):
                stream.feed(chunk * 200, 80)
                assert len(stream.tail(80, 10_000)) < 150, chunk

    def test_holds_no_links(self):
        stream = WrittenStream(COLORED)
        stream.feed("[a](https://example.com)", 80)
        assert "]8;;" not in "".join(stream.tail(80, 5))


class TestAResize:
    def test_wraps_unfinished_rows(self):
        stream = WrittenStream(PLAIN)
        text = "word " * 400
        before = stream.feed(text[:1_000], 80)
        after = stream.feed(text[1_000:], 30) + stream.finish(30)
        assert before.split() + after.split() == text.split()
        assert all(len(row) <= 30 for row in after.split("\n"))

    def test_in_the_middle_of_a_table_lays_its_columns_out_anew(self):
        stream = WrittenStream(PLAIN)
        row = "| one two | " + "word " * 12 + "|\n"
        stream.feed("| a | b |\n|---|---|\n" + row * 25, 80)
        rows = stream.feed(row, 42)
        assert all(len(row) <= 42 for row in rows.split("\n"))
        assert rows.count("word") == 12


class TestBlocks:
    def test_stand_apart_by_one_blank_line(self):
        assert lines("one\n\n\n\nthree\n***\n") == ["one", "", "three", "", "─" * 60]

    def test_headings_are_underlined_as_long_as_they_are(self):
        assert lines("# 标题\n## Two `x`\n### Three") == [
            "标题",
            "════",
            "",
            "Two `x`",
            "───────",
            "",
            "Three",
        ]

    def test_a_tight_list_has_no_gaps_and_a_loose_one_has(self):
        assert lines("- one\n- two\n  - in\n    - deeper\n") == ["• one", "• two", "  ◦ in", "    ▪ deeper"]
        assert lines("1. one\n\n2. two\n") == ["1. one", "", "2. two"]

    def test_an_ordered_list_counts_from_its_first_number(self):
        assert lines("9) a\n9) b\n9) c") == ["9) a", "10) b", "11) c"]

    def test_items_wrap_below_their_text(self):
        assert lines("1. one two three\n10. " + "four " * 4, 14) == [
            "1. one two",
            "   three",
            "2. four four",
            "   four four",
        ]

    def test_tasks_have_boxes(self):
        assert lines("- [ ] open\n- [x] done\n- [y] none\n1. [X] one") == [
            "☐ open",
            "☑ done",
            "• [y] none",
            "",
            "1. ☑ one",
        ]

    def test_an_empty_item_is_shown(self):
        assert lines("- one\n-\n- two") == ["• one", "•", "• two"]

    def test_quotes_have_bars_that_go_through(self):
        assert lines("> one\n>\n> - two\n> > three") == ["│ one", "│", "│ • two", "│", "│ │ three"]

    def test_code_is_numbered_labelled_and_otherwise_as_it_is(self):
        assert lines("```python {.x}\nif  x:\n\ty   \n```\n\n```\nz\n```\n\n    w") == [
            "── 1 · python ──", "if  x:", "\ty", "", "── 2 ──", "z", "", "w",
        ]  # fmt: skip

    def test_a_code_line_is_never_broken(self):
        assert lines("```\n" + "x " * 100 + "y\n```", 20)[1] == "x " * 100 + "y"

    def test_a_fence_in_a_block_of_markdown_is_part_of_it(self):
        text = "```markdown\n# T\n\n```bash\nls\n```\n\nEnd\n```\n\nAfter"
        assert lines(text) == [
            "── 1 · markdown ──",
            "# T",
            "",
            "```bash",
            "ls",
            "```",
            "",
            "End",
            "",
            "After",
        ]

    def test_a_formula_of_several_lines_is_left_as_it_is(self):
        formula = ["$$", r"\begin{aligned}", r"a &= b_1 * c_1 \\", r"  &= *d*", r"\end{aligned}", "$$"]
        assert lines("\n".join(["so", *formula, "and *so*"])) == ["so", "", *formula, "", "and so"]
        assert lines("- \\[\n  x_1 * y_1 * z\n  \\]\n") == [r"• \[", "  x_1 * y_1 * z", r"  \]"]
        assert lines("$$ a *b*\n*c* $$\n*d*") == ["$$ a *b*", "*c* $$", "", "d"]

    def test_an_invalid_display_formula_is_text(self):
        assert lines("$$ is the *pid*\n\nand *so*") == ["$$ is the *pid*", "", "and so"]
        assert lines("the pid is\n$$ in *sh*") == ["the pid is", "$$ in sh"]
        assert lines("$$a*b*c$$ is *one*") == ["$$a*b*c$$ is one"]

    def test_text_that_looks_like_a_fence_and_is_none_is_text(self):
        assert lines("``` a`b\ntext") == ["``` a`b", "text"]

    def test_html_is_shown_as_it_is(self):
        assert lines("<details>\n<b>x</b>\n\ny <i>z</i><br>w") == [
            "<details>",
            "<b>x</b>",
            "",
            "y <i>z</i>",
            "w",
        ]

    def test_the_rest_of_a_code_block_is_code_and_earlier_text_is_not_repeated(self):
        stream = WrittenStream(PLAIN)
        stream.continue_after("See:\n\n```c\na\n```\n\n```python\nx = *1*\n")
        assert stream.feed("y = *2*\n```\nDone.\n\n```\nz\n", 60) == "y = *2*\n\nDone.\n\n── 3 ──\nz\n"
        stream = WrittenStream(PLAIN)
        stream.continue_after("So ")
        assert stream.feed("it is.\n\n", 60) == "it is.\n"

    def test_no_text_is_nothing(self):
        assert lines("") == lines("\n\n") == lines("[a]: /u") == []


class TestTables:
    TABLE = "| Name | 数量 |\n|:-----|----:|\n| 日本 | 2 |\n| b | 100 |\n"

    def test_line_their_columns_up_whatever_the_script(self):
        assert lines(self.TABLE) == ["Name │ 数量", "─────┼─────", "日本 │    2", "b    │  100"]

    def test_that_are_too_wide_wrap_in_their_cells(self):
        assert lines("| a | b |\n|---|:-:|\n| " + "word " * 8 + "| " + "字" * 20 + " |\n| x | y |", 41) == [
            "a                   │          b",
            "────────────────────┼────────────────────",
            "word word word word │ 字字字字字字字字字",
            "word word word word │ 字字字字字字字字字",
            "                    │        字字",
            "╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┼╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌",
            "x                   │          y",
        ]

    def test_have_straight_bars_whatever_a_terminal_takes_an_emoji_for(self):
        table = "> | a | b |\n> |---|---|\n> | 👨‍👩‍👧 ok | x |\n> | plain | x |\n"
        header, _, emoji, plain = rendered(table, COLORED, 60).split("\n")[:-1]
        assert "\x1b[8G" in emoji
        assert without_styles(emoji.replace("\x1b[8G", "")) == "│ 👨‍👩‍👧 ok │ x"
        assert not any("\x1b[8G" in row for row in (header, plain))
        assert "\x1b[" not in rendered(table, PLAIN, 60)

    @pytest.mark.parametrize("row", ["|  |  |", "|||", "||"])
    def test_keep_their_empty_rows(self, row):
        table = f"| a | b |\n|---|---|\n| 1 | 2 |\n{row}\n| 3 | 4 |\n"
        assert lines(table)[2:] == ["1 │ 2", "  │", "3 │ 4"]

    def test_stay_tables_on_narrow_terminals_as_long_as_their_columns_are_readable(self):
        assert lines(self.TABLE, 15)[0] == "Name │ 数量"
        assert lines("| a | b |\n|---|---|\n| 北京市海淀区中关村 | x |\n", 12) == [
            "a        │ b",
            "─────────┼──",
            "北京市海 │ x",
            "淀区中关 │",
            "村       │",
        ]

    @pytest.mark.parametrize(("columns", "is_table"), [(19, True), (18, False)])
    def test_become_records_where_a_column_would_be_narrower_than_eight(self, columns, is_table):
        drawn = lines("| a | b |\n|---|---|\n| one two three | four five six |\n", columns)
        assert ("│" in drawn[0]) is is_table

    def test_become_records_where_even_their_borders_do_not_fit(self):
        table = "| a " * 10 + "|\n" + "|-" * 10 + "|\n" + "| x " * 10 + "|\n"
        assert lines(table, 20) == ["a: x"] * 10

    @given(
        st.lists(st.lists(st.text("ab 中文é👩‍👩‍👧", max_size=30), min_size=3, max_size=3), max_size=4),
        st.integers(8, 90),
    )
    def test_lose_nothing_and_fit(self, rows, columns):
        table = "| x | y | z |\n|---|---|---|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)
        drawn = lines(table, columns)
        assert all(width(row) <= max(columns, 10) for row in drawn)
        letters = [sum(text.count(letter) for text in drawn) for letter in "ab中文é"]
        assert letters == [sum(cell.count(letter) for row in rows for cell in row) for letter in "ab中文é"]


VERSES = "The harbour sleeps, the lamps are low,\nthe ferries neither come nor go."
WRAPPED = (
    "A paragraph that somebody has wrapped by hand at the usual seventy-odd columns\n"
    "goes on in its next line and is one paragraph, as Markdown has always meant it."
)


class TestLineBreaks:
    def test_after_short_lines_are_kept(self):
        assert lines(VERSES, 80) == VERSES.split("\n")
        assert lines("Regards,\nAnna\nExample Street 5") == ["Regards,", "Anna", "Example Street 5"]
        assert lines("> *one*\n> two\n\n- three\n  four") == ["│ one", "│ two", "", "• three", "  four"]

    def test_of_text_wrapped_by_hand_are_joined(self):
        assert lines(WRAPPED, 200) == [WRAPPED.replace("\n", " ")]

    @pytest.mark.parametrize(("columns", "count"), [(51, 2), (52, 1)])
    def test_count_the_next_word_in_columns(self, columns, count):
        # The word takes seven columns, the blank one: 59 is under 60, 60 is not.
        assert len(lines("x" * columns + "\nanother line", 200)) == count
        assert len(lines("字" * 25 + "x" * (columns - 50) + "\n字字字字", 200)) == 2

    def test_can_be_kept_or_joined_altogether(self):
        assert lines(WRAPPED, 200, "keep") == WRAPPED.split("\n")
        assert lines(VERSES, 200, "join") == [VERSES.replace("\n", " ")]

    def test_do_not_separate_a_pair_of_marks(self):
        assert lines("see `a\nb` and [c\nd](/u)") == ["see `a b` and c", "d (/u)"]

    @given(
        st.lists(st.sampled_from(["word ", "\n", "字字", "longer-word ", "*a* ", "x" * 30]), min_size=300),
        st.lists(st.integers(0, 5_000), max_size=20),
        st.sampled_from(["auto", "keep", "join"]),
    )
    def test_are_the_same_however_a_long_paragraph_is_cut(self, words, ends, line_breaks):
        text = re.sub("\n+", "\n", "".join(words))
        shown = rendered(text, PLAIN, 60, line_breaks)
        assert in_chunks(cut(text, ends), 60, PLAIN, line_breaks) == shown

    def test_of_a_hand_wrapped_paragraph_of_any_length_are_all_joined(self):
        text = "\n".join(["word " * 14 + "end"] * 60)
        assert lines(text, 1_000_000) == [text.replace("\n", " ")]


class TestText:
    def test_shows_where_a_link_leads_unless_its_text_says_it(self):
        assert lines("[text](https://example.com/a) <https://example.com> [m](mailto:m@example.com)", 90) == [
            "text (https://example.com/a) https://example.com m (mailto:m@example.com)"
        ]

    def test_makes_links_of_the_web_only(self):
        shown = rendered("[a](https://example.com) [b](file:///etc/passwd) [c](javascript:x)", COLORED, 90)
        assert shown.count("\x1b]8;;https://example.com\x1b\\") == 2
        assert shown.count("]8;;") == 4

    def test_a_link_cannot_hide_or_smuggle_anything(self):
        shown = rendered("[a](https://example.com/&#27;]8;;x) [b](https://example.com/\u202e)", COLORED, 90)
        assert "\x1b]8;;x" not in shown
        assert "\u202e" not in shown

    def test_leaves_formulas_as_they_are(self):
        assert lines(r"so $a_1 * b_2$ and \(x*y*z\) and $$\frac{a}{b}$$ for $5 and $10 each *now*") == [
            r"so $a_1 * b_2$ and \(x*y*z\) and $$\frac{a}{b}$$ for $5 and",
            "$10 each now",
        ]

    def test_shows_footnotes_as_marks_and_lines(self):
        assert lines("So it is[^1].\n\n[^1]: https://example.com\n[^b]: Said *there*.") == [
            "So it is[1].",
            "",
            "[1]: https://example.com",
            "[b]: Said there.",
        ]

    def test_shows_images_by_their_text_and_address(self):
        assert lines("![a *cat*](cat.png)") == ["a cat (cat.png)"]

    def test_keeps_right_to_left_text_to_itself(self):
        assert lines("- مرحبا") == ["• \u2068مرحبا\u2069"]

    @pytest.mark.parametrize("colors", ["standard", "256", "truecolor"])
    def test_is_the_same_in_every_theme(self, colors):
        text = "# T\n\n*a* **b** [d](https://e.f)\n\n```c\nint x;\n```\n\n| a |\n|---|\n| b |\n"
        for name in ("dark", "light"):
            assert without_styles(rendered(text, theme(name, colors), 60)) == rendered(text, PLAIN, 60)

    def test_stays_struck_where_there_are_no_styles(self):
        assert lines("*Use* ~~`a`~~ **b**, ~~not c~~") == ["Use ~~`a`~~ b, ~~not c~~"]
        assert without_styles(rendered("~~not c~~", COLORED, 60)) == "not c\n"

    def test_is_made_safe_also_where_the_parser_decodes_it(self):
        assert lines("a\x1b[31mb &#x202E;c <https://x.y/%1B> `\x07`") == [
            "a␛[31mb <U+202E>c https://x.y/␛ (https://x.y/%1B) `␇`"
        ]

    def test_of_marks_without_end_costs_no_more_than_other_text(self):
        for mark in ("[", "*", "`", "![", "](", "<a ", "$$", "\\", "_a", "&", "<!--", "> ", "- ", "~~~ `"):
            assert rendered(mark * 4_000, PLAIN, 80)
