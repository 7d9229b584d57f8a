"""The wheel, as people install it: into an empty environment, without extras."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from chatcli import __version__
from scripted_server import Answer, event_stream, serving_in_thread

ROOT = Path(__file__).parents[2]
INSTALL_TIMEOUT_S = 300


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--no-input", *arguments],
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(900)  # pip takes minutes on a machine that has other work
def test_the_wheel_in_an_empty_environment_starts_and_answers(program, tmp_path):
    pip("wheel", "--no-deps", "--wheel-dir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("chatcli-*.whl")
    venv.create(tmp_path / "venv")
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip("--python", tmp_path / "venv", "install", "--no-compile", wheel)

    manual = tmp_path / "venv" / "share" / "man" / "man1" / "chatcli.1"
    assert manual.read_text("ascii").startswith('.\\"')

    def run(*arguments: str, environment: dict[str, str]) -> str:
        return subprocess.run(
            [scripts / "chatcli", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=program.working_folder,
            timeout=60,
            check=True,
        ).stdout

    assert run("--version", environment=program.environment()) == f"chatcli {__version__}\n"
    assert "\nreview " in run("templates", "list", environment=program.environment())
    with serving_in_thread(Answer(event_stream("北京", "。"))) as server:
        environment = program.environment(server)
        assert run("-o", "jsonl", "首都?", environment=environment).count("text_delta") == 2
        assert run("-o", "markdown", "首都?", environment=environment) == "北京。\n"
