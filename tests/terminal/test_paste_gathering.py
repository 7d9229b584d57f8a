from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.keys import Keys

from chatcli.terminal.key_decoding import PASTE_BEGIN, PASTE_END, PasteGatherer

PIECES = st.lists(
    st.sampled_from([PASTE_BEGIN, PASTE_END, "text", "\x1b", "[20", "1~", "0~", "世界", "\r"]), max_size=12
)


def keys_of(pieces, gatherer):
    keys = []
    parser = Vt100Parser(keys.append)
    for piece in pieces:
        parser.feed(gatherer.feed(piece) if gatherer else piece)
    parser.flush()
    return [(press.key, press.data) for press in keys]


@given(PIECES)
def test_keys_and_pastes_are_the_same_however_they_come(pieces):
    # What never ends is waited for in both; what is held back at the end is not compared.
    ended = [*pieces, PASTE_END, PASTE_END]
    assert keys_of(ended, PasteGatherer()) == keys_of(ended, None)


@given(st.text("ab\x1b[201~", max_size=30), st.integers(1, 7))
def test_an_end_may_be_cut_anywhere(text, size):
    sent = f"x{PASTE_BEGIN}{text}{PASTE_END}y"
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert keys_of(pieces, PasteGatherer()) == keys_of([sent], None)


def test_it_ends_with_the_last_byte_of_its_end():
    gatherer = PasteGatherer()
    assert [gatherer.feed(piece) for piece in [f"a{PASTE_BEGIN}", *"text", *PASTE_END]] == [
        "a",
        *[""] * 9,
        f"{PASTE_BEGIN}text{PASTE_END}",
    ]


def test_megabytes_are_one_paste():
    sent = PASTE_BEGIN + "世界 x\r" * 1_000_000 + PASTE_END
    keys = keys_of([sent[at : at + 1_000] for at in range(0, len(sent), 1_000)], PasteGatherer())
    assert [key for key, _ in keys] == [Keys.BracketedPaste]
