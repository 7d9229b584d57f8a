"""The keys of a real terminal, including those typed before the program is ready."""

from __future__ import annotations

import os
import select
import sys

import pytest

from chatcli.render.background import ReplyFilter
from chatcli.terminal.keyboard import keyboard

if sys.platform == "win32":
    pytest.skip("a console has no lines to hold", allow_module_level=True)


@pytest.mark.parametrize(
    ("early", "late", "read"),
    [
        ("Hallo Köln\n", "", "Hallo Köln\r"),
        ("one\ntwo\n", "", "one\ntwo\r"),
        ("one\n", "x\n", "one\rx\n"),
        ("one\n", "\n", "one\r\n"),
        ("\x04", "", "\x04"),
        ("one\x04\n", "", "one\x04\r"),
        ("\x04", "x\n", "\x04x\n"),
        ("one\n\x04", "", "one\n\x04"),
    ],
)
def test_enter_at_the_end_of_what_was_typed_before_the_program_was_up_is_enter(early, late, read):
    master, slave = os.openpty()
    with os.fdopen(slave, encoding="utf-8") as stdin:
        os.write(master, early.encode())
        select.select([slave], [], [], 5)
        keys = keyboard(stdin, ReplyFilter(lambda _: None))
        with keys.raw_mode():
            os.write(master, late.encode())
            os.write(master, b"more\n")
            seen = ""
            while not seen.endswith("more\n"):
                seen += keys.stdin_reader.read()
        assert seen == f"{read}more\n"
    os.close(master)
