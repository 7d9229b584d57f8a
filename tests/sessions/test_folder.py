from __future__ import annotations

import os
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.sessions.folder import (
    attachments_folder,
    checked_name,
    is_path,
    move_attachments,
    remove_attachments,
)


@pytest.mark.parametrize("text", ["a/b", "./a", "/a", "a.jsonl", "~/a", f"a{os.sep}b"])
def test_a_separator_or_the_suffix_makes_a_path(text):
    assert is_path(text)


@pytest.mark.parametrize("text", ["a", "a.json", "trip to Rome", "会话", ""])
def test_anything_else_is_a_name(text):
    assert not is_path(text)


@pytest.mark.parametrize(
    "name",
    [
        "trip",
        "Trip to Rome",
        "会话",
        "a.b",
        "2026-11-23-2105-a1b2",
        "é",
        "می\u200cخواهم",
        "👨\u200d👩\u200d👧",
        "console",
    ],
)
def test_words_of_every_script_are_names(name):
    assert checked_name(name) == name


def test_a_name_is_composed():
    assert checked_name("e\u0301") == "é"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        ".",
        "..",
        ".hidden",
        "-s",
        "a.",
        "a ",
        "x" * 101,
        "会" * 90,
        "a\nb",
        "a\0",
        "a\x9b",
        "a\u202eb",
        "\udc80",
    ]
    + [f"a{character}b" for character in '<>:"|?*\\/']
    + ["CON", "nul", "Com1", "LPT9.txt", "aux.a.b"],
)
def test_what_could_leave_the_folder_or_fails_elsewhere_is_refused(name):
    with pytest.raises(UsageError, match="cannot name a session") as caught:
        checked_name(name)
    assert caught.value.hint
    assert caught.value.message.isprintable()


@given(st.text(st.characters(exclude_categories=())))
def test_an_accepted_name_is_one_file_name(text):
    try:
        name = checked_name(text)
    except UsageError:
        return
    assert os.path.basename(name) == name  # noqa: PTH119 -- the rule of the system itself
    assert len(f"{name}.jsonl".encode()) <= 255
    assert checked_name(unicodedata.normalize("NFD", name)) == name


posix_only = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


@pytest.fixture
def session(tmp_path):
    return tmp_path / "trip.v1.jsonl"


@pytest.fixture
def attached(session):
    folder = attachments_folder(session)
    folder.mkdir()
    (folder / ("ab" * 32)).write_bytes(b"picture")
    return folder


def test_they_lie_beside_the_session_under_its_name(session, tmp_path):
    assert attachments_folder(session) == tmp_path / "trip.v1.files"


def test_they_follow_the_session(session, attached, tmp_path):
    move_attachments(session, tmp_path / "rome.jsonl")
    assert not attached.exists()
    assert (tmp_path / "rome.files" / ("ab" * 32)).read_bytes() == b"picture"


def test_they_go_with_the_session(session, attached):
    remove_attachments(session)
    assert not attached.exists()


def test_a_session_without_any_moves_and_goes_as_well(session, tmp_path):
    move_attachments(session, tmp_path / "rome.jsonl")
    remove_attachments(session)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_their_place_is_not_theirs(session, tmp_path):
    attachments_folder(session).write_text("a letter")
    remove_attachments(session)
    assert attachments_folder(session).read_text() == "a letter"


@posix_only
def test_of_a_link_only_the_link_is_removed(session, tmp_path):
    others = tmp_path / "others"
    others.mkdir()
    (others / "letter").write_text("Dear all")
    attachments_folder(session).symlink_to(others)
    remove_attachments(session)
    assert not attachments_folder(session).is_symlink()
    assert (others / "letter").read_text() == "Dear all"


@posix_only
def test_a_link_within_leads_to_nothing_that_is_removed(session, attached, tmp_path):
    (tmp_path / "letter").write_text("Dear all")
    (attached / "link").symlink_to(tmp_path)
    remove_attachments(session)
    assert (tmp_path / "letter").read_text() == "Dear all"


@posix_only
def test_a_link_moves_as_the_link_it_is(session, tmp_path):
    (tmp_path / "others").mkdir()
    attachments_folder(session).symlink_to(tmp_path / "others")
    move_attachments(session, tmp_path / "rome.jsonl")
    assert (tmp_path / "rome.files").is_symlink()
