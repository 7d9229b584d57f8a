"""Typing ahead: text submitted during work is queued, visible, editable, and never lost."""

from __future__ import annotations

import asyncio

from prompt_toolkit.data_structures import Size
from wcwidth import width

from chatcli.repl.queue import MessageQueue, Submission
from chatcli.terminal.screen_rows import queue_rows
from terminal.test_screen import CTRL_C, CTRL_D, ENTER, desk

CTRL_S, UP, DELETE = "\x13", "\x1b[A", "\x1b[3~"


def queue_of(*texts):
    queue = MessageQueue()
    for text in texts:
        queue.hand_over(Submission.plain(text))
    return queue


def rows(*texts, columns=40, screen_rows=24, held=False):
    queue = queue_of(*texts)
    if held:
        queue.hold()
    return queue_rows(queue, columns, screen_rows, sign="⏎ ")


class TestWhatIsShown:
    def test_nothing_takes_no_row(self):
        assert rows() == []

    def test_each_text_is_a_row_of_its_first_line(self):
        assert rows("one\ntwo", "three") == ["⏎ next: one (2 lines)", "  then: three"]

    def test_what_there_is_no_room_for_is_counted(self):
        assert rows(*"abcde") == ["⏎ next: a", "  then: b", "  then: c (2 more)"]
        assert rows(*"abcde", screen_rows=12) == ["⏎ next: a (4 more)"]

    def test_what_waits_for_the_person_says_so(self):
        assert rows("a", "b", held=True) == ["⏎ not sent: a", "      then: b"]

    def test_rows_are_never_wider_than_the_screen_and_never_act(self):
        for columns in (10, 20, 40):
            for row in rows(
                "世界" * 40 + "\nmore", "\x1b[2J" + "👩‍👩‍👧" * 40, "x" * 5_000_000, columns=columns
            ):
                assert width(row) <= columns


async def test_enter_queues_while_something_goes_on_and_it_is_sent_in_order():
    async with desk() as found:
        async with found.working() as work:
            await found.type("one", ENTER, "two", ENTER)
            assert found.screen.composer.is_empty
            assert "⏎ next: one\n  then: two\n>" in found.glass.shown
            assert "Up edits, Delete drops, Ctrl-S sends it now" in found.glass.shown
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert await found.lines(2) == ["one", "two"]
        assert await found.nothing_is_handed_over()
        await found.settle()
        assert found.glass.shown.endswith(">\ntoolbar")


async def test_after_a_stop_it_waits_and_enter_alone_sends_it_in_order():
    async with desk() as found:
        async with found.working() as work:
            await found.type("one", ENTER, "two", ENTER, CTRL_C)
            assert await work is False
        assert "⏎ not sent: one\n      then: two\n>" in found.glass.shown
        assert "Enter sends the next one, Up edits, Delete drops" in found.glass.shown
        assert await found.nothing_is_handed_over()
        reading = asyncio.ensure_future(found.lines(2))
        await found.type(ENTER)
        assert await reading == ["one", "two"]


async def test_something_new_goes_before_what_waits_for_the_person():
    async with desk() as found:
        async with found.working():
            await found.type("old", ENTER, CTRL_C)
        reading = asyncio.ensure_future(found.lines(1))
        await found.type("new", ENTER)
        assert await reading == ["new"]
        assert await found.nothing_is_handed_over()
        assert "not sent: old" in found.glass.shown


async def test_up_takes_the_newest_back_and_it_can_be_queued_again():
    async with desk() as found, found.working():
        await found.type("one", ENTER, "two", ENTER, UP)
        assert found.screen.composer.text == "two"
        assert "next: one\n> two" in found.glass.shown
        await found.type("!", ENTER)
        assert "next: one\n  then: two!" in found.glass.shown


async def test_up_is_the_history_where_something_is_written():
    async with desk() as found:
        found.history.append_string("earlier")
        async with found.working():
            await found.type("one", ENTER, "x", UP)
            assert "next: one" in found.glass.shown


async def test_delete_drops_the_newest_and_the_history_has_it():
    async with desk() as found, found.working():
        await found.type("one", ENTER, "two", ENTER, DELETE)
        assert "two" not in found.glass.shown
        assert "next: one" in found.glass.shown
        assert found.history.get_strings() == ["one", "two"]


async def test_stop_and_send_stops_the_work_and_sends_what_is_written_first():
    async with desk() as found:
        async with found.working() as work:
            await found.type("later", ENTER, "now", CTRL_S)
            assert await work is False
        assert await found.lines(2) == ["now", "later"]


async def test_stop_and_send_sends_the_first_of_the_queue_where_nothing_is_written():
    async with desk() as found:
        async with found.working() as work:
            await found.type("one", ENTER, "two", ENTER, CTRL_S)
            assert await work is False
        assert await found.lines(2) == ["one", "two"]


async def test_stop_and_send_does_nothing_where_there_is_nothing_to_send():
    async with desk() as found, found.working() as work:
        await found.type(CTRL_S)
        assert not work.done()
        assert "nothing to send" in found.glass.shown


async def test_leaving_sends_nothing_more_and_the_history_has_it():
    async with desk() as found:
        async with found.working() as work:
            await found.type("one", ENTER, CTRL_D, CTRL_D)
            assert await work is False
        assert await found.screen.line() is None
        assert found.history.get_strings() == ["one"]


async def test_what_was_handed_over_with_nothing_going_on_is_taken_before_leaving():
    async with desk() as found:
        await found.type("one", ENTER, CTRL_D)
        assert await found.lines(1) == ["one"]
        assert await found.screen.line() is None


async def test_what_comes_back_for_editing_does_not_crowd_out_what_is_written():
    async with desk() as found:
        await found.type("typed meanwhile")
        found.screen.composer.put("could not be sent")
        found.screen.application.draw()
        await found.settle()
        assert found.screen.composer.text == "typed meanwhile"
        assert "not sent: could not be sent" in found.glass.shown


async def test_a_turn_that_failed_holds_what_is_queued():
    async with desk() as found:
        async with found.working() as work:
            await found.type("one", ENTER)
            found.screen.hold()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert await found.nothing_is_handed_over()


async def test_a_low_screen_keeps_its_rows_for_the_composer():
    async with desk() as found, found.working():
        found.screen.application.output.size = Size(rows=12, columns=40)
        await found.type("one", ENTER, "two", ENTER, "three", ENTER, "draft")
        assert found.glass.shown.endswith("⏎ next: one (2 more)\n> draft\ntoolbar")
