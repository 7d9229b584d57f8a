"""Alerts in whole runs: what one question says, what the guide's commands do, and a conversation in the terminal."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.pseudo_terminal import CTRL_C, CTRL_D
from scripted_server import HOLD, Answer, event_stream, json_answer, serving_in_thread, text_events

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "monitoring.md").read_text("utf-8")
SECTION = re.search(r"\n## Alerts\n(.*?)\n## ", GUIDE, re.DOTALL)[1]
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL) for line in block.splitlines()
]
RULES = re.search(r"```toml\n(.*?)```", SECTION, re.DOTALL)[1]

REFUSED = json_answer({"error": {"message": "no such model"}}, status=404)
HELD = Answer([*text_events("It is **Paris**.\n\n", "* unfinished"), HOLD])
FINE = Answer(event_stream("Paris."))
CROSSED = "alert success: success rate 80% over 15 min, below 90% (5 calls)"


def ask(program, server, *arguments, **environment):
    return program.run(*arguments, "Capital?", server=server, **environment)


def test_the_question_that_crosses_says_so_once_at_the_end(program):
    with serving_in_thread(FINE, FINE, FINE, FINE, REFUSED, FINE) as server:
        for _ in range(4):
            assert "alert" not in ask(program, server).stderr
        done = ask(program, server)
        assert done.exit_code == 5
        assert done.stderr.splitlines()[-1] == CROSSED
        done = ask(program, server)
        assert (done.exit_code, done.stdout) == (0, "Paris.\n")
        assert "alert" not in done.stderr


def test_a_quiet_question_says_nothing_and_still_runs_the_command(program):
    written = program.working_folder / "written"
    words = [
        sys.executable,
        "-c",
        "import sys; open(sys.argv[1], 'a').write(sys.argv[2])",
        str(written),
        "{name}.",
    ]
    (program.config_folder / "config.toml").write_text(
        f'[[alerts]]\nname = "any"\nmetric = "error_count"\nthreshold = 0\ncommand = {json.dumps(words)}\n',
        encoding="utf-8",
    )
    with serving_in_thread(REFUSED) as server:
        for _ in range(2):
            done = ask(program, server, "-q")
            assert "alert" not in done.stderr
    assert written.read_text() == "any."


@pytest.mark.parametrize(
    ("arguments", "environment"), [(["--no-save"], {}), ([], {"CHATCLI_TELEMETRY": "off"})]
)
def test_where_nothing_is_kept_nothing_fires(program, arguments, environment):
    (program.config_folder / "config.toml").write_text(
        '[[alerts]]\nmetric = "error_count"\nthreshold = 0\n', encoding="utf-8"
    )
    with serving_in_thread(REFUSED) as server:
        assert "alert" not in ask(program, server, *arguments, **environment).stderr
    assert list(program.data_folder.glob("alerts*")) == []


def test_a_screen_reader_hears_a_sentence(program):
    with serving_in_thread(REFUSED) as server:
        for _ in range(4):
            ask(program, server)
        done = ask(program, server, "--plain")
    assert done.stderr.endswith("Alert success: success rate 0% over 15 min, below 90% (5 calls).\n")


def test_a_batch_says_it_while_or_after_it_runs(program):
    (program.working_folder / "rows.txt").write_text("".join(f"Question {n}\n" for n in range(6)))
    with serving_in_thread(REFUSED) as server:
        done = program.run("batch", "rows.txt", "--out", "out.jsonl", "--concurrency", "1", server=server)
    assert done.exit_code == 12
    assert re.search(r"alert success: success rate 0% over 15 min, below 90% \([56] calls\)", done.stderr)
    assert done.stderr.count("alert success") == 1


def test_lines_typed_one_at_a_time_tell_of_it_between_answers(program, terminal):
    with serving_in_thread(FINE, REFUSED) as server:
        for _ in range(4):
            ask(program, server)
        with terminal("--plain", server=server) as screen:
            screen.wait_for("You:")
            screen.type("Capital?\n")
            screen.wait_for("404 Not Found")
            screen.press_until("/pwd\n", "Alert success: success rate 20%")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
    assert screen.received.count(b"Alert success") == 1


class TestConversation:
    def test_a_crossing_is_a_line_and_part_of_the_toolbar_and_so_is_the_end(self, program, terminal):
        (program.config_folder / "config.toml").write_text(
            '[[alerts]]\nname = "any"\nmetric = "error_count"\nwindow = "1m"\nthreshold = 0\n'
            'notify = ["toolbar", "bell"]\n',
            encoding="utf-8",
        )
        with serving_in_thread(REFUSED) as server, terminal(server=server) as screen:
            screen.wait_for("\n>")
            assert "alert" not in screen.shown
            screen.type("Capital?\r")
            screen.wait_for("alert any: errors 1 over 1 min, above 0 (1 call)")
            screen.wait_for("tokens · alert: errors 1")
            assert b"\x07" in screen.received
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        with serving_in_thread(REFUSED) as server, terminal(server=server) as screen:
            screen.wait_for("tokens · alert: errors 1")
            assert "alert any" not in screen.shown
            screen.type(CTRL_D)
            screen.wait_for_exit()

    def test_nothing_is_told_in_the_middle_of_an_answer(self, program, terminal):
        with serving_in_thread(REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, HELD) as server:
            for _ in range(3):
                ask(program, server)
            with terminal(server=server) as screen:
                screen.wait_for("\n>")
                screen.type("Capital?\r")
                screen.wait_for("404")
                screen.type("And now?\r")  # the fifth failure: looked at in three seconds
                screen.wait_for("And now?\n\nerror")
                screen.type("Then?\r")
                screen.wait_for("unfinished")
                screen.wait_for("alert: success rate 0%")  # in the toolbar
                assert "alert success" not in screen.shown
                screen.type(CTRL_C)
                screen.wait_for("alert success: success rate 0%")
                above, _, below = screen.shown.partition("alert success")
                assert "unfinished" in above
                assert "unfinished" not in below


def test_the_rules_of_the_guide_are_read(program):
    (program.config_folder / "config.toml").write_text(RULES, encoding="utf-8")
    done = program.run("alerts", "list", "-o", "json")
    assert [each["name"] for each in json.loads(done.stdout)["alerts"]] == [
        "success",
        "spending",
        "slow batch",
    ]


def test_the_guide_has_examples():
    assert len(COMMANDS) > 4
    assert "*/5 * * * * chatcli alerts check" in SECTION


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("failures", [0, 5])
def test_the_commands_of_the_guide_do_what_it_says(program, command, failures):
    ours, rest = re.fullmatch(r"(chatcli [^|]*?)(?: (\|.*))?", command).groups()
    with serving_in_thread(REFUSED) as server:
        for _ in range(failures):
            ask(program, server)
    done = program.run(*shlex.split(ours)[1:])
    is_check = " check" in command
    assert done.exit_code == (11 if failures and is_check else 0), done.stderr
    assert bool(done.stdout) == (
        " check" not in command or "json" in command or (bool(failures) and "-q" not in command)
    )
    if rest and "jq" in rest and shutil.which("jq"):
        found = subprocess.run(
            ["jq", ".firing"], input=done.stdout, capture_output=True, text=True, check=True, timeout=60
        )
        assert found.stdout == f"{int(bool(failures))}\n"
