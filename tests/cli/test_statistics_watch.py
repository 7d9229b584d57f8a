"""Statistics that are shown again and again."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyte
import pytest

from chatcli.app.statistics_report import StatisticsQuery
from chatcli.cli.statistics_display import StatisticsDisplay
from chatcli.cli.statistics_watch import watch
from chatcli.core.call_records import CallRecord
from chatcli.core.errors import ExitCode, LocalIOError
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from cli.fakes import terminal
from cli.sized_terminal import SizedTerminal

NOW = datetime(2026, 11, 30, 14, 5, tzinfo=UTC)
EVERY_S = 0.02
CALL = CallRecord((NOW - timedelta(minutes=1)).timestamp(), "e", "m", latency_s=1.0, ttft_s=0.5)


@pytest.fixture
def add(tmp_path):
    """Return a function that stores calls."""

    def add(*calls):
        with closing(CallStore(tmp_path / FILE_NAME)) as store:
            store.append(calls)

    return add


def display(folder, to, **options):
    return StatisticsDisplay(StatisticsQuery(since="1h"), folder, to, now=lambda: NOW, **options)


async def watched(shown, *steps):
    """Watch until each of ``steps`` has been awaited."""
    is_ended = asyncio.Event()
    watching = asyncio.ensure_future(watch(shown, EVERY_S, is_ended))
    for step in steps:
        await step
    is_ended.set()
    return await watching


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing tells that something was written
            await asyncio.sleep(0.01)


def screen_on(file, columns, lines):
    """Return a terminal that can redraw."""
    screen = SizedTerminal(file, columns, lines)
    screen.is_dumb = False
    return screen


def on_screen(file, columns, lines):
    screen = pyte.Screen(columns, lines)
    pyte.Stream(screen).feed(file.getvalue().decode().replace("\n", "\r\n"))
    return [row.rstrip() for row in screen.display]


class TestInPlace:
    async def test_new_calls_appear_where_the_old_ones_stood(self, tmp_path, add):
        file = io.BytesIO()
        shown = display(tmp_path, screen_on(file, 60, 30))

        async def ask():
            await until(lambda: "no calls in the last hour" in on_screen(file, 60, 30))
            add(CALL, CALL)
            await until(lambda: "calls         2" in on_screen(file, 60, 30))
            rows = on_screen(file, 60, 30)
            assert rows[0] == "Calls in the last hour"
            assert "no calls in the last hour" not in rows
            assert "14:05:00 · every 0 s · Ctrl-C ends" in rows

        assert await watched(shown, ask()) is ExitCode.DONE

    async def test_the_last_ones_stay_as_a_whole(self, tmp_path, add):
        add(CALL)
        file = io.BytesIO()
        shown = display(tmp_path, screen_on(file, 60, 6))

        async def see():
            await until(lambda: on_screen(file, 60, 6)[0] == "Calls in the last hour")
            rows = on_screen(file, 60, 6)
            assert rows[3:] == [
                "latency       p50 1.0 s · p95 1.0 s · p99 1.0 s",
                "14:05:00 · every 0 s · Ctrl-C ends",
                "",
            ]

        await watched(shown, see())
        rows = on_screen(file, 60, 40)
        assert rows[0] == "Calls in the last hour"
        assert [row for row in rows if row][-1].startswith("1 to 1.5 s ███")
        assert "Ctrl-C ends" not in "".join(rows)

    async def test_a_resized_terminal_is_drawn_anew(self, tmp_path, add):
        add(CALL)
        file = io.BytesIO()
        to = screen_on(file, 80, 30)

        async def resize():
            await until(lambda: "1st token" in file.getvalue().decode())
            file.truncate(0)
            file.seek(0)
            to.resize(30, 30)
            await until(lambda: "│" in file.getvalue().decode() or "model" in file.getvalue().decode())
            assert "1st token" not in file.getvalue().decode()

        await watched(display(tmp_path, to), resize())

    async def test_a_store_that_cannot_be_read_for_a_while_is_said(self, tmp_path, add):
        add(CALL)
        file = io.BytesIO()
        path, aside = tmp_path / FILE_NAME, tmp_path / "aside"

        async def break_and_mend():
            await until(lambda: "calls         1" in on_screen(file, 80, 30))
            path.rename(aside)
            path.mkdir()
            await until(lambda: "cannot use the statistics" in "\n".join(on_screen(file, 80, 30)))
            assert "calls         1" in on_screen(file, 80, 30)
            path.rmdir()
            aside.rename(path)
            await until(lambda: "cannot use the statistics" not in "\n".join(on_screen(file, 80, 30)))

        await watched(display(tmp_path, screen_on(file, 80, 30)), break_and_mend())

    async def test_one_that_could_never_be_read_is_an_error(self, tmp_path):
        (tmp_path / FILE_NAME).mkdir()
        with pytest.raises(LocalIOError):
            await watch(display(tmp_path, screen_on(io.BytesIO(), 80, 30)), EVERY_S, asyncio.Event())


class TestInAPipe:
    async def test_they_follow_each_other(self, tmp_path, add):
        add(CALL)
        to = terminal()
        await watched(display(tmp_path, to), until(lambda: to.out.count("Calls in the last hour\n") > 1))
        assert "\n\nCalls in the last hour\n" in to.out
        assert "\x1b" not in to.out

    async def test_programs_get_a_line_each(self, tmp_path, add):
        add(CALL)
        to = terminal()
        await watched(display(tmp_path, to, form="json"), until(lambda: to.out.count("\n") > 1))
        assert {json.loads(line)["total"]["calls"] for line in to.out.splitlines()} == {1}

    async def test_a_voice_is_not_redrawn(self, tmp_path, add):
        add(CALL)
        to = terminal(is_terminal=True)
        await watched(display(tmp_path, to, is_plain=True), until(lambda: to.out.count("Calls in") > 1))
        assert "\x1b" not in to.out
