from __future__ import annotations

import os
import stat
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.config.config_file import read_config_file, set_setting, unset_setting
from chatcli.core.errors import ConfigurationError

FULL = """\
# what I talk to
model = "a"   # the small one
base_url = "https://old.example/v1"

# for work
[profiles.work]
model = "b"
"""
BEFORE_TABLES = st.lists(
    st.sampled_from(["# a remark", "", 'system = "x"', "seed = 1", "options = {top_k = 1}"]), unique=True
)
TABLES = st.lists(
    st.sampled_from(["# a remark", "", '[profiles.work]\nmodel = "b"', "[models.a]\ncontext_window = 4096"]),
    unique=True,
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "config.toml"


@pytest.fixture
def full(file):
    file.parent.mkdir()
    file.write_text(FULL, encoding="utf-8")
    return file


def test_a_missing_file_is_made_for_its_owner_alone(file):
    set_setting(file, "base_url", "https://host.example/v1")
    assert file.read_text(encoding="utf-8") == 'base_url = "https://host.example/v1"\n'
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_setting_is_changed_where_it_stands(full):
    set_setting(full, "model", "c")
    assert full.read_text(encoding="utf-8") == FULL.replace('"a"', '"c"')


def test_a_new_setting_parts_no_comment_from_what_it_is_about(full):
    set_setting(full, "retries", 2)
    assert full.read_text(encoding="utf-8") == f"retries = 2\n{FULL}"


@pytest.mark.parametrize("blank", ["\n", "\r\n", "  \n"])
def test_a_new_setting_comes_below_the_head_of_the_file(full, blank):
    head = f"# Settings of chatcli\n# by me\n{blank}"
    full.write_bytes((head + FULL).encode())
    set_setting(full, "plain", value=True)
    assert full.read_bytes().decode() == f"{head}plain = true\n{FULL}"


def test_a_setting_is_taken_away_and_the_rest_left_alone(full):
    assert unset_setting(full, "base_url") is True
    assert unset_setting(full, "base_url") is False
    assert full.read_text(encoding="utf-8") == FULL.replace('base_url = "https://old.example/v1"\n', "")


def test_taking_away_what_is_not_there_makes_no_file(file):
    assert unset_setting(file, "base_url") is False
    assert not file.exists()


def test_a_byte_order_mark_is_no_hindrance(full):
    full.write_bytes(b"\xef\xbb\xbf" + FULL.encode())
    set_setting(full, "model", "c")
    assert read_config_file(full).settings["model"] == "c"


@pytest.mark.parametrize(
    "content", [b"model = a", b'model = "a"\nmodel = "b"', b"\xff", b"a = " + b"[" * 5000]
)
def test_what_is_not_toml_is_refused_and_left_alone(full, content):
    full.write_bytes(content)
    for change in (lambda: set_setting(full, "model", "c"), lambda: unset_setting(full, "model")):
        with pytest.raises(ConfigurationError, match=r"config\.toml is not"):
            change()
    assert full.read_bytes() == content


@given(before=BEFORE_TABLES, tables=TABLES, end=st.sampled_from(["", "\n"]))
def test_nothing_but_the_one_setting_changes(tmp_path_factory, before, tables, end):
    file = tmp_path_factory.mktemp("config") / "config.toml"
    content = "\n".join([*before, *tables]) + end
    file.write_bytes(content.encode())
    set_setting(file, "model", "c")
    changed = file.read_text(encoding="utf-8")
    assert tomllib.loads(changed) == {**tomllib.loads(content), "model": "c"}
    assert changed.count("# a remark") == content.count("# a remark")
    unset_setting(file, "model")
    assert tomllib.loads(file.read_text(encoding="utf-8")) == tomllib.loads(content)
