from __future__ import annotations

from chatcli.text.wording import counted


def test_a_number_has_its_noun_in_the_right_form():
    assert [counted(number, "turn") for number in (0, 1, 2, 1234)] == [
        "0 turns",
        "1 turn",
        "2 turns",
        "1,234 turns",
    ]
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
