"""Env files: what they set, and which are trusted."""

from __future__ import annotations

import codecs
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.env_files import EnvFile, TrustedFolders, mention_once, read_env_file
from chatcli.config.paths import Paths
from chatcli.config.report import changes
from chatcli.config.resolve import resolve
from chatcli.config.settings import SETTINGS, SETTINGS_BY_VARIABLE
from chatcli.core.errors import ConfigurationError


@contextmanager
def in_a_thread_writing(path, content):
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    yield
    writer.join()


@pytest.fixture
def read_file(tmp_path):
    def write_and_read(content: str | bytes) -> EnvFile:
        path = tmp_path / "some.env"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_env_file(path)

    return write_and_read


@pytest.fixture
def read(read_file):
    return lambda content: read_file(content).variables


def test_only_variables_of_chatcli_and_openai_count(read):
    assert read("CHATCLI_MODEL=a\nexport OPENAI_API_KEY='k'\nPATH=/evil\nLD_PRELOAD=evil.so\n") == {
        "CHATCLI_MODEL": "a",
        "OPENAI_API_KEY": "k",
    }


def test_nothing_is_interpolated(read, monkeypatch):
    monkeypatch.setenv("PRIVATE", "secret")
    assert read("CHATCLI_SYSTEM=${PRIVATE}\n") == {"CHATCLI_SYSTEM": "${PRIVATE}"}


def test_empty_variables_are_not_set(read):
    assert read("CHATCLI_MODEL=\nCHATCLI_API_KEY\n# CHATCLI_SYSTEM=x\n") == {}


def test_quoted_values_may_have_lines(read):
    assert read('CHATCLI_SYSTEM="one\\ntwo\nthree" # a comment\n') == {"CHATCLI_SYSTEM": "one\ntwo\nthree"}


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(read):
    assert read(b"\xef\xbb\xbfCHATCLI_MODEL=a\r\nCHATCLI_SEED=1\r\n") == {
        "CHATCLI_MODEL": "a",
        "CHATCLI_SEED": "1",
    }


@pytest.mark.parametrize(
    "bad", ["CHATCLI_SYSTEM='no end", 'export CHATCLI_SYSTEM="a" b', b"CHATCLI_SYSTEM=\xff"]
)
def test_a_line_of_ours_that_cannot_be_read_costs_itself_alone(read_file, bad):
    line = bad.encode() if isinstance(bad, str) else bad
    file = read_file(b"CHATCLI_MODEL=a\n\n" + line + b"\nCHATCLI_SEED=1\n")
    assert file.variables == {"CHATCLI_MODEL": "a", "CHATCLI_SEED": "1"}
    assert (file.odd_lines, file.odd_names) == ((3,), {"CHATCLI_SYSTEM"})


def test_a_comment_in_another_encoding_is_no_mistake(read_file):
    file = read_file("# Schlüssel für die Prüfung\nCHATCLI_MODEL=a # schön\n".encode("latin-1"))
    assert (file.variables, file.odd_lines) == ({"CHATCLI_MODEL": "a"}, ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(read, encoding):
    text = "CHATCLI_MODEL=a\nCHATCLI_SYSTEM=schön\n"
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    assert read(mark + text.encode(encoding)) == {"CHATCLI_MODEL": "a", "CHATCLI_SYSTEM": "schön"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_called_so(read, encoding):
    with pytest.raises(ConfigurationError, match="it is UTF-16 without a byte order mark"):
        read("CHATCLI_MODEL=a\n".encode(encoding))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\xfe\xff\xd8\x00", b"a\0b=c\n" * 9])
def test_what_is_no_text_is_a_clear_error(read, content):
    with pytest.raises(ConfigurationError, match=r"cannot read .* it (is|begins)"):
        read(content)


def test_the_sum_is_that_of_the_bytes(read_file):
    assert read_file(b"A=\r\n").sha256 == hashlib.sha256(b"A=\r\n").hexdigest()


def test_a_file_that_would_take_long_to_read_is_refused_at_once(read):
    for content in ("CHATCLI_MODEL=a" + " " * 200_000 + "b\n", "#" * 300_000):
        with pytest.raises(ConfigurationError, match=r"200 blanks in a row|larger than 262,144 bytes"):
            read(content)


def test_a_pipe_is_no_env_file_unless_it_is_named(tmp_path):
    path = tmp_path / ".env"
    os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="it is a pipe, not a file"):
        read_env_file(path)
    with in_a_thread_writing(path, b"CHATCLI_MODEL=a\n"):
        assert read_env_file(path, may_be_pipe=True).variables == {"CHATCLI_MODEL": "a"}


def test_a_line_of_another_program_is_its_own_business(read, capfd):
    assert read("OTHER='no end\nCHATCLI_MODEL=a\n") == {"CHATCLI_MODEL": "a"}
    assert capfd.readouterr().err == ""


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_env_file(tmp_path / "missing.env")


def test_a_file_that_is_not_text_is_a_clear_error(read):
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read(b"MODEL=\xff\xfe")


HOST = "https://host.example/v1"

HARMLESS = {
    "CHATCLI_MODEL": ("model", "a"),
    "CHATCLI_TEMPERATURE": ("temperature", 0.5),
    "CHATCLI_TOP_P": ("top_p", 0.9),
    "CHATCLI_MAX_TOKENS": ("max_tokens", 100),
    "CHATCLI_SEED": ("seed", 7),
    "CHATCLI_REASONING": ("reasoning", "low"),
    "CHATCLI_THEME": ("theme", "dark"),
}
HARMFUL = {
    "CHATCLI_BASE_URL": HOST,
    "OPENAI_BASE_URL": HOST,
    "OPENAI_API_BASE": HOST,
    "CHATCLI_API": "responses",
    "CHATCLI_PROFILE": "none",
    "CHATCLI_SYSTEM": "Obey me.",
    "CHATCLI_OPTIONS": '{"store": true}',
    "CHATCLI_FALLBACK": "evil",
    "CHATCLI_MAX_COST": "1000",
    "CHATCLI_SAVE": "false",
    "CHATCLI_CA_BUNDLE": "/evil.pem",
    "CHATCLI_RETRIES": "20",
    "CHATCLI_REPL_PROMPT": "$ ",
}
KEY_ELSEWHERE = {
    "environment": {"environment": {"OPENAI_API_KEY": "k"}},
    "env file": {"env_file": "CHATCLI_API_KEY=k\n"},
    "config": {"config": 'api_key = "k"\n'},
    "a profile not in use": {"config": '[profiles.idle]\napi_key = "k"\n'},
    "a pointer": {"config": 'api_key_env = "WORK_KEY"\n'},
    "keys.json": {"keys": {OPENAI_URL: "k"}},
    "keyring": {"keys": {OPENAI_URL: None}},
    "a key of another endpoint": {"keys": {HOST: "k"}},
}


def lines(variables):
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())


def one_key(settings):
    return settings.credential and settings.credential.source


def test_exactly_the_harmless_settings_may_be_set_without_trust():
    assert {setting.name for setting in SETTINGS if setting.harmless} == {
        name for name, _ in HARMLESS.values()
    }


@pytest.mark.parametrize("variable", HARMLESS)
def test_a_harmless_setting_is_taken_from_any_folder(machine, variable):
    name, value = HARMLESS[variable]
    settings = machine.resolve(dotenv=lines({variable: value}))
    assert getattr(settings, name) == value
    assert settings.origin(name) == f".env {variable}"
    assert (settings.untrusted, settings.warnings) == (None, ())


@pytest.mark.parametrize("variable", HARMFUL)
def test_anything_else_waits_for_trust(machine, variable):
    dotenv = lines({variable: HARMFUL[variable]})
    name = SETTINGS_BY_VARIABLE[variable].name
    plain, settings = machine.resolve(), machine.resolve(dotenv=dotenv)
    assert getattr(settings, name) == getattr(plain, name)
    assert settings.origin(name) == "default"
    assert settings.untrusted.names == (variable,)
    assert machine.resolve(trusted_dotenv=dotenv).origin(name) == f".env {variable}"


def test_what_waits_is_named_with_the_ways_to_use_it(machine):
    settings = machine.resolve(dotenv=lines(HARMFUL) + "CHATCLI_NONSENSE=1\nOPENAI_ORG=2\nCHATCLI_\x1b=3\n")
    assert settings.untrusted.notice == (
        f"not used from .env: {', '.join(name for name in SETTINGS_BY_VARIABLE if name in HARMFUL)} "
        "(use it: chatcli trust, or --env-file .env)"
    )
    assert settings.warnings == ()


# A key of its own.


@pytest.mark.parametrize("variable", ["CHATCLI_API_KEY", "OPENAI_API_KEY"])
@pytest.mark.parametrize("url", [None, OPENAI_URL, "https://API.openai.com:443/v1"])
def test_a_key_is_taken_by_who_has_none_and_asks_the_default_endpoint(machine, variable, url):
    settings = machine.resolve(dotenv=f"{variable}=own\n", flags={"base_url": url})
    assert settings.credential.secret.reveal() == "own"
    assert settings.credential.endpoint_origin == origin_of(OPENAI_URL)
    assert settings.untrusted is None


@pytest.mark.parametrize("elsewhere", KEY_ELSEWHERE)
def test_a_key_waits_where_another_one_is_set(machine, elsewhere):
    place = KEY_ELSEWHERE[elsewhere]
    settings = machine.resolve(**place, dotenv="OPENAI_API_KEY=own\n")
    assert one_key(settings) == one_key(machine.resolve(**place))
    assert settings.untrusted.names == ("OPENAI_API_KEY",)


@pytest.mark.parametrize("url", ["CHATCLI_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"])
@pytest.mark.parametrize("value", [HOST, OPENAI_URL, "'no end"])
def test_a_key_beside_an_address_waits_with_it(machine, url, value):
    settings = machine.resolve(dotenv=f"{url}={value}\nOPENAI_API_KEY=own\n")
    assert (settings.credential, settings.withheld, settings.base_url) == (None, (), None)
    assert "OPENAI_API_KEY" in settings.untrusted.names


@pytest.mark.parametrize(
    "place",
    [
        {"flags": {"base_url": HOST}},
        {"environment": {"OPENAI_API_BASE": HOST}},
        {"config": f'base_url = "{HOST}"'},
        {"flags": {"profile": "work"}, "config": f'[profiles.work]\nbase_url = "{HOST}"'},
    ],
)
def test_a_key_waits_where_another_endpoint_is_asked(machine, place):
    settings = machine.resolve(**place, dotenv="OPENAI_API_KEY=own\n")
    assert (settings.credential, settings.withheld) == (None, ())
    assert settings.untrusted.names == ("OPENAI_API_KEY",)


# Trust.


def test_a_trusted_file_sets_everything_whoever_has_a_key(machine):
    settings = machine.resolve(
        environment={"CHATCLI_API_KEY": "k"},
        trusted_dotenv=f"OPENAI_BASE_URL={HOST}\nOPENAI_API_KEY=own\nCHATCLI_SYSTEM=Be brief.\n",
    )
    assert (settings.base_url, settings.system) == (HOST, "Be brief.")
    assert settings.credential.secret.reveal() == "own"
    assert (settings.untrusted, settings.warnings) == (None, ())


def test_a_changed_file_has_to_be_trusted_anew(machine):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    settings = machine.resolve(dotenv="CHATCLI_SYSTEM=Be brief!\n")
    assert (settings.system, settings.untrusted.names) == (None, ("CHATCLI_SYSTEM",))
    assert machine.resolve(dotenv="CHATCLI_SYSTEM=Be brief.\n").system == "Be brief."


def test_the_same_file_in_another_folder_is_not_trusted(machine, tmp_path):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    (tmp_path / "clone").mkdir()
    machine.dotenv.rename(tmp_path / "clone" / ".env")
    assert resolve({}, {}, machine.paths, tmp_path / "clone").system is None


def test_a_folder_reached_by_a_link_is_the_same_folder(machine, tmp_path):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    (tmp_path / "link").symlink_to(machine.dotenv.parent)
    assert resolve({}, {}, machine.paths, tmp_path / "link").system == "Be brief."


def test_a_dotenv_given_by_name_is_trusted_for_this_run(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"OPENAI_BASE_URL={HOST}\nOPENAI_API_KEY=own\n", encoding="utf-8")
    paths = Paths(tmp_path, tmp_path, tmp_path, tmp_path)
    settings = resolve({}, {"CHATCLI_API_KEY": "k"}, paths, tmp_path, dotenv)
    assert settings.base_url == HOST
    assert settings.credential.secret.reveal() == "own"
    assert (settings.untrusted, settings.warnings) == (None, ())
    assert resolve({}, {}, paths, tmp_path).base_url is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "folders": {"/": 3}}'])
def test_a_damaged_record_of_trust_trusts_nobody_and_stops_nobody(machine, content):
    machine.config_file.parent.mkdir()
    (machine.config_file.parent / "trusted-folders.json").write_text(content, encoding="utf-8")
    settings = machine.resolve(dotenv="CHATCLI_SYSTEM=Obey me.\nCHATCLI_MODEL=a\n")
    assert (settings.system, settings.model) == (None, "a")
    (warning,) = settings.warnings
    assert warning.startswith("no folder is trusted: ")


def test_what_is_trusted_lies_in_a_private_file(machine):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    path = machine.config_file.parent / "trusted-folders.json"
    assert path.stat().st_mode & 0o077 == 0
    assert "brief" not in path.read_text(encoding="utf-8")


def test_trust_can_be_taken_back(machine):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    trusted = TrustedFolders.of(machine.paths)
    assert trusted.remove(machine.dotenv.parent)
    assert not trusted.remove(machine.dotenv.parent)
    assert trusted.all() == {}


def test_trust_given_and_taken_back_at_the_same_time_stays_so(machine, tmp_path):
    trusted = TrustedFolders.of(machine.paths)
    there, new = [[tmp_path / kind / str(n) for n in range(8)] for kind in ("there", "new")]
    for folder in there:
        trusted.trust(folder, "sum")
    with ThreadPoolExecutor(16) as pool:
        changed = pool.map(lambda n: (trusted.remove(there[n]), trusted.trust(new[n], "sum")), range(8))
        assert list(changed) == [(True, None)] * 8
    assert set(trusted.all()) == {str(folder.resolve()) for folder in new}


# Nobody named the file, so it must not stop anybody.


@pytest.mark.parametrize(
    "line", ["CHATCLI_TEMPERATURE=hot", "CHATCLI_MAX_TOKENS=0", "CHATCLI_THEME=pink", 'OPENAI_API_KEY="a b"']
)
def test_a_bad_value_is_left_out_with_a_warning(machine, line):
    settings = machine.resolve(dotenv=f"{line}\nCHATCLI_MODEL=a\n")
    assert settings.model == "a"
    (warning,) = settings.warnings
    assert warning.startswith(f"ignored: .env {line.partition('=')[0]} must be")


def test_a_bad_value_that_waits_is_nobodys_business(machine):
    settings = machine.resolve(dotenv="CHATCLI_BASE_URL=ftp://evil\nCHATCLI_PROFILE=none-such\n")
    assert settings.warnings == ()


def test_lines_that_cannot_be_read_are_numbered_once(machine):
    settings = machine.resolve(dotenv="CHATCLI_MODEL=a\nA=b\nCHATCLI_SEED='1\n\nCHATCLI_SYSTEM=\"y\n")
    assert settings.model == "a"
    assert settings.warnings == (
        ".env: ignored lines 3, 5, which cannot be read (check the quotes and the encoding)",
    )


@pytest.mark.parametrize("place", ["env_file", "trusted_dotenv"])
@pytest.mark.parametrize("odd", [f"OPENAI_BASE_URL='{HOST}", f"A='b\nOPENAI_BASE_URL='{HOST}'"])
def test_a_key_whose_address_cannot_be_read_goes_nowhere(machine, place, odd):
    settings = machine.resolve(**{place: f"{odd}\nOPENAI_API_KEY=own\n"})
    assert (settings.credential, settings.withheld) == (None, ())
    assert any("the line with its base_url is unreadable" in warning for warning in settings.warnings)


# The preview shown before a person trusts it.


def test_what_would_change_shows_hosts_and_beginnings_and_no_secret(machine):
    secret = "sk-" + "secret" * 5
    machine.resolve(
        dotenv=f"OPENAI_API_KEY={secret}\nOPENAI_BASE_URL={HOST}\nCHATCLI_SYSTEM={'word ' * 50}\n"
        f'CHATCLI_OPTIONS=\'{{"metadata": {{"token": "{secret}"}}}}\'\nCHATCLI_FALLBACK=a,b\nCHATCLI_MODEL=c\n'
    )
    shown = {change.name: change.value for change in changes(read_env_file(machine.dotenv))}
    assert secret not in str(shown)
    assert shown == {
        "OPENAI_BASE_URL": "https://host.example",
        "OPENAI_API_KEY": "a key for https://host.example",
        "CHATCLI_SYSTEM": f"{('word ' * 12)[:-1]}… (249 characters)",
        "CHATCLI_OPTIONS": "metadata",
        "CHATCLI_FALLBACK": "a, b",
    }


def test_what_cannot_be_used_cannot_be_trusted_either(machine):
    machine.resolve(dotenv="CHATCLI_RETRIES=many\n")
    with pytest.raises(ConfigurationError, match=r"\.env CHATCLI_RETRIES must be"):
        changes(read_env_file(machine.dotenv))


# Mentioned once.


def test_what_waits_is_mentioned_once_a_folder_and_content(machine):
    def is_mentioned(dotenv, *, remember=True):
        untrusted = machine.resolve(dotenv=dotenv).untrusted
        return mention_once(untrusted, machine.paths, remember=remember)

    first, second = "CHATCLI_SYSTEM=a\n", "CHATCLI_SYSTEM=b\n"
    assert is_mentioned(first, remember=False)
    assert [is_mentioned(first), is_mentioned(first), is_mentioned(second), is_mentioned(second)] == [
        *(True, False),
        *(True, False),
    ]


def test_what_cannot_be_remembered_is_mentioned_again(machine):
    untrusted = machine.resolve(dotenv="CHATCLI_SYSTEM=a\n").untrusted
    machine.paths.cache.write_text("a file in its place")
    assert mention_once(untrusted, machine.paths, remember=True)
    assert mention_once(untrusted, machine.paths, remember=True)


# And for any content of the file.

VALUES = st.text(st.characters(exclude_characters="'\\\r\n\0", exclude_categories=["Cs"]), max_size=20)
VARIABLES = st.dictionaries(
    st.sampled_from(sorted(SETTINGS_BY_VARIABLE)), VALUES | st.sampled_from([HOST, "1", "k"])
)
FREE = {setting.name for setting in SETTINGS if setting.harmless}


@given(VARIABLES, st.sampled_from(sorted(KEY_ELSEWHERE)))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100
)
def test_no_untrusted_file_changes_more_than_it_may(machine, variables, elsewhere):
    place = KEY_ELSEWHERE[elsewhere]
    before = machine.resolve(**place)
    after = machine.resolve(**place, dotenv=lines(variables))
    changed = {
        setting.name for setting in SETTINGS if after.origin(setting.name) != before.origin(setting.name)
    }
    assert changed <= FREE
    assert (one_key(after), after.base_url) == (one_key(before), before.base_url)
    assert [one.source for one in after.withheld] == [one.source for one in before.withheld]


@given(st.binary(max_size=200) | VARIABLES.map(lambda variables: lines(variables).encode()))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
def test_any_bytes_in_a_dotenv_stop_nobody(machine, content):
    machine.dotenv.parent.mkdir(exist_ok=True)
    machine.dotenv.write_bytes(content)
    settings = resolve({"model": "a"}, {}, machine.paths, machine.dotenv.parent)
    assert settings.model == "a"
    assert settings.base_url in {None, OPENAI_URL}
