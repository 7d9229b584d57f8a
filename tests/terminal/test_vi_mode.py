"""The keys of vi: the mode is visible, Escape is fast, and Alt is still Alt."""

from __future__ import annotations

import asyncio

from chatcli.config.key_bindings import KeyTable, key_changes
from terminal.test_screen import ENTER, desk

ESCAPE, SOON_S = "\x1b", 0.25


def vi(**options):
    return desk(editing_mode=lambda: "vi", **options)


async def started(found):
    """Let the screen wait for a line, as the editing mode takes effect with the next one."""
    reading = asyncio.ensure_future(found.screen.line())
    await found.settle()
    return reading


async def test_the_mode_is_shown_and_escape_changes_it_soon():
    async with vi() as found:
        reading = await started(found)
        await found.type("helo")
        assert found.glass.shown.endswith("> helo\ninsert · toolbar")
        await found.type(ESCAPE)
        await found.until(lambda: found.glass.shown.endswith("> helo\nnormal · toolbar"))
        await found.type("i", "l", ENTER)
        assert (await reading).text == "hello"
        assert "insert · toolbar" in found.glass.shown


async def test_alt_enter_adds_a_line_as_it_comes_in_one_breath():
    async with vi() as found:
        reading = await started(found)
        await found.type("one", "\x1b\r", "two", ENTER)
        assert (await reading).text == "one\ntwo"


async def test_escape_twice_edits_only_from_normal_mode():
    async with vi() as found:
        reading = await started(found)
        await found.type(ESCAPE)
        await asyncio.sleep(SOON_S)
        assert not reading.done()
        await found.type(ESCAPE, ESCAPE)
        assert (await reading).text == "/edit"


async def test_the_keys_of_emacs_show_no_mode_and_escape_twice_edits():
    async with desk() as found:
        reading = await started(found)
        assert found.glass.shown.endswith(">\ntoolbar")
        await found.type("x", ESCAPE, ESCAPE, "\x7f", ESCAPE)
        assert not reading.done()
        await asyncio.sleep(1.2)
        await found.type(ESCAPE + ESCAPE)
        assert (await reading).text == "/edit"


async def test_escape_can_be_bound_alone():
    async with desk(
        keys=KeyTable(key_changes({"interrupt": ["ctrl-c", "escape"], "edit_previous": []}))
    ) as found:
        await started(found)
        await found.type("half", ESCAPE)
        await found.until(lambda: found.screen.composer.is_empty)
