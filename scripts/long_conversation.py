"""Hold a long conversation with the embedded model in one run of chatcli, and tell how it went.

usage: scripts/long_conversation [--turns 200] [--window 8192] [--json]

Every question is answered, however long ago the window was full; what no longer fits is left out, which is said. Ends
with 1 where that is not so. It needs a pseudo-terminal: Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MAX_ANSWER_TOKENS = 16

# The engine counts slightly differently from the local vocabulary, and adds its template's roles.
COUNTED_OTHERWISE = 1.25

_NOTICES = "told"
_PROMPT = b"You: "
_PATIENCE_S = 120
_TOPICS = (
    "the capital of France",
    "why the sky is blue",
    "how bread rises",
    "the rules of chess",
    "what a compiler does",
    "where rivers begin",
    "the seven colours of the rainbow",
    "how a clock keeps time",
)
_LEFT_OUT = re.compile(r"left out ([\d,]+) older turn", re.IGNORECASE)


@dataclass(frozen=True)
class Report:
    """The result. ``failures`` describe violated expectations."""

    turns: int
    window_tokens: int
    answered: int
    most_input_tokens: int
    turns_that_left_out: int
    most_left_out: int
    seconds: float
    failures: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--window", type=int, default=8192, help="the window's size, in tokens")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    options = parser.parse_args()
    report = hold(options.turns, options.window)
    print(json.dumps(asdict(report)) if options.json else shown(report))
    return 1 if report.failures else 0


def hold(turns: int, window_tokens: int) -> Report:
    """Ask ``turns`` questions, one after the other, and return the result."""
    started_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chatcli-long-") as name,
        _conversing(Path(name), window_tokens) as (process, keyboard),
    ):
        _wait_for_prompt(process)
        for number in range(turns):
            os.write(keyboard, f"{question(number)}\n".encode())
            _wait_for_prompt(process)
        os.write(keyboard, b"exit\n")
        exit_code = process.wait(timeout=_PATIENCE_S)
        seconds = round(time.monotonic() - started_s, 1)
        return _report(Path(name), exit_code, seconds=seconds, turns=turns, window_tokens=window_tokens)


def question(number: int) -> str:
    return f"Question {number}: tell me about {_TOPICS[number % len(_TOPICS)]}, in one short sentence."


@contextmanager
def _conversing(folder: Path, window_tokens: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a conversation line by line; stderr goes to a file in ``folder``."""
    keyboard, terminal = pty.openpty()
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO  # the echo would never be read
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    command = [sys.executable, "-m", "chatcli", "--plain", "--local", "--max-tokens", str(MAX_ANSWER_TOKENS)]
    with (folder / _NOTICES).open("wb") as notices_file:
        process = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=notices_file,
            cwd=folder,
            env=_environment(folder, window_tokens),
        )
    os.close(terminal)
    with process:
        try:
            yield process, keyboard
        finally:
            process.kill()
            os.close(keyboard)


def _environment(folder: Path, window_tokens: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHATCLI_", "OPENAI_"))}
    folders = {f"CHATCLI_{name.upper()}_DIR": str(folder / name) for name in ("config", "data", "cache")}
    local = os.environ.get("CHATCLI_LOCAL_DIR") or str(ROOT / ".local-model")
    return {**kept, **folders, "CHATCLI_LOCAL_DIR": local, "CHATCLI_CONTEXT_WINDOW": str(window_tokens)}


def _wait_for_prompt(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    seen = b""
    while not seen.endswith(_PROMPT):
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            raise SystemExit(f"chatcli ended with {process.wait()}")
        seen += chunk


def _report(folder: Path, exit_code: int, *, seconds: float, turns: int, window_tokens: int) -> Report:
    (session,) = (folder / "data" / "sessions").glob("*.jsonl")
    records = [json.loads(line) for line in session.read_text("utf-8").splitlines()]
    notices = (folder / _NOTICES).read_text("utf-8")
    messages = [record for record in records if record["type"] == "message"]
    asked = [_text(record) for record in messages if record["message"]["role"] == "user"]
    replies = [record for record in messages if record["message"]["role"] == "assistant"]
    input_tokens = [reply["usage"]["input_tokens"] for reply in replies]
    left_out = [int(count.replace(",", "")) for count in _LEFT_OUT.findall(notices)]
    most = max(input_tokens, default=0)
    expected = {
        f"chatcli ended with {exit_code}": exit_code == 0,
        "the session does not hold every question as it was asked": asked
        == [question(number) for number in range(turns)],
        f"{turns - len(replies)} questions have no answer": len(replies) == turns,
        "an answer is empty": all(map(_text, replies)),
        "an answer was cut off": all(reply["finish_reason"] in {"stop", "length"} for reply in replies),
        "an error was told": "rror: " not in notices,
        f"{most} tokens were sent to a window of {window_tokens}": most <= COUNTED_OTHERWISE * window_tokens,
        "nothing was said to be left out": bool(left_out),
    }
    return Report(
        turns=turns,
        window_tokens=window_tokens,
        answered=len(replies),
        most_input_tokens=most,
        turns_that_left_out=len(left_out),
        most_left_out=max(left_out, default=0),
        seconds=seconds,
        failures=[failure for failure, is_well in expected.items() if not is_well],
    )


def _text(record: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in record["message"]["parts"])


def shown(report: Report) -> str:
    lines = [
        f"{report.answered} of {report.turns} questions answered in {report.seconds} s",
        f"window: {report.window_tokens:,} tokens; sent: at most {report.most_input_tokens:,}",
        f"left out: at most {report.most_left_out} older turns; {report.turns_that_left_out} turns said so",
    ]
    return "\n".join([*lines, *(f"wrong: {failure}" for failure in report.failures)])


if __name__ == "__main__":
    sys.exit(main())
