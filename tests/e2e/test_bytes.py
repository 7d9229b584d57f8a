"""Bytes in and out: any encoding and any locale, streams that are closed, full or do not block, odd terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("descriptors and devices of POSIX", allow_module_level=True)

import resource

from e2e.program import NO_BYTECODE, asked, command, ended
from e2e.pseudo_terminal import CTRL_D, on_terminal
from scripted_server import Answer, event_stream, serving_in_thread
from unframed import unframed_messages

PARIS = Answer(event_stream("Par", "is."))
BEIJING = Answer(event_stream("北", "京"))
FULL_DISK = Path("/dev/full")
ASCII_LOCALES = [
    {"LANG": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
]
needs_full_disk = pytest.mark.skipif(not FULL_DISK.exists(), reason="a device of Linux")


def run_in_shell(program, server, redirections, *, arguments="Hi", **changes):
    """Run with standard streams as a shell redirects them, without a controlling terminal."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m chatcli {arguments} {redirections}', sys.executable],
        env=program.environment(server, **changes),
        cwd=program.working_folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )


class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("content", "text", "note"),
        [
            ("中国的首都是哪里？".encode("gb18030"), "中国的首都是哪里？", "Simplified Chinese (GB18030)"),
            ("首都はどこですか？".encode("shift_jis"), "首都はどこですか？", "Japanese (Shift-JIS)"),
            ("首都はどこですか？".encode("euc_jp"), "首都はどこですか？", "Japanese (EUC-JP)"),
            ("Hauptstadt? äöü".encode("utf-16-le"), "Hauptstadt? äöü", "UTF-16"),
            ("déjà".encode("utf-32"), "déjà", ""),
            ("\ufeffdéjà".encode(), "déjà", ""),
        ],
    )
    def test_piped_text_arrives_whatever_its_encoding(self, program, content, text, note):
        with serving_in_thread(PARIS) as server:
            done = program.run(server=server, stdin=content)
        assert asked(server) == [("user", text)]
        assert done.stderr.rstrip().endswith(note)

    def test_the_end_of_a_log_is_read_from_the_next_character_on(self, program):
        lines = [f"08:22:{second:02} ERROR 订单保存失败: 数据库连接超时" for second in range(60)]
        log = "".join(f"{line}\n" for line in lines).encode("gbk")
        (program.working_folder / "gbk.log").write_bytes(log)
        # Whether the cut is in mid-character or not.
        for size in (999, 998):
            with serving_in_thread(PARIS) as server:
                tail = subprocess.run(
                    ["tail", "-c", str(size), "gbk.log"],
                    cwd=program.working_folder,
                    capture_output=True,
                    check=True,
                )
                done = program.run("Why?", server=server, stdin=tail.stdout)
            ((_, text),) = unframed_messages(asked(server))
            assert text.splitlines()[4:-1] == lines[-(len(text.splitlines()) - 5) :]
            assert done.stderr.startswith("stdin is not UTF-8; reading it as Simplified Chinese (GB18030)")

    def test_an_encoding_is_taken_by_its_name(self, program):
        with serving_in_thread(PARIS) as server:
            done = program.run("--encoding", "koi8-r", server=server, stdin="Столица?".encode("koi8-r"))
        assert (asked(server), done.stderr) == ([("user", "Столица?")], "")
        wrong = program.run("--encoding", "koi9", stdin="Hi")
        assert (wrong.exit_code, wrong.stderr) == (
            2,
            "error: there is no encoding koi9\n→ did you mean koi8-u?\n",
        )

    def test_more_than_can_be_read_is_refused_and_so_is_more_than_fits(self, program):
        with serving_in_thread(PARIS) as server:
            endless = program.run(server=server, stdin=b"word and more. " * 5_000_000)
            long = program.run(server=server, stdin=b"word and more. " * 500_000)
        assert (endless.exit_code, long.exit_code) == (2, 2)
        assert endless.stderr.startswith("error: stdin is longer than 64 MB\n→ ")
        assert long.stderr.startswith("error: the question is too long: ")
        assert server.requests == []

    @pytest.mark.parametrize("options", [("-f", "{}"), ("-S", "@{}")], ids=["-f", "-S"])
    @pytest.mark.parametrize(
        ("path", "what"),
        [("/", "/ is a folder"), ("/dev/zero", "/dev/zero is a device")],
    )
    def test_what_is_no_file_is_a_mistake(self, program, options, path, what):
        done = program.run(*(word.format(path) for word in options), "Hi")
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {what}")

    def test_a_named_pipe_is_read_like_a_file(self, program):
        pipe = program.working_folder / "questions"
        os.mkfifo(pipe)
        with serving_in_thread(PARIS) as server, program.started("-f", "questions", server=server) as process:
            pipe.write_bytes(b"Capital of France?")
            assert ended(process).stdout == "Paris.\n"
        assert unframed_messages(asked(server)) == [
            ("user", '<document name="questions">\nCapital of France?</document>')
        ]

    def test_a_pipe_that_does_not_block_is_waited_for(self, program):
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        with serving_in_thread(PARIS) as server, program.started(server=server, stdin=reading) as process:
            os.close(reading)
            assert process.stderr.readline().startswith(b"waiting for text on stdin")
            for chunk in (b"Capital ", b"of France?"):
                os.write(writing, chunk)
            os.close(writing)
            assert ended(process).stdout == "Paris.\n"
        assert asked(server) == [("user", "Capital of France?")]


@pytest.mark.parametrize("locale", ASCII_LOCALES, ids=["C", "no UTF-8 mode", "nothing but ASCII"])
class TestALocaleThatKnowsOnlyAscii:
    def test_changes_nothing_that_is_read_or_written(self, program, locale):
        (program.working_folder / "笔记.txt").write_text("买牛奶", encoding="utf-8")
        arguments = ("-S", "用中文", "-f", "笔记.txt", "-s", "./旅行.jsonl", "中国的首都?")
        with serving_in_thread(BEIJING) as server:
            done = program.run(*arguments, server=server, stdin="首都", **locale)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "北京\n", "")
        ((_, system), (_, question)) = unframed_messages(asked(server))
        assert system == "用中文"
        assert question.startswith('中国的首都?\n\n<document name="笔记.txt">\n买牛奶</document>')
        assert (program.working_folder / "旅行.jsonl").exists()

    def test_names_files_in_messages_as_they_were_typed(self, program, locale):
        done = program.run("-f", "没有.txt", "Hi", **locale)
        assert done.stderr.startswith("error: cannot read 没有.txt: No such file or directory\n")

    def test_does_not_hinder_a_conversation(self, program, locale):
        with (
            serving_in_thread(BEIJING) as server,
            on_terminal(
                command(), environment=program.environment(server, **locale), folder=program.working_folder
            ) as screen,
        ):
            screen.wait_for("\n>")
            screen.type("首都?\r")
            screen.wait_for("北京\n\n>")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        assert asked(server) == [("user", "首都?")]


@pytest.mark.parametrize(
    "arguments",
    [("-f", "caf\udce9"), ("-S", "@caf\udce9"), ("-s", "caf\udce9"), ("--env-file", "caf\udce9")],
    ids=lambda arguments: arguments[0],
)
def test_a_name_of_undecodable_bytes_is_an_error_and_no_crash(program, arguments):
    done = program.run(*arguments, "Hi")
    assert done.exit_code in {2, 3}
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


class TestStandardStreams:
    @pytest.mark.parametrize(
        ("closed", "exit_code", "stdout"),
        [
            ("<&-", 0, b"Paris.\n"),
            ("2>&-", 0, b"Paris.\n"),
            ("<&- 2>&-", 0, b"Paris.\n"),
            (">&-", 8, b""),
            ("<&- >&- 2>&-", 8, b""),
        ],
    )
    def test_closed_ones_cost_no_answer_and_no_session_file(self, program, closed, exit_code, stdout):
        with serving_in_thread(PARIS) as server:
            done = run_in_shell(program, server, closed)
        assert (done.returncode, done.stdout) == (exit_code, stdout)
        assert program.saved == [("user", "Hi"), ("assistant", "Paris.")]
        if exit_code and "2>&-" not in closed:
            assert done.stderr.startswith(b"error: the output cannot be written: it is closed\n")

    @needs_full_disk
    def test_full_ones_cost_no_answer(self, program):
        with serving_in_thread(PARIS) as server:
            stdout = run_in_shell(program, server, ">/dev/full")
            assert program.saved == [("user", "Hi"), ("assistant", "Paris.")]
            stderr = run_in_shell(program, server, "2>/dev/full", arguments="-v Hi")
        assert stdout.returncode == 8
        assert stdout.stderr.count(b"error: ") == 1
        assert (stderr.returncode, stderr.stdout) == (0, b"Paris.\n")

    @pytest.mark.parametrize("arguments", ["--help", "--version", "config show", "doctor"])
    @pytest.mark.parametrize("redirection", [">&-", pytest.param(">/dev/full", marks=needs_full_disk)])
    def test_every_command_says_that_it_cannot_write(self, program, arguments, redirection):
        done = run_in_shell(program, None, redirection, arguments=arguments)
        assert done.returncode == 8
        assert done.stderr.startswith(b"error: the output cannot be written: ")
        assert done.stderr.count(b"\n") == 2

    def test_a_pipe_that_does_not_block_is_waited_for(self, program):
        long = "all work and no play\n" * 20_000
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with (
            serving_in_thread(Answer(event_stream(long[:1000], long[1000:]))) as server,
            subprocess.Popen(
                command("Hi"),
                stdin=subprocess.DEVNULL,
                stdout=writing,
                env=program.environment(server),
                cwd=program.working_folder,
            ) as process,
        ):
            os.close(writing)
            with os.fdopen(reading, "rb") as reader:
                assert reader.read().decode() == long
        assert process.returncode == 0


class TestTheFileOfAnAnswer:
    def test_a_folder_or_a_place_without_rights_is_known_before_anything_is_asked(self, program):
        (program.working_folder / "folder").mkdir()
        with serving_in_thread(PARIS) as server:
            done = program.run("--out", "folder", "Hi", server=server)
            missing = program.run("--out", "/proc/answer.txt", "Hi", server=server)
        assert done.stderr.startswith("error: cannot write folder: it is a folder\n→ ")
        assert (done.exit_code, missing.exit_code) == (8, 8)
        assert server.requests == []

    def test_a_dash_is_standard_output(self, program):
        with serving_in_thread(PARIS) as server:
            done = program.run("--out", "-", "Hi", server=server)
        exported = program.run("sessions", "export", "--out", "-", "--all", "--format", "json")
        assert done.stdout == "Paris.\n"
        assert "Paris." in exported.stdout
        assert not (program.working_folder / "-").exists()

    def test_a_full_disk_costs_neither_the_earlier_file_nor_the_session(self, program):
        earlier = program.working_folder / "answer.txt"
        earlier.write_text("Rome.\n", encoding="utf-8")
        long = "all work and no play\n" * 2_000
        with serving_in_thread(Answer(event_stream(long))) as server:
            process = subprocess.run(
                command("--no-save", "--out", "answer.txt", "Hi"),
                env=program.environment(server, **NO_BYTECODE),
                cwd=program.working_folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=False,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
            )
        assert process.returncode == 8
        assert process.stderr.startswith(b"error: cannot write answer.txt: File too large\n")
        assert earlier.read_text(encoding="utf-8") == "Rome.\n"
        assert [path.name for path in program.working_folder.iterdir()] == ["answer.txt"]


class TestOddTerminals:
    @pytest.mark.parametrize("columns", [1, 2, 500])
    def test_any_width_will_do(self, program, columns):
        self.converse(program, columns)

    @pytest.mark.parametrize(
        "environment",
        [
            {"COLUMNS": "garbage"},
            {"COLUMNS": "99999999999"},
            {"COLUMNS": "0"},
            {"TERM": "nonsense"},
            {"TERM": ""},
            {"TERM": "dumb"},
        ],
        ids=str,
    )
    def test_any_description_of_it_will_do(self, program, environment):
        self.converse(program, 80, **environment)

    def converse(self, program, columns, **environment):
        with (
            serving_in_thread(Answer(event_stream("# Capital\n\n* **Paris** 北京 👨‍👩‍👧\n"))) as server,
            on_terminal(
                command(),
                environment=program.environment(server, **environment),
                folder=program.working_folder,
                columns=columns,
            ) as screen,
        ):
            screen.wait_for(">")
            screen.type("Hi\r")
            screen.wait_until_received("北京") if columns > 2 else screen.wait_until_received("北")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        assert b"Traceback" not in screen.received
        assert asked(server) == [("user", "Hi")]


@pytest.mark.parametrize(
    "arguments", [("models",), ("config", "show", "-p", "x"), ("sessions", "show", "absent"), ("Hi",)]
)
def test_debug_adds_the_traceback_and_nothing_else_does(program, arguments):
    plain = program.run(*arguments)
    debugged = program.run(*arguments, "--debug")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debugged.stderr
    assert debugged.exit_code == plain.exit_code
