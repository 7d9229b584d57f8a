"""``[[alerts]]``: what is read, and what is refused with which words."""

from __future__ import annotations

import pytest

from chatcli.config.alert_tables import alert_rules
from chatcli.config.endpoints import MistypedValue
from chatcli.config.report import rows
from chatcli.core.alert_rules import DEFAULT_RULES, AlertRule
from chatcli.core.errors import ConfigurationError

SECRET = "https://hooks.example/services/T0/B0/secret-of-the-hook"


def rule(**table):
    (found,) = alert_rules([{"metric": "error_count", "threshold": 3, **table}])
    return found


def refusal(**table):
    with pytest.raises(ValueError, match=r"\Arule 1 ") as caught:
        rule(**table)
    return str(caught.value)


def test_a_rule_needs_little_and_gets_the_rest():
    assert rule() == AlertRule(
        name="error-count", metric="error_count", window_s=900, threshold=3, recover=3 * 0.8, minimum_calls=0
    )


def test_everything_can_be_said():
    found = rule(
        name="my errors",
        window="1h",
        recover=1,
        minimum_calls=4,
        model="gpt-5",
        endpoint="https://API.example:8443/v1",
        notify=["bell", "desktop", "bell"],
        command=["notify-send", "{message}"],
        webhook=SECRET,
    )
    assert found == AlertRule(
        "my errors",
        "error_count",
        3600,
        3,
        1,
        4,
        "gpt-5",
        "api.example:8443",
        ("bell", "desktop"),
        ("notify-send", "{message}"),
        SECRET,
    )


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("API.openai.com", "api.openai.com"),
        ("api.openai.com/v1", "api.openai.com"),
        ("https://me:secret@llm.example:8443/v1", "llm.example:8443"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
        ("embedded", "embedded"),
    ],
)
def test_an_endpoint_is_written_as_a_host_or_as_its_address(written, host):
    assert rule(endpoint=written).endpoint == host


@pytest.mark.parametrize("written", [0.9, "0.9", "90%", "90 %", " 90.0 % "])
def test_a_share_is_written_as_a_number_or_in_percent(written):
    found = rule(metric="success_rate", threshold=written)
    assert (found.threshold, found.recover, found.minimum_calls) == (0.9, 0.95, 5)


@pytest.mark.parametrize("written", [20, "20", "20s", "20 s"])
def test_a_time_is_written_in_seconds_or_with_a_unit(written):
    found = rule(metric="p95_ttft_s", threshold=written)
    assert (found.threshold, found.recover, found.minimum_calls) == (20, 16, 5)


def test_the_built_in_rules_are_what_a_file_would_say():
    written = [
        {"name": "success", "metric": "success_rate", "threshold": "90%"},
        {"name": "first-token", "metric": "p95_ttft_s", "threshold": 20},
    ]
    assert alert_rules(written) == DEFAULT_RULES


@pytest.mark.parametrize("off", ["off", "OFF", "no", False, []])
def test_no_rules_are_written_as_off_or_an_empty_list(off):
    assert alert_rules(off) == ()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"treshold": 1}, "rule 1 has no 'treshold'; did you mean threshold?"),
        ({"metric": "latency"}, "rule 1 metric must be success_rate, p95_latency_s,"),
        ({"metric": 7}, "rule 1 metric must be"),
        ({"threshold": -1}, "rule 1 threshold must be a number from 0"),
        ({"threshold": True}, "rule 1 threshold must be a number"),
        ({"threshold": float("nan")}, "rule 1 threshold must be a number"),
        ({"threshold": "inf"}, "rule 1 threshold must be a number"),
        (
            {"metric": "success_rate", "threshold": 90},
            'must be a share from 0 to 1, like 0.9 or "90%", not 90',
        ),
        ({"metric": "success_rate", "threshold": "120%"}, "must be a share from 0 to 1"),
        (
            {"metric": "success_rate", "threshold": 0.9, "recover": 0.8},
            "recover must be at least the threshold, 0.9",
        ),
        ({"recover": 4}, "rule 1 recover must be at most the threshold, 3"),
        ({"window": "10s"}, "rule 1 window must be a time from 60 s to 31 d"),
        ({"window": "a while"}, "rule 1 window must be a time"),
        ({"minimum_calls": 1.5}, "rule 1 minimum_calls must be a whole number"),
        ({"notify": ["belt"]}, "rule 1 notify has no 'belt'; did you mean bell?"),
        ({"notify": 3}, "rule 1 notify must be a list of names"),
        ({"command": "notify-send hello"}, "rule 1 command must be a list of texts, not one text"),
        ({"command": []}, "rule 1 command must be a list of texts"),
        ({"command": ["./anybody"]}, "rule 1 command must begin with a program's name or whole path"),
        ({"name": "two\nlines"}, "rule 1 name must be one line"),
        ({"name": " "}, "rule 1 name must be a name"),
        ({"model": ""}, "rule 1 model must be a name"),
        ({"endpoint": "https://"}, "rule 1 endpoint must be a host, like api.openai.com, not 'https://'"),
        ({"endpoint": "https://[::1"}, "rule 1 endpoint must be a host"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(table, reason):
    assert reason in refusal(**table)


@pytest.mark.parametrize(
    "written",
    [
        "http://hooks.example/secret",
        "hooks.example/secret",
        "https://",
        "https://ada:secret@hooks.example/",
        "https://hooks.example/secret with blanks",
        "https://hooks.example\\@evil.example/secret",
        "https://hooks.example:99999/secret",
        "file:///etc/secret",
        ["secret"],
        7,
    ],
)
def test_a_webhook_is_an_https_address_that_no_error_repeats(written):
    assert "secret" not in refusal(webhook=written)


def test_a_command_that_is_no_list_is_explained():
    with pytest.raises(MistypedValue) as caught:
        rule(command="say hello")
    assert "no shell reads it" in caught.value.hint


@pytest.mark.parametrize("missing", ["metric", "threshold"])
def test_a_rule_without_a_metric_or_a_threshold_is_refused(missing):
    table = {"metric": "tokens", "threshold": 1}
    del table[missing]
    with pytest.raises(ValueError, match=f"rule 1 needs a {missing}"):
        alert_rules([table])


def test_rules_get_names_of_their_own():
    tables = [{"metric": "tokens", "threshold": number} for number in (1, 2, 3)]
    assert [each.name for each in alert_rules(tables)] == ["tokens", "tokens-2", "tokens-3"]


def test_two_rules_of_one_name_or_one_condition_are_refused():
    one = {"metric": "tokens", "threshold": 1, "name": "a"}
    with pytest.raises(ValueError, match="rule 2 is named 'a' like another one"):
        alert_rules([one, {**one, "threshold": 2}])
    with pytest.raises(ValueError, match="rule 2 has the same condition as a"):
        alert_rules([one, {**one, "name": "b"}])


@pytest.mark.parametrize("value", ["on", 3, {"metric": "tokens"}, ["tokens"], True, None, [[1]]])
def test_what_is_no_list_of_tables_is_refused(value):
    with pytest.raises(ValueError, match="must be off, or tables"):
        alert_rules(value)


def test_config_toml_holds_the_rules(machine):
    settings = machine.resolve(config='[[alerts]]\nmetric = "tokens"\nthreshold = 5\n')
    (found,) = settings.alerts
    assert (found.metric, found.threshold) == ("tokens", 5)
    assert settings.origin("alerts") == "config.toml"
    assert machine.resolve(config='alerts = "off"').alerts == ()
    assert machine.resolve(config="alerts = []").alerts == ()
    assert machine.resolve().alerts is None


def test_a_mistake_in_config_toml_names_the_file(machine):
    with pytest.raises(ConfigurationError) as caught:
        machine.resolve(config='[[alerts]]\nmetric = "tokens"\nthreshold = 5\nwindows = "1h"\n')
    assert caught.value.message == "config.toml alerts rule 1 has no 'windows'; did you mean window?"
    with pytest.raises(ConfigurationError, match="unknown setting 'alert'"):
        machine.resolve(config='[[alert]]\nmetric = "tokens"\n')


def test_neither_a_variable_nor_a_profile_nor_the_folder_sets_rules(machine):
    settings = machine.resolve(environment={"CHATCLI_ALERTS": "off"})
    assert settings.alerts is None
    assert any("CHATCLI_ALERTS is not a setting" in warning for warning in settings.warnings)
    assert machine.resolve(trusted_dotenv="CHATCLI_ALERTS=off").alerts is None
    with pytest.raises(ConfigurationError, match="unknown setting 'alerts'"):
        machine.resolve(config='[profiles.work]\nalerts = "off"')


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ("", "the built-in rules"),
        ("alerts = []", "off"),
        (f'[[alerts]]\nmetric = "tokens"\nthreshold = 1\nwebhook = "{SECRET}"', "tokens"),
    ],
)
def test_the_settings_show_the_names_of_rules_and_no_secrets(machine, config, shown):
    values = {row.name: row.value for row in rows(machine.resolve(config=config), lambda text: text)}
    assert values["alerts"] == shown
