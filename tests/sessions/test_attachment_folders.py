from __future__ import annotations

import sys

import pytest

from chatcli.sessions.attachment_folders import attachments_folder, move_attachments, remove_attachments

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
