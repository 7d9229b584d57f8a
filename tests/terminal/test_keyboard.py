"""The keys of a real terminal, including those typed before the program is ready."""

from __future__ import annotations

import os
import select
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

from chatcli.render.background import ReplyFilter
from chatcli.terminal.keyboard import gathered, keyboard

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


_PRESSES = st.one_of(
    st.sampled_from(
        [KeyPress(Keys.ControlX), KeyPress(Keys.Enter, "\r"), KeyPress(Keys.BracketedPaste, "a\nb")]
    ).map(lambda press: [press]),
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=200).map(
        lambda text: [KeyPress(letter) for letter in text]
    ),
)


@given(st.lists(_PRESSES, max_size=5).map(lambda runs: [press for run in runs for press in run]))
def test_letters_that_arrive_together_are_few_keys_with_the_same_text(presses):
    found = gathered(presses)
    assert [press.data for press in found if isinstance(press.key, Keys)] == [
        press.data for press in presses if isinstance(press.key, Keys)
    ]
    assert "".join(press.data for press in found) == "".join(press.data for press in presses)
    if all(press.key.isprintable() for press in presses):
        assert len(found) <= 72


def test_the_letters_of_a_key_sequence_stay_keys():
    presses = [KeyPress(Keys.ControlX), *(KeyPress(letter) for letter in "e" + "x" * 500)]
    assert gathered(presses)[:2] == presses[:2]
