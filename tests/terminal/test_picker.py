"""The picker with real keys, on a terminal that records its output."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from chatcli.terminal.picker.picker_drawing import unmarked
from chatcli.terminal.picker.picking import pick_session
from repl.picker_fakes import FakeLibrary, pickable, summary
from terminal.test_screen import CTRL_C, CTRL_D, ENTER, desk

ESCAPE, TAB, CTRL_R, CTRL_U = "\x1b", "\t", "\x12", "\x15"
UP, DOWN, HOME, END, PAGE_DOWN, DELETE, F2 = (
    *("\x1b[A", "\x1b[B", "\x1b[H", "\x1b[F"),
    *("\x1b[6~", "\x1b[3~", "\x1bOQ"),
)


class Picking:
    def __init__(self, desk, task):
        self.desk = desk
        self.task = task

    @property
    def shown(self):
        return self.desk.glass.shown

    async def type(self, *keys):
        await self.desk.type(*keys)
        await self.rest()

    async def rest(self):
        """Wait for the threads of searches, and let their results be drawn."""
        before = None
        for at in range(100):
            await self.desk.settle()
            if at >= 4 and self.desk.glass.shown == before:
                return
            before = self.desk.glass.shown

    async def until(self, is_so):
        """Wait for something that may be late on a busy machine."""
        await self.desk.until(is_so)

    async def chosen(self):
        return await asyncio.wait_for(self.task, 20)


@asynccontextmanager
async def picking(library, *, folder="/work", current=None, **wanted):
    async with desk() as found:
        seen = pickable(library, folder=folder, current=current)
        task = asyncio.ensure_future(pick_session(found.screen, seen, unicode=False, **wanted))
        picked = Picking(found, task)
        await picked.rest()
        yield picked
        task.cancel()


def some():
    return FakeLibrary(
        summary("trip", "Plan a trip", preview="Alfama by the river"),
        summary("weather", "北京今天的天气", preview="今天晴，适合散步"),
        summary("rust", "Rust lifetimes", folder="/elsewhere", preview="The borrow outlives it"),
    )


async def test_enter_chooses_the_marked_one():
    async with picking(some()) as picked:
        assert "> Plan a trip" in picked.shown
        assert "2 sessions in this folder" in picked.shown
        assert "Rust" not in picked.shown
        await picked.type(DOWN, ENTER)
        assert await picked.chosen() == "weather"
        await picked.until(lambda: picked.desk.glass.shown.startswith(">"))


async def test_what_is_typed_is_searched_for_and_enter_waits_for_the_result():
    async with picking(some()) as picked:
        picked.desk.keys.send_text("散步" + ENTER)
        assert await picked.chosen() == "weather"


async def test_enter_with_nothing_found_goes_on_waiting_for_better_words():
    async with picking(some()) as picked:
        await picked.type("borrow", ENTER)
        assert not picked.task.done()
        assert "nothing in this folder, but 1 in other" in picked.shown
        await picked.type(TAB, ENTER)
        assert await picked.chosen() == "rust"


@pytest.mark.parametrize("key", [ESCAPE, CTRL_C])
async def test_it_is_closed_without_a_choice(key):
    async with picking(some()) as picked:
        await picked.type(key)
        assert await picked.chosen() is None


async def test_escape_clears_the_words_first():
    async with picking(some(), words="borrow") as picked:
        assert "search: borrow" in picked.shown
        await picked.type(ESCAPE)
        await picked.until(lambda: "2 sessions in this folder" in picked.shown)
        await picked.type(ESCAPE)
        assert await picked.chosen() is None


async def test_the_end_and_the_beginning_of_a_long_list_are_one_key_away():
    many = FakeLibrary(*(summary(f"s{at}", f"Session {at:03}") for at in range(300)))
    async with picking(many) as picked:
        await picked.type(END)
        assert "> Session 299" in picked.shown
        await picked.type(HOME, PAGE_DOWN, UP)
        await picked.type(ENTER)
        name = await picked.chosen()
        assert 0 < int(name[1:]) < 20


async def test_a_yes_deletes_and_any_other_key_keeps():
    library = some()
    async with picking(library) as picked:
        for key in ("n", ENTER, CTRL_C, ESCAPE):
            await picked.type(CTRL_D)
            assert "delete permanently?" in picked.shown
            await picked.type(key)
            await picked.until(lambda: "delete permanently?" not in picked.shown)
        assert len(library.kept) == 3
        await picked.type(DELETE, "y")
        assert [each.name for each in library.kept] == ["weather", "rust"]
        assert "> 北京今天的天气" in picked.shown


async def test_a_failure_is_reported_in_the_footer_until_the_next_key():
    library = some()
    library.is_failing = True
    async with picking(library) as picked:
        await picked.type(CTRL_D, "y")
        assert "error: the disk is full" in picked.shown
        await picked.type(DOWN)
        assert "error" not in picked.shown


async def test_a_title_is_written_in_place():
    library = some()
    async with picking(library) as picked:
        await picked.type(CTRL_R)
        assert "> Plan a trip" in picked.shown
        await picked.type(" to Lisbon", ENTER)
        assert library.kept[0].title == "Plan a trip to Lisbon"
        assert "> Plan a trip to Lisbon" in picked.shown
        await picked.type(F2, CTRL_U, "y", ESCAPE)
        await asyncio.sleep(0.2)
        assert library.kept[0].title == "Plan a trip to Lisbon"
        await picked.type("river")
        assert "search: river" in picked.shown


async def test_the_current_conversation_is_marked_and_stays():
    library = some()
    async with picking(library, current="trip") as picked:
        assert "Plan a trip (current)" in picked.shown
        await picked.type(CTRL_D, "y")
        assert "cannot be deleted here" in picked.shown or "search: y" in picked.shown
        assert len(library.kept) == 3


async def test_the_list_can_be_used_while_it_is_still_filling():
    library = FakeLibrary(summary("old", "Old words"), unread=[summary("new", "New words")])
    library.may_go_on.clear()
    async with picking(library) as picked:
        assert "indexing 1 of 1" in picked.shown
        await picked.type("words")
        assert "> Old words" in picked.shown
        library.may_go_on.set()
        await picked.until(lambda: "New words" in picked.shown and "indexing" not in picked.shown)
        # The mark stays on its session.
        await picked.type(ENTER)
        assert await picked.chosen() == "old"


async def test_an_empty_list_says_what_to_do():
    async with picking(FakeLibrary()) as picked:
        assert "no sessions yet: every conversation is saved automatically" in picked.shown
        await picked.type(ENTER, CTRL_D, CTRL_R, DOWN, TAB)
        assert not picked.task.done()


async def test_a_folder_without_sessions_shows_all_and_here_is_one_key_away():
    async with picking(some(), folder="/empty") as picked:
        assert "3 sessions" in picked.shown
        await picked.type(TAB)
        assert "nothing in this folder, but 3 in other folders" in picked.shown


async def test_leaving_the_program_ends_it():
    async with picking(some()) as picked:
        work = asyncio.ensure_future(picked.desk.screen.work(picked.task, "choosing"))
        await picked.rest()
        picked.desk.screen.leave()
        picked.desk.screen.leave()
        assert await work is False


async def test_rows_that_look_the_same_are_reported_apart_by_name_and_origin():
    copy = replace(
        summary("trip-2", "Plan a trip", preview="The **old** [town](https://a.example)"), forked_from="trip"
    )
    async with picking(FakeLibrary(summary("trip", "Plan a trip", preview="`Alfama`"), copy)) as picked:
        assert "trip · Alfama" in picked.shown
        await picked.type(DOWN)
        assert "trip-2 (copy of trip) · The old town" in picked.shown


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("## Plan **a** _trip_", "Plan a trip"),
        ("use `a_b` and ``c`d``", "use a_b and c`d"),
        ("```python print(1)", " print(1)"),
        ("snake_case_name 2*3*4 __init__", "snake_case_name 2*3*4 __init__"),
        ("![map](a.png) [Rome](https://r.example)!", "map Rome!"),
    ],
)
def test_a_snippet_reads_without_marks(line, read):
    assert unmarked(line) == read
