"""The state of the session picker, without a terminal and without files."""

from __future__ import annotations

import pytest

from chatcli.core.errors import UsageError
from chatcli.terminal.picker.picker_state import Doing, PickerState
from repl.picker_fakes import HERE, FakeLibrary, pickable, summary


def listed(*names, words="", is_here=False, **state):
    library = FakeLibrary(*(summary(name, name) for name in names))
    found = PickerState(has_folder=True, words=words, **state)
    found.take(pickable(library).listing(words, is_here=is_here))
    return found, library


def test_the_mark_moves_and_stays_inside_the_list():
    state, _ = listed("a", "b", "c")
    for move, name in ((state.move, "b"), (state.move, "c"), (state.move, "c")):
        move(1)
        assert state.marked.name == name
    state.first()
    assert state.marked.name == "a"
    state.move(-1)
    assert state.marked.name == "a"
    state.last()
    assert state.marked.name == "c"


def test_the_marked_session_is_always_in_the_window():
    state, _ = listed(*"abcdefghij")
    assert list(state.window(4)) == [0, 1, 2, 3]
    state.move(5)
    assert list(state.window(4)) == [2, 3, 4, 5]
    state.move(-1)
    assert list(state.window(4)) == [2, 3, 4, 5]
    state.first()
    assert list(state.window(4)) == [0, 1, 2, 3]
    state.page(1)
    assert state.place == 3
    state.last()
    assert list(state.window(4)) == [6, 7, 8, 9]
    # A growing window shows no empty rows below the last session.
    assert list(state.window(6)) == [4, 5, 6, 7, 8, 9]
    assert list(state.window(0)) == [9]


def test_other_words_begin_at_the_best_and_the_same_keep_the_mark():
    state, library = listed("a", "b", "c")
    state.move(1)
    library.kept.insert(0, summary("new", "new"))
    state.take(pickable(library).listing("", is_here=False))
    assert (state.marked.name, state.place) == ("b", 2)
    state.take(pickable(library).listing("", is_here=True))
    assert state.marked.name == "new"


def test_what_is_newer_comes_first_until_the_person_has_done_something():
    state, library = listed("a", "b")
    library.kept.insert(0, summary("new", "new"))
    state.take(pickable(library).listing("", is_here=False))
    assert state.marked.name == "new"


def test_after_the_marked_one_is_gone_its_neighbour_is_marked():
    state, library = listed("a", "b", "c")
    state.last()
    library.remove("c")
    state.take(pickable(library).listing("", is_here=False))
    assert state.marked.name == "b"


def test_nothing_is_marked_in_an_empty_list():
    state, _ = listed()
    state.move(1)
    assert state.marked is None
    assert list(state.window(5)) == []
    assert state.begin(Doing.REMOVING) is None
    assert state.doing is Doing.CHOOSING


def test_what_is_listed_is_known_to_be_old_once_other_words_are_typed():
    state, library = listed("a")
    assert state.is_current
    state.look_for("a")
    assert not state.is_current
    state.take(pickable(library).listing("a", is_here=False))
    assert state.is_current


def test_the_scope_is_settled_once_and_not_under_the_persons_hands():
    state, _ = listed("a")
    state.settle(is_here=True)
    state.settle(is_here=False)
    assert state.is_here
    state.turn_scope()
    assert not state.is_here
    moved, _ = listed("a")
    moved.move(1)
    moved.settle(is_here=True)
    assert not moved.is_here
    for fixed in (PickerState(has_folder=True, everywhere=True), PickerState(has_folder=False)):
        fixed.settle(is_here=True)
        assert not fixed.is_here


def test_without_a_folder_there_is_no_other_scope():
    state = PickerState(has_folder=False)
    state.turn_scope()
    assert not state.is_here


def test_a_listing_counts_what_is_found_here_and_elsewhere():
    library = FakeLibrary(
        summary("a", "Paris"), summary("b", "Rome"), summary("c", "Rome too", folder="/elsewhere")
    )
    found = pickable(library).listing("rome", is_here=True)
    assert ([each.name for each in found.sessions], found.found, found.total) == (["b"], 1, 2)
    nothing = pickable(library).listing("too", is_here=True)
    assert (nothing.found, nothing.found_everywhere) == (0, 1)
    assert pickable(library).listing(" ", is_here=False).total == 3


async def test_the_current_conversation_gets_its_title_itself_and_cannot_be_removed():
    library = FakeLibrary(summary("a"), summary("b"))
    seen = pickable(library, folder=HERE, current="a")
    await seen.rename("a", "Capitals")
    await seen.rename("b", "Rivers")
    assert seen._chat.titles == ["Capitals"]
    assert [each.title for each in library.kept] == ["", "Rivers"]
    with pytest.raises(UsageError):
        await seen.remove("a")
    await seen.remove("b")
    assert [each.name for each in library.kept] == ["a"]
