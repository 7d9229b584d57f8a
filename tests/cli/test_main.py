from __future__ import annotations

import errno
import importlib
import json
import os
import py_compile
import re
import subprocess
import sys
from importlib.machinery import SourcelessFileLoader
from pathlib import Path

import pytest

from chatcli import __version__
from chatcli.cli.commands import COMMANDS, summary
from chatcli.cli.main import main
from cli.fakes import terminal

SLOW_TO_IMPORT = ("openai", "tiktoken", "rich", "prompt_toolkit", "httpx2")


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "-q"], ["hi", "--version"]], ids=" ".join)
def test_version_is_reported_wherever_it_is_asked(arguments):
    recorded = terminal()
    assert main(arguments, recorded) == 0
    assert recorded.out == f"chatcli {__version__}\n"


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_nobody_waits_for_a_library_to_see_version_or_help(argument):
    program = f"""
import sys
from chatcli.cli.main import main
code = main([{argument!r}])
sys.exit(code or ", ".join(sorted(set(sys.modules) & set({SLOW_TO_IMPORT!r}))) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "json", "--unknown", "hi"],
        ["--max-cots", "1", "-o", "json", "hi"],
        ["-t", "hot", "-o", "json", "hi"],
        ["-o", "json", "--schema", "x", "hi"],
        ["-o", "json", "-c", "-s", "x", "hi"],
        ["-o", "json", "--resume", "hi"],
        ["-o", "json", "-m"],
    ],
    ids=" ".join,
)
def test_a_usage_error_is_an_object_where_json_was_asked_for(arguments):
    recorded = terminal()
    assert main(arguments, recorded) == 2
    (line,) = recorded.out.splitlines()
    shown = json.loads(line)
    assert list(shown)[:2] == ["text", "model"]
    assert recorded.err.startswith(f"error: {shown['error']['message']}\n")
    assert shown["notices"] == []


def test_a_usage_error_is_a_last_line_where_json_lines_were_asked_for():
    recorded = terminal()
    assert main(["-o", "jsonl", "--unknown"], recorded) == 2
    (line,) = recorded.out.splitlines()
    assert json.loads(line)["type"] == "turn_failed"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--unknown"],
        ["-o", "text", "--unknown"],
        ["--", "-o", "json"],
        ["sessions", "list", "-o", "json", "--unknown"],
    ],
)
def test_a_usage_error_is_only_text_otherwise(arguments):
    recorded = terminal()
    assert main([*arguments, "--resume", "--continue"] if arguments[0] == "--" else arguments, recorded) != 0
    assert recorded.out == ""


def test_a_usage_error_goes_to_the_file_of_the_answer(tmp_path):
    recorded, path = terminal(), tmp_path / "answer.json"
    assert main(["-o", "json", "--out", str(path), "--unknown"], recorded) == 2
    assert recorded.out == ""
    assert json.loads(path.read_text("utf-8"))["error"]["code"] == "usage"


@pytest.mark.parametrize("name", [command.name for command in COMMANDS if command.is_reserved])
def test_a_reserved_word_is_refused_with_the_way_to_ask_it(name):
    recorded = terminal()
    assert main([name, "--anything"], recorded) == 2
    assert recorded.err == (
        f"error: the command {name} comes with a later version\n"
        f"→ to ask it as a question: chatcli -- {name}\n"
    )


@pytest.mark.parametrize(
    "option",
    [
        *(
            "--tool",
            "--allow-tool",
            "--frames",
        ),
        *(
            "--kb",
            "--speak",
            "--pdf",
            "--pages",
            "--detail",
        ),
    ],
)
def test_a_reserved_option_says_so_however_it_is_given(option):
    for arguments in ([option], [option, "value", "Hi"], [f"{option}=value", "Hi"], ["Hi", option]):
        recorded = terminal()
        assert main(arguments, recorded) == 2
        assert recorded.err == (f"error: {option} comes with a later version\n→ leave it out\n")
    shown = terminal()
    assert main(["--help"], shown) == 0
    assert not re.search(rf"{option}(?![\w-])", shown.out)


def test_the_commands_are_those_of_the_public_surface():
    assert [command.name for command in COMMANDS] == [
        *("alerts", "batch", "cache", "completion", "config", "doctor", "image", "kb", "local"),
        *("logs", "mcp", "models", "sessions", "stats", "templates", "trust", "voice"),
    ]
    assert not any(line.startswith("  voice") for line in summary().splitlines())


@pytest.mark.parametrize(
    "arguments", [["config", "-h"], ["sessions", "--help"], ["-h", "local"]], ids=" ".join
)
def test_a_command_explains_itself_without_its_words(arguments):
    recorded = terminal()
    assert main(arguments, recorded) == 0
    assert recorded.out.startswith("usage: chatcli ")


def test_an_option_of_the_chat_is_unknown_to_a_command():
    recorded = terminal()
    assert main(["sessions", "list", "--extract"], recorded) == 2
    assert recorded.err.startswith("error: unknown option --extract\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sessions", "list", "-o", "json"], "error: unknown option -o\n→ did you mean --json?\n"),
        (
            ["sessions", "list", "--tool", "x"],
            "error: --tool comes with a later version\n→ leave it out\n",
        ),
        (["models", "--kb=x"], "error: --kb comes with a later version\n→ leave it out\n"),
        (["doctor", "--kbx"], "error: unknown option --kbx\n→ chatcli doctor --help lists the options"),
        (["sessions", "path", "a", "b"], "error: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_names_only_options_of_its_own(arguments, message):
    recorded = terminal()
    assert main(arguments, recorded) == 2
    assert recorded.err.startswith(message)


class Buggy:
    """A terminal whose keyboard has a bug."""

    def __init__(self, folder):
        folders = {f"CHATCLI_{kind}_DIR": str(folder) for kind in ("DATA", "CONFIG", "CACHE")}
        self.terminal = terminal(**folders)

    def __getattr__(self, name):
        if name == "stdin":
            raise ZeroDivisionError("oh\x1b[2J no")
        return getattr(self.terminal, name)


def test_a_bug_is_one_line_and_what_to_do(tmp_path):
    buggy = Buggy(tmp_path)
    assert main(["hi"], buggy) == 1
    assert buggy.terminal.err == (
        "chatcli: a bug: ZeroDivisionError: oh␛[2J no\n→ run it again with --debug and report what it prints\n"
    )


def test_a_bug_is_logged_without_its_words(tmp_path):
    assert main(["hi"], Buggy(tmp_path / "x")) == 1
    (line,) = (tmp_path / "x" / "chatcli.log").read_text().splitlines()
    logged = json.loads(line)
    assert (logged["level"], logged["event"], logged["error"]) == ("error", "bug", ["ZeroDivisionError"])
    assert logged["traceback"][0].startswith("cli/main.py:")
    assert "oh" not in "".join(logged["error"] + logged["traceback"]).split()


def test_a_bug_of_a_run_that_saves_nothing_is_not_logged(tmp_path):
    assert main(["hi", "--no-save"], Buggy(tmp_path / "x")) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError()], ids=["recursion", "memory"])
def test_what_python_runs_out_of_is_a_bug_in_a_line(error, tmp_path):
    class Exhausted(Buggy):
        def __getattr__(self, name):
            if name == "stdin":
                raise error
            return super().__getattr__(name)

    exhausted = Exhausted(tmp_path)
    assert main(["hi"], exhausted) == 1
    assert exhausted.terminal.err.startswith(f"chatcli: a bug: {type(error).__name__}: ")
    assert "Traceback" not in exhausted.terminal.err


def _of_a_damaged_module(folder):
    source, compiled = folder / "cut_short.py", folder / "cut_short.pyc"
    source.write_text("a = 1")
    py_compile.compile(str(source), str(compiled))
    compiled.write_bytes(compiled.read_bytes()[:-5])
    SourcelessFileLoader("cut_short", str(compiled)).get_code("cut_short")


def _of_a_missing_module(_folder):
    importlib.import_module("openai.types.of_another_version")


def _of_a_missing_file(_folder):
    Path(main.__code__.co_filename).with_name("gone.txt").read_text()


@pytest.mark.parametrize("fails", [_of_a_damaged_module, _of_a_missing_module, _of_a_missing_file])
def test_a_damaged_installation_is_not_called_a_bug(fails, tmp_path):
    class Damaged(Buggy):
        def __getattr__(self, name):
            if name == "stdin":
                fails(tmp_path)
            return super().__getattr__(name)

    damaged = Damaged(tmp_path)
    assert main(["hi"], damaged) == 1
    assert damaged.terminal.err.startswith("chatcli: the installation is damaged: ")
    assert "→ install chatcli again" in damaged.terminal.err


def test_a_program_that_cannot_be_imported_says_what_to_do():
    program = "import sys; sys.modules['chatcli.cli.main'] = None; import chatcli.__main__ as it; sys.exit(it.main())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("chatcli: the installation is damaged: ModuleNotFoundError: ")
    assert ended.stderr.count("\n") == 2


def test_work_that_is_interrupted_before_it_begins_is_no_warning(tmp_path):
    interrupted_in_run = """
import asyncio, sys
from chatcli.cli.main import main

def run(work):
    raise KeyboardInterrupt

asyncio.run = run
sys.exit(main(["--no-save", "--model", "a-model", "Hi"]))
"""
    home = {"HOME": str(tmp_path), "OPENAI_API_KEY": "a-key", "PATH": os.environ["PATH"]}
    ended = subprocess.run(
        [sys.executable, "-c", interrupted_in_run],
        capture_output=True,
        text=True,
        check=False,
        env=home,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_a_module_that_cannot_be_opened_among_many_files_is_no_damaged_installation(tmp_path):
    class Crowded(Buggy):
        def __getattr__(self, name):
            if name == "stdin":
                raise OSError(errno.EMFILE, "Too many open files", main.__code__.co_filename)
            return super().__getattr__(name)

    crowded = Crowded(tmp_path)
    assert main(["hi"], crowded) == 1
    assert crowded.terminal.err.startswith("chatcli: the system lets it open no more files: ")
    assert "→ raise the limit with ulimit -n" in crowded.terminal.err


def test_a_missing_file_of_the_person_is_no_damaged_installation(tmp_path):
    class Missing(Buggy):
        def __getattr__(self, name):
            if name == "stdin":
                (tmp_path / "gone").read_text()
            return super().__getattr__(name)

    missing = Missing(tmp_path)
    assert main(["hi"], missing) == 1
    assert missing.terminal.err.startswith("chatcli: a bug: FileNotFoundError: ")


@pytest.mark.parametrize(("arguments", "is_shown"), [(["hi", "--debug"], True), (["--", "--debug"], False)])
def test_debug_is_an_option_only_before_the_words(arguments, is_shown, tmp_path):
    buggy = Buggy(tmp_path)
    assert main(arguments, buggy) == 1
    assert ("Traceback" in buggy.terminal.err) == is_shown


def test_nobody_waits_for_an_event_loop_to_see_the_version():
    program = "import sys; from chatcli.cli.main import main; main(['--version']); sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0
