from __future__ import annotations

from chatcli.config.profiles import Profile, beginning


def test_a_profile_tells_what_it_says_itself():
    desk = Profile(
        "desk", {"model": "qwen3", "base_url": "http://127.0.0.1:11434/v1", "system": "Be\nbrief."}
    )
    assert (desk.model, desk.host, desk.system_beginning) == ("qwen3", "127.0.0.1:11434", "Be brief.")


def test_of_a_long_system_prompt_the_beginning_is_told():
    told = Profile("long", {"system": "word " * 100}).system_beginning
    assert len(told) <= 60
    assert told.endswith("word…")


def test_what_is_just_short_enough_is_told_whole():
    assert beginning("a" * 60) == "a" * 60
    assert beginning("a" * 61) == "a" * 59 + "…"


def test_what_a_profile_of_another_version_says_is_no_error():
    odd = Profile("odd", {"model": 3, "base_url": "ftp:// x", "system": ["a"]})
    assert (odd.model, odd.host, odd.system_beginning) == ("", "", "")
