from __future__ import annotations

import os
import stat

import pytest

from chatcli.app.request_contents import frames_for

FILE = "frame-secret"


def test_an_installation_keeps_its_secret_in_a_private_file_made_on_first_need(tmp_path):
    data = tmp_path / "data"
    frames = frames_for(data, is_saved=True)
    assert not data.exists()
    framed = frames.framed("text")
    secret = (data / FILE).read_bytes()
    assert len(secret) == 32
    if os.name == "posix":
        assert stat.S_IMODE((data / FILE).stat().st_mode) == 0o600
    assert frames_for(data, is_saved=True).framed("text") == framed
    assert (data / FILE).read_bytes() == secret


def test_two_installations_frame_a_text_differently(tmp_path):
    one, other = (frames_for(tmp_path / name, is_saved=True).framed("text") for name in ("one", "other"))
    assert one != other


def test_what_is_not_saved_writes_nothing_and_has_frames_of_the_process(tmp_path):
    framed = frames_for(tmp_path, is_saved=False).framed("text")
    assert frames_for(tmp_path, is_saved=False).framed("text") == framed
    assert not list(tmp_path.iterdir())
    assert frames_for(tmp_path, is_saved=True).framed("text") != framed


def test_what_is_only_shown_uses_the_secret_but_makes_none(tmp_path):
    frames_for(tmp_path, is_saved=True, may_write=False).framed("text")
    assert not list(tmp_path.iterdir())
    framed = frames_for(tmp_path, is_saved=True).framed("text")
    assert frames_for(tmp_path, is_saved=True, may_write=False).framed("text") == framed


@pytest.mark.parametrize("damaged", [b"", b"short", b"x" * 33, bytes(32), b"\xff" * 32])
def test_a_damaged_secret_is_replaced(tmp_path, damaged):
    (tmp_path / FILE).write_bytes(damaged)
    framed = frames_for(tmp_path, is_saved=True).framed("text")
    assert len((tmp_path / FILE).read_bytes()) == 32
    assert (tmp_path / FILE).read_bytes() != damaged
    assert frames_for(tmp_path, is_saved=True).framed("text") == framed


def test_where_no_file_can_be_made_the_frames_are_those_of_the_process(tmp_path):
    in_the_way = tmp_path / "data"
    in_the_way.write_text("not a folder")
    framed = frames_for(in_the_way, is_saved=True).framed("text")
    assert framed == frames_for(tmp_path, is_saved=False).framed("text")
