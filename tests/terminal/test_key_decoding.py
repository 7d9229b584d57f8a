"""Keys in every encoding of terminals, and sequences that are no keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.keys import Keys

from chatcli.terminal.key_decoding import (
    CTRL_ENTER,
    PASTE_BEGIN,
    PASTE_END,
    SHIFT_ENTER,
    KeyDecoder,
    PasteGatherer,
)

SEQUENCES = (
    "\x1b[13;2u", "\x1b[27;2;13~", "\x1bOq", "\x1bOM", "\x1b[O", "\x1b[I", "\x1b[99;5u", "\x1b[1;5A", "\x1b[3~", "\x1b[A",
    "\x1bOP", "\x1b[57399;1:3u", "\x1b[<0;1;1M", "\x1b[M!!!", "\x1b[24;80R", "\x1bP>|kitty(0.42)\x1b\\", "\x1b_Gi=1;OK\x1b\\",
    "\x1b[?1;2c", "\x1b[1;129B", "\x1b[[A", "\x1b]4;1;rgb:0/0/0\x07", "a", "中", "\r", "\x03", f"{PASTE_BEGIN}\x1b[13;2u x{PASTE_END}",
)  # fmt: skip


def decoded(*reads):
    decoder = KeyDecoder()
    return "".join(map(decoder.feed, reads)) + decoder.flush()


def keys_of(text):
    presses = []
    parser = Vt100Parser(presses.append)
    parser.feed(text)
    parser.flush()
    return [press.key for press in presses]


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("\x1b[13;2u", SHIFT_ENTER),
        ("\x1b[27;2;13~", SHIFT_ENTER),
        ("\x1b[13;5u", CTRL_ENTER),
        ("\x1b[27;5;13~", CTRL_ENTER),
        ("\x1b[13u", "\r"),
        ("\x1b[13;3u", "\x1b\r"),
        ("\x1b[99;5u", "\x03"),
        ("\x1b[99:67;6u", "\x03"),
        ("\x1b[27;5;99~", "\x03"),
        ("\x1b[100;5u", "\x04"),
        ("\x1b[114;69u", "\x12"),
        ("\x1b[27u", "\x1b"),
        ("\x1b[9;2u", "\x1b[Z"),
        ("\x1b[127;5u", "\x17"),
        ("\x1b[127;3u", "\x1b\x7f"),
        ("\x1b[32;5u", "\0"),
        ("\x1b[98;3u", "\x1bb"),
        ("\x1b[97;2u", "A"),
        ("\x1b[47:63;2u", "?"),
        ("\x1b[228;2u", "Ä"),
        ("\x1b[97;;97u", "a"),
        ("\x1b[57400u", "1"),
        ("\x1b[57414;1u", "\r"),
        ("\x1b[57419u", "\x1b[A"),
        ("\x1b[1;129A", "\x1b[A"),
        ("\x1b[1;1:2A", "\x1b[A"),
        ("\x1b[1;5D", "\x1b[1;5D"),
        ("\x1b[3;1~", "\x1b[3~"),
        ("\x1bOq", "1"),
        ("\x1bOr", "2"),
        ("\x1bOk", "+"),
        ("\x1bOM", "\r"),
        ("\x1bOA", "\x1bOA"),
        ("\x1bOP", "\x1bOP"),
        ("\x1b[[A", "\x1b[[A"),
        ("\x1b\x1b[D", "\x1b\x1b[D"),
    ],
)
def test_a_key_is_what_the_parser_knows_it_as(sent, key):
    assert decoded(sent) == key


@pytest.mark.parametrize(
    "sent",
    [
        "\x1b[O", "\x1b[I", "\x1b[<64;10;10M", "\x1b[M !!", "\x1b[24;80R", "\x1b[?62;22c", "\x1b[99;5:3u", "\x1b[1;1:3A",
        "\x1b[97;9u", "\x1b[57441;2u", "\x1b[123456789u", "\x1b[999z", "\x1b[201~", "\x1b[5n", "\x1b[>0;95;0c",
        "\x1bP1+r544e=787465\x1b\\", "\x1b_Gi=31;OK\x1b\\", "\x1b]52;c;aGk=\x07", "\x1b]10;rgb:f/f/f\x1b\\",
        "\x1b[13;2", "\x1b[27;2;1", "\x1b[<0;1", "\x1b]52;c;aG",
    ],
)  # fmt: skip
def test_what_is_no_key_or_is_not_finished_is_dropped_whole(sent):
    assert decoded(sent) == ""
    assert decoded(f"a{sent}").startswith("a")


@pytest.mark.parametrize("key", ["\x1b", "\x1b[", "\x1bO", "\x1bb", "\x1b\r", "\x1bP", "\x1b]", "\x1b_x"])
def test_escape_and_keys_with_alt_stay_keys(key):
    decoder = KeyDecoder()
    assert decoder.feed(key) + decoder.flush() in {key, ""}
    if key not in {"\x1bP", "\x1b]"}:
        assert decoded(key) == key


@pytest.mark.parametrize("control", ["\x9b", "\udc9b"])
def test_a_control_character_of_eight_bits_begins_a_sequence_too(control):
    assert decoded(f"a{control}31m", "b") == "ab"
    assert decoded("a", control, "1;5", "D") == "a\x1b[1;5D"
    assert decoded(f"{PASTE_BEGIN}{control}1;5D{PASTE_END}") == f"{PASTE_BEGIN}{control}1;5D{PASTE_END}"


def test_what_goes_on_as_no_sequence_does_costs_no_key_after_it():
    assert decoded("\x1b[1", "é", "x") == "éx"
    assert decoded("\x1b[12", "\r") == "\r"


def test_a_paste_passes_as_it_is():
    pasted = f"{PASTE_BEGIN}\x1b[13;2u\x1bOq\x1b[I{PASTE_END}"
    assert decoded(pasted + "\x1bOq") == pasted + "1"
    assert decoded(*pasted, "\x1bOq") == pasted + "1"


def test_ctrl_c_ends_a_paste_whose_end_was_lost_once_nothing_more_comes():
    decoder = KeyDecoder()
    assert decoder.feed(f"{PASTE_BEGIN}abc") == f"{PASTE_BEGIN}abc"
    assert decoder.feed("\x03") == "\x03"  # directly after the rest, it is part of the paste
    assert decoder.flush() == ""
    assert decoder.feed("\x03") == PASTE_END
    assert decoder.feed("\x03") == "\x03"


def test_what_comes_after_a_break_is_more_of_the_paste():
    decoder = KeyDecoder()
    decoder.feed(f"{PASTE_BEGIN}abc")
    decoder.flush()
    assert decoder.feed("\x03def") == "\x03def"
    assert decoder.feed(f"{PASTE_END}x") == f"{PASTE_END}x"


@pytest.mark.parametrize("odd", ["\x1b[200;5~", "\x1b[201;5~", "\x1b[200:1~"])
def test_a_paste_with_modifiers_is_none(odd):
    assert decoded(odd + "x") == "x"


@given(st.lists(st.sampled_from(SEQUENCES), max_size=8), st.integers(1, 6))
def test_it_makes_no_difference_how_it_is_read(sequences, size):
    sent = "".join(sequences)
    assert decoded(*(sent[at : at + size] for at in range(0, len(sent), size))) == decoded(sent)


@given(st.text("\x1b[]OPu~;:0123456789<?MARaé ", max_size=40), st.integers(1, 7))
def test_nothing_that_is_sent_types_part_of_a_sequence(sent, size):
    text = decoded(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert decoded(text.replace("\x1b", "")) == text.replace("\x1b", "")
    for key in keys_of(text):
        assert isinstance(key, Keys) or len(key) == 1


def test_each_sequence_of_the_parser_is_left_to_it():
    for sequence, key in ANSI_SEQUENCES.items():
        # Enter with a modifier is a key of its own here, and ignored sequences need not be passed on.
        if key in {Keys.Ignore, Keys.BracketedPaste} or ("13" in sequence and key is Keys.ControlM):
            continue
        assert keys_of(decoded(sequence)) == keys_of(sequence), repr(sequence)


CHUNKS = st.lists(
    st.sampled_from([PASTE_BEGIN, PASTE_END, "text", "\x1b", "[20", "1~", "0~", "世界", "\r"]), max_size=12
)


def keys_gathered(chunks, gatherer):
    keys = []
    parser = Vt100Parser(keys.append)
    for chunk in chunks:
        parser.feed(gatherer.feed(chunk) if gatherer else chunk)
    parser.flush()
    return [(press.key, press.data) for press in keys]


@given(CHUNKS)
def test_keys_and_pastes_are_the_same_however_they_come(chunks):
    # Unterminated sequences are held back by both; what is left at the end is not compared.
    ended = [*chunks, PASTE_END, PASTE_END]
    assert keys_gathered(ended, PasteGatherer()) == keys_gathered(ended, None)


@given(st.text("ab\x1b[201~", max_size=30), st.integers(1, 7))
def test_an_end_may_be_cut_anywhere(text, size):
    sent = f"x{PASTE_BEGIN}{text}{PASTE_END}y"
    chunks = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert keys_gathered(chunks, PasteGatherer()) == keys_gathered([sent], None)


def test_it_ends_with_the_last_byte_of_its_end():
    gatherer = PasteGatherer()
    assert [gatherer.feed(chunk) for chunk in [f"a{PASTE_BEGIN}", *"text", *PASTE_END]] == [
        "a",
        *[""] * 9,
        f"{PASTE_BEGIN}text{PASTE_END}",
    ]


def test_megabytes_are_one_paste():
    sent = PASTE_BEGIN + "世界 x\r" * 1_000_000 + PASTE_END
    keys = keys_gathered([sent[at : at + 1_000] for at in range(0, len(sent), 1_000)], PasteGatherer())
    assert [key for key, _ in keys] == [Keys.BracketedPaste]
