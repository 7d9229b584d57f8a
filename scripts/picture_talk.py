r"""Draw a picture of a conversation: type in tmux and export what the screen shows as SVG.

usage: python scripts/picture_talk.py STEPS OUT.svg [--columns N] [--rows N] [--light]

STEPS is a file with one step a line, played in order; the picture is of the screen after the last one.

    arguments WORD ...    start chatcli with these
    setting NAME=VALUE    set an environment variable for it; without a value, unset it
    answer TEXT           give the model its next answer
    pause S               have the model wait so long between two words from here on
    session HOURS QUESTION | ANSWER ...    make a conversation that was held so long ago
    type KEYS             type
    wait TEXT             wait until that is shown
    gone TEXT             wait until that is shown no more

KEYS and TEXT may hold JSON's escapes, like ``\\r``. ``scripts/pictures`` makes the pictures of the documents.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyte
from checkout import writing
from picture import write_picture

from chatcli.core import messages
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "gpt-5-mini"
PATIENCE_S = 20.0
SETTLING_S = 0.4


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--title", default="chatcli")
    options = parser.parse_args()
    steps = list(steps_of(options.steps.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for word, text in steps:
            if word == "session":
                make_session(home, text)
        answers = [(word, text) for word, text in steps if word in {"answer", "pause"}]
        screen = played(steps, environment(serve(answers), home, light=options.light), options, home)
    write_picture(screen, options)
    return 0


def steps_of(text: str) -> Iterator[tuple[str, str]]:
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        # Only escapes are interpreted: the rest may be in any script.
        yield word, json.loads(f'"{rest.replace(chr(34), chr(92) + chr(34))}"')


def make_session(home: Path, text: str) -> None:
    hours, _, turns = text.partition(" ")
    file = SessionStore(home / "data").new()
    log = SessionLog(file, app="chatcli", folder=str(home / "work"))
    parent = None
    for at, words in enumerate(turns.split(" | ")):
        said_at = messages.answer(words) if at % 2 else messages.question(words)
        parent = log.message(said_at, parent=parent)
    log.close()
    then_s = time.time() - float(hours) * 3_600
    os.utime(file.path, (then_s, then_s))


def environment(base_url: str, home: Path, *, light: bool) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name == "CHATCLI_LOCAL_DIR" or not name.startswith(("CHATCLI_", "OPENAI_"))
    }
    folders = {f"CHATCLI_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE")}
    return {
        **inherited,
        **folders,
        "CHATCLI_BASE_URL": base_url,
        "CHATCLI_MODEL": MODEL,
        "CHATCLI_CONTEXT_WINDOW": "2048",
        "CHATCLI_THEME": "light" if light else "dark",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
    }


def played(
    steps: list[tuple[str, str]], environment: dict[str, str], options: argparse.Namespace, home: Path
) -> pyte.Screen:
    work = home / "work"
    work.mkdir()
    (work / "notes.md").write_text("# Notes\n\nWhat was said.\n" * 40, encoding="utf-8")
    arguments: list[str] = []
    for word, text in steps:
        if word == "arguments":
            arguments += shlex.split(text)
        elif word == "setting":
            name, _, value = text.partition("=")
            environment[name] = value
    environment = {name: value for name, value in environment.items() if value}
    pane = Pane(options.columns, options.rows)
    try:
        pane.start([sys.executable, "-m", "chatcli", *arguments], environment, work)
        for word, text in steps:
            if word == "type":
                pane.type(text)
                time.sleep(SETTLING_S)
            elif word in {"wait", "gone"}:
                pane.wait_for(text, shown=word == "wait")
        return pane.screen()
    finally:
        pane.close()


class Pane:
    """A tmux terminal with a server of its own, isolated from other sessions and configuration."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._server = f"chatcli-picture-{os.getpid()}"

    def start(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        size = ["-x", str(self._columns), "-y", str(self._rows)]
        self._tmux("new-session", "-d", *size, "-c", str(folder), *command, environment=environment)

    def type(self, keys: str) -> None:
        self._tmux("send-keys", "-l", "--", keys)

    def wait_for(self, text: str, *, shown: bool) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while (text in (screen := self._text())) is not shown:
            if time.monotonic() > end_s:
                raise SystemExit(f"{text!r} is{' not' if shown else ''} in:\n{screen}")
            time.sleep(0.1)

    def _text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen().display)

    def screen(self) -> pyte.Screen:
        captured = self._tmux("capture-pane", "-e", "-p").rstrip("\n")
        screen = pyte.Screen(self._columns, self._rows)
        pyte.Stream(screen).feed(captured.replace("\n", "\r\n"))
        return screen

    def close(self) -> None:
        pid = int(self._tmux("display-message", "-p", "#{pane_pid}"))
        self._tmux("kill-server")
        # It may still be writing to its folders.
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                time.sleep(0.05)

    def _tmux(self, *words: str, environment: dict[str, str] | None = None) -> str:
        command = ["tmux", "-L", self._server, "-f", os.devnull, *words]
        done = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8", timeout=PATIENCE_S
        )
        return done.stdout


def serve(answers: list[tuple[str, str]]) -> str:
    """Answer the questions in order; return the base URL."""
    prepared: list[tuple[str, float]] = []
    pause_s = 0.0
    for word, text in answers:
        if word == "pause":
            pause_s = float(text)
        else:
            prepared.append((text, pause_s))

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            models = {"data": [{"id": MODEL, "context_length": 16_384}]}
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(models).encode())

        def do_POST(self) -> None:
            # The picture is taken, and chatcli ended, in the middle of an answer.
            with contextlib.suppress(ConnectionError):
                self.answer()

        def answer(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            text, pause_s = prepared.pop(0)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for word in [word + " " for word in text.split(" ")]:
                self.notify({"choices": [{"index": 0, "delta": {"content": word}}]})
                time.sleep(pause_s)
            self.notify({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.notify(
                {"choices": [], "usage": {"prompt_tokens": 900, "completion_tokens": 200, "cost": 0.0021}}
            )
            self.wfile.write(b"data: [DONE]\n\n")

        def notify(self, event: dict[str, object]) -> None:
            self.wfile.write(b"data: " + json.dumps(event | {"model": MODEL}).encode() + b"\n\n")
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


if __name__ == "__main__":
    with writing():
        sys.exit(main())
