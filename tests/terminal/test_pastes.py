"""Long pastes are folded, sent in full exactly once, and edited as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.counting import likely_tokens
from chatcli.terminal.pastes import Pastes
from terminal.test_screen import ENTER, desk

LINES = "\n".join(f"第 {number} 行 👨‍👩‍👧" for number in range(200))
BACKSPACE, UNDO, UP, LEFT = "\x7f", "\x1f", "\x1b[A", "\x1b[D"
EXPAND, CTRL_Y, CTRL_U = "\x18\x10", "\x19", "\x15"


UP, UNDO = "\x1b[A", "\x1f"


def pasted(text):
    return f"\x1b[200~{text}\x1b[201~"


async def handed_over(found):
    await found.type(ENTER)
    return await found.screen.line()


async def test_a_long_paste_is_folded_and_sent_whole_and_never_sends_itself():
    async with desk() as found:
        await found.type("see ", pasted(LINES.replace("\n", "\r\n")), " done")
        assert found.glass.shown.startswith("> see [pasted 200 lines] done")
        assert await found.nothing_is_handed_over()
        written = await handed_over(found)
        assert written.text == f"see {LINES} done"
        assert written.shown == "see [pasted 200 lines] done"


async def test_a_paste_is_folded_in_the_history_too_and_sent_whole_again():
    async with desk() as found:
        await found.type("see ", pasted(LINES))
        first = await handed_over(found)
        await found.settle()
        await found.type(UP)
        assert found.screen.composer.shown == "see [pasted 200 lines]"
        assert (await handed_over(found)).text == first.text


async def test_a_long_text_from_before_is_folded_as_a_whole():
    async with desk() as found:
        found.screen.composer.put(LINES)
        assert found.screen.composer.shown == "[pasted 200 lines]"
        assert found.screen.composer.text == LINES


async def test_undo_takes_a_paste_back_and_what_was_offered_too():
    async with desk() as found:
        await found.type("a", pasted(LINES), UNDO)
        assert found.screen.composer.shown == "a"
        await found.type(BACKSPACE)
        found.screen.composer.put(LINES)
        await found.type(UNDO)
        assert found.screen.composer.shown == ""


@pytest.mark.parametrize("text", ["one line", "\n".join("0123456789"), "x" * 2000, "你好\n"])
async def test_a_short_paste_is_text(text):
    async with desk() as found:
        await found.type(pasted(text))
        written = await handed_over(found)
        assert written.text == written.shown == text


async def test_a_long_line_is_counted_in_characters():
    async with desk() as found:
        await found.type(pasted("x" * 12_345))
        assert "[pasted 12,345 characters]" in found.glass.shown


async def test_several_are_numbered_and_keep_their_numbers():
    async with desk() as found:
        await found.type(pasted(LINES), pasted(LINES + "\nmore"))
        assert found.screen.composer.shown == "[pasted 200 lines][pasted 201 lines #2]"
        await found.type(LEFT, BACKSPACE)
        assert found.screen.composer.shown == "[pasted 201 lines #2]"
        await found.type(pasted(LINES))
        assert found.screen.composer.shown == "[pasted 200 lines][pasted 201 lines #2]"


async def test_backspace_removes_it_as_a_whole_and_undo_brings_it_back():
    async with desk() as found:
        await found.type("a", pasted(LINES), BACKSPACE)
        assert found.screen.composer.text == "a"
        await found.type(UNDO)
        assert found.screen.composer.text == "a" + LINES


async def test_it_is_unfolded_in_its_place_and_undo_folds_it_again():
    async with desk() as found:
        await found.type("a ", pasted(LINES), " b", EXPAND)
        assert found.screen.composer.shown == f"a {LINES} b"
        await found.type(UNDO)
        assert found.screen.composer.shown == "a [pasted 200 lines] b"


async def test_the_key_says_so_where_nothing_is_folded():
    async with desk() as found:
        await found.type("text", EXPAND)
        assert "there is no folded paste" in found.glass.shown


async def test_the_same_words_typed_by_hand_are_text():
    async with desk() as found:
        await found.type("[pasted 200 lines]", pasted(LINES), "[pasted 200 lines #2]")
        assert (await handed_over(found)).text == f"[pasted 200 lines]{LINES}[pasted 200 lines #2]"


async def test_the_history_gives_the_whole_text_back():
    async with desk() as found:
        await found.type("see ", pasted(LINES))
        await handed_over(found)
        assert found.history.get_strings() == [f"see {LINES}"]
        await found.type(UP)
        assert found.screen.composer.text == f"see {LINES}"
        assert (await handed_over(found)).text == f"see {LINES}"


async def test_what_was_cut_comes_back_also_after_something_was_sent():
    async with desk() as found:
        await found.type(pasted(LINES), CTRL_U, "x")
        await handed_over(found)
        await found.type(CTRL_Y)
        assert found.screen.composer.text == LINES


async def test_a_question_that_comes_back_is_folded_as_it_was():
    async with desk() as found:
        await found.type("see ", pasted(LINES))
        written = await handed_over(found)
        found.screen.composer.put(written.text)
        assert found.screen.composer.shown == "see [pasted 200 lines]"


async def test_what_is_typed_behind_five_megabytes_is_shown():
    async with desk() as found:
        found.screen.paste("世界 x\r\n" * 700_000)
        await found.type(*"what is this?" * 4)
        assert found.screen.composer.shown == "[pasted 700,000 lines]" + "what is this?" * 4


TYPED = st.text(st.characters(exclude_characters="a\n\r世"), max_size=8)
"""Of other characters than what is pasted: nobody could say where one ends and the other begins."""


@given(st.lists(st.tuples(TYPED, st.text("a\n\r世", min_size=2001, max_size=2100)), max_size=4))
def test_what_is_folded_is_unfolded_as_it_was(chunks):
    pastes, draft, text = Pastes(), "", ""
    for typed, data in chunks:
        draft += typed + pastes.folded(data, beside=draft)
        text += typed + data
    assert pastes.whole(draft) == text
    assert pastes.refolded(text, before=draft) == draft or len({data for _, data in chunks}) < len(chunks)


@pytest.mark.parametrize("typed", ["", "see ", "größer", "上下文 👨‍👩‍👧"])
def test_a_draft_is_as_long_as_what_is_folded_in_it(typed):
    pastes = Pastes()
    mark = pastes.folded(LINES, beside="")
    whole = likely_tokens(typed) + likely_tokens(LINES)
    # The placeholder character counts as well.
    assert whole <= pastes.likely_tokens(typed + mark) <= whole + 1
    assert pastes.likely_tokens(mark * 2) >= 2 * likely_tokens(LINES)
