"""Reading config.toml, and changing one setting of it."""

from __future__ import annotations

import os
import stat
import tomllib
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatcli.config.config_file import (
    ConfigFile,
    Profile,
    beginning,
    read_config_file,
    set_setting,
    unset_setting,
)
from chatcli.config.resolve import resolve
from chatcli.core.errors import ConfigurationError

FULL = """\
model = "a"
options = { top_k = 40 }

[profiles.work]
model = "b"
api_key_env = "WORK_KEY"

[profiles."at home"]
api_key = "k"

[models."llama-3:8b"]
context_window = 131072
[models.other]
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: str | bytes) -> ConfigFile:
        path = tmp_path / "config.toml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_config_file(path)

    return write_and_read


def test_a_missing_file_says_nothing(tmp_path):
    assert read_config_file(tmp_path / "config.toml") == ConfigFile()


def test_an_empty_file_says_nothing(read):
    assert read("") == ConfigFile()


def test_settings_profiles_and_models_are_read(read):
    file = read(FULL)
    assert file.settings == {"model": "a", "options": {"top_k": 40}}
    assert file.profiles["work"] == {"model": "b", "api_key_env": "WORK_KEY"}
    assert file.model_windows == {"llama-3:8b": 131072}


def test_every_place_with_a_key_is_known_in_use_or_not(read):
    assert read(FULL).key_places == ("config.toml [profiles.work]", "config.toml [profiles.at home]")
    assert read('api_key = "k"').key_places == ("config.toml",)


def test_a_byte_order_mark_does_not_matter(read):
    assert read(b'\xef\xbb\xbfmodel = "a"\r\n').settings == {"model": "a"}


def test_a_syntax_error_names_file_and_line(read):
    with pytest.raises(ConfigurationError, match=r"config\.toml is not valid TOML.*line 2"):
        read('model = "a"\ntemperature = warm\n')


@pytest.mark.parametrize("content", [b"\xff\xfem", b"a = " + b"[" * 5000])
def test_a_file_that_is_no_toml_at_all_is_a_clear_error(read, content):
    with pytest.raises(ConfigurationError, match=r"config\.toml is not"):
        read(content)


def test_a_folder_in_its_place_is_a_clear_error(tmp_path):
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot read") as raised:
        read_config_file(tmp_path / "config.toml")
    assert "CHATCLI_CONFIG_DIR" in raised.value.hint


@pytest.mark.parametrize(
    ("content", "where", "nearest"),
    [
        ('modle = "a"', r"config\.toml: unknown setting 'modle'", "model"),
        (
            "[profiles.work]\ntemprature = 1",
            r"\[profiles\.work\]: unknown setting 'temprature'",
            "temperature",
        ),
        ('[models.a]\ncontext = "b"', r"\[models\.a\]: unknown setting 'context'", "context_window"),
    ],
)
def test_an_unknown_key_names_the_nearest(read, content, where, nearest):
    with pytest.raises(ConfigurationError, match=where) as caught:
        read(content)
    assert caught.value.hint == f"did you mean {nearest}?"


def test_a_key_like_nothing_known_lists_what_is(read):
    with pytest.raises(ConfigurationError) as caught:
        read("zzzzzz = 1")
    assert str(caught.value.hint).startswith("known: model, base_url, ")


def test_what_no_profile_can_set_is_not_taken_for_a_mistyped_name(read):
    with pytest.raises(
        ConfigurationError, match=r"\[profiles\.work\]: unknown setting 'log_level'"
    ) as caught:
        read('[profiles.work]\nlog_level = "debug"')
    assert caught.value.hint == "set log_level outside of profiles, for all of them"


def test_a_profile_cannot_choose_a_profile(read):
    with pytest.raises(ConfigurationError, match="unknown setting 'profile'"):
        read('[profiles.work]\nprofile = "home"')


@pytest.mark.parametrize(
    "content", ["profiles = 1", "profiles = []", "models.a = 3", '[[models]]\nname = "a"']
)
def test_profiles_and_models_are_tables(read, content):
    with pytest.raises(ConfigurationError, match="must hold tables"):
        read(content)


@pytest.mark.parametrize("window", ["63", '"wide"', "true", "1.5"])
def test_a_window_of_a_model_is_checked(read, window):
    with pytest.raises(ConfigurationError, match=r"\[models\.a\] context_window must be a whole number"):
        read(f"[models.a]\ncontext_window = {window}")


def test_a_windows_path_in_double_quotes_gets_the_right_hint(read):
    with pytest.raises(ConfigurationError, match="is not valid TOML") as caught:
        read('ca_bundle = "C:\\Users\\ada\\ca.pem"\n')
    assert "single quotes" in caught.value.hint


def test_a_pipe_in_its_place_is_a_clear_error(tmp_path):
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(ConfigurationError, match=r"cannot read .*config\.toml: it is a pipe, not a file"):
        read_config_file(tmp_path / "config.toml")


TOML = st.lists(
    st.sampled_from(
        [
            *(
                "model",
                "api_key",
                "profiles",
                "models",
                "base_url",
                "options",
                '"',
                "'",
                '"""',
                "'''",
                "\\",
                "\n",
            ),
            *(
                " = ",
                "[",
                "]",
                "[[",
                "]]",
                "{",
                "}",
                ",",
                ".",
                "1",
                "-inf",
                "nan",
                "1979-05-27",
                "true",
                "#",
                "\r",
                "\0",
            ),
            *(
                "[profiles.work]\n",
                '[models."a"]\n',
                "context_window = ",
                "\ud83d\ude00",
                "\u202e",
                "9" * 400,
            ),
        ]
    )
    | st.text(max_size=5)
).map("".join)


@given(st.binary(max_size=200) | TOML.map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_any_bytes_are_a_configuration_or_a_clear_error(machine, content):
    machine.config_file.parent.mkdir(exist_ok=True)
    machine.config_file.write_bytes(content)
    with suppress(ConfigurationError):
        resolve({}, {}, machine.paths, machine.root)


def test_a_profile_tells_what_it_says_itself():
    desk = Profile(
        "desk", {"model": "qwen3", "base_url": "http://127.0.0.1:11434/v1", "system": "Be\nbrief."}
    )
    assert (desk.model, desk.host, desk.system_beginning) == ("qwen3", "127.0.0.1:11434", "Be brief.")


def test_of_a_long_system_prompt_the_beginning_is_reported():
    beginning = Profile("long", {"system": "word " * 100}).system_beginning
    assert len(beginning) <= 60
    assert beginning.endswith("word…")


def test_what_is_just_short_enough_is_reported_whole():
    assert beginning("a" * 60) == "a" * 60
    assert beginning("a" * 61) == "a" * 59 + "…"


def test_what_a_profile_of_another_version_says_is_no_error():
    odd = Profile("odd", {"model": 3, "base_url": "ftp:// x", "system": ["a"]})
    assert (odd.model, odd.host, odd.system_beginning) == ("", "", "")


COMMENTED = """\
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
    file.write_text(COMMENTED, encoding="utf-8")
    return file


def test_a_missing_file_is_made_for_its_owner_alone(file):
    set_setting(file, "base_url", "https://host.example/v1")
    assert file.read_text(encoding="utf-8") == 'base_url = "https://host.example/v1"\n'
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_setting_is_changed_where_it_stands(full):
    set_setting(full, "model", "c")
    assert full.read_text(encoding="utf-8") == COMMENTED.replace('"a"', '"c"')


def test_a_new_setting_parts_no_comment_from_what_it_is_about(full):
    set_setting(full, "retries", 2)
    assert full.read_text(encoding="utf-8") == f"retries = 2\n{COMMENTED}"


@pytest.mark.parametrize("blank", ["\n", "\r\n", "  \n"])
def test_a_new_setting_comes_below_the_head_of_the_file(full, blank):
    head = f"# Settings of chatcli\n# by me\n{blank}"
    full.write_bytes((head + COMMENTED).encode())
    set_setting(full, "plain", value=True)
    assert full.read_bytes().decode() == f"{head}plain = true\n{COMMENTED}"


def test_a_setting_is_taken_away_and_the_rest_left_alone(full):
    assert unset_setting(full, "base_url") is True
    assert unset_setting(full, "base_url") is False
    assert full.read_text(encoding="utf-8") == COMMENTED.replace('base_url = "https://old.example/v1"\n', "")


def test_taking_away_what_is_not_there_makes_no_file(file):
    assert unset_setting(file, "base_url") is False
    assert not file.exists()


def test_a_byte_order_mark_is_no_hindrance(full):
    full.write_bytes(b"\xef\xbb\xbf" + COMMENTED.encode())
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
