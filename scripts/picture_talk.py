r"""Draw a picture of a conversation: type at a real pseudo-terminal and export what the screen shows as SVG.

usage: python scripts/picture_talk.py STEPS OUT.svg [--columns N] [--rows N] [--light] [--resume]

STEPS is a file with one step a line: ``answer TEXT`` gives the model its next answer, ``pause S`` has it wait so long
between two words from there on, ``session HOURS QUESTION | ANSWER ...`` makes a conversation that was held so long ago,
``type KEYS`` types and ``wait TEXT`` waits until that is shown. KEYS and TEXT may hold JSON's escapes, like ``\\r``.
The picture is of the screen after the last step. Those of the guides are made by

    python scripts/picture_talk.py docs/pictures/composer.steps docs/pictures/composer-dark.svg
    python scripts/picture_talk.py docs/pictures/picker.steps docs/pictures/picker-dark.svg --resume

and with ``--light``, or ``--columns 40 --rows 12`` for a small terminal.
"""

from __future__ import annotations

import argparse
import fcntl
import http.server
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyte
from picture import write_picture

from chatcli.core import messages
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "gpt-5-mini"
PATIENCE_S = 20.0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--title", default="chatcli")
    parser.add_argument("--resume", action="store_true")
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
        # Only what is escaped is read so: the rest may be in any script.
        yield word, json.loads(f'"{rest.replace(chr(34), chr(92) + chr(34))}"')


def make_session(home: Path, text: str) -> None:
    hours, _, said = text.partition(" ")
    file = SessionStore(home / "data").new()
    log = SessionLog(file, app="chatcli", folder=str(home / "work"))
    parent = None
    for at, words in enumerate(said.split(" | ")):
        said_now = messages.answer(words) if at % 2 else messages.question(words)
        parent = log.message(said_now, parent=parent)
    log.close()
    then_s = time.time() - float(hours) * 3_600
    os.utime(file.path, (then_s, then_s))


def environment(base_url: str, home: Path, *, light: bool) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CHATCLI_", "OPENAI_"))
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
    screen = pyte.Screen(options.columns, options.rows)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", options.rows, options.columns, 0, 0))
    work = home / "work"
    work.mkdir()
    (work / "notes.md").write_text("# Notes\n\nWhat was said.\n" * 40, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "chatcli", *(["--resume"] if options.resume else [])],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        cwd=work,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        for word, text in steps:
            if word == "type":
                os.write(ours, text.encode())
                watch(ours, stream, lambda: False, 0.4)
            elif word == "wait" and not watch(ours, stream, lambda t=text: t in shown(screen), PATIENCE_S):
                raise SystemExit(f"no {text!r} in:\n{shown(screen)}")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return screen


def watch(descriptor: int, stream: pyte.ByteStream, until: object, within_s: float) -> bool:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if until():  # type: ignore[operator]
            return True
        if select.select([descriptor], [], [], 0.05)[0]:
            stream.feed(os.read(descriptor, 65_536))
    return bool(until())  # type: ignore[operator]


def shown(screen: pyte.Screen) -> str:
    return "\n".join(line.rstrip() for line in screen.display)


def serve(answers: list[tuple[str, str]]) -> str:
    """Answer the questions one after the other; return the base URL."""
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
            self.rfile.read(int(self.headers["content-length"]))
            text, pause_s = prepared.pop(0)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for word in [word + " " for word in text.split(" ")]:
                self.tell({"choices": [{"index": 0, "delta": {"content": word}}]})
                time.sleep(pause_s)
            self.tell({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.tell(
                {"choices": [], "usage": {"prompt_tokens": 900, "completion_tokens": 200, "cost": 0.0021}}
            )
            self.wfile.write(b"data: [DONE]\n\n")

        def tell(self, event: dict[str, object]) -> None:
            self.wfile.write(b"data: " + json.dumps(event | {"model": MODEL}).encode() + b"\n\n")
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


if __name__ == "__main__":
    sys.exit(main())
