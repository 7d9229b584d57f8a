"""Set up this checkout: ``setup.py chat`` for running chatcli, ``setup.py test`` for its checks as well.

Everything lands inside the checkout: the virtual environment in ``.venv``, the embedded model in ``.local-model``.
What is installed is pinned, with hashes, in ``requirements``. A finished step leaves a stamp and is not done again
until ``pyproject.toml`` or the pins change.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import textwrap
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCAL_MODEL = Path(os.environ.get("CHATCLI_LOCAL_DIR") or ROOT / ".local-model")


def main(purpose: str) -> int:
    with one_at_a_time(ROOT / ".setup.lock"):
        install(purpose)
        fetch_model()
        stamp("chat").touch()
        stamp(purpose).touch()
    return 0


def stamp(purpose: str) -> Path:
    return VENV / f".{purpose}-ready"


def is_fresh(purpose: str) -> bool:
    made = stamp(purpose)
    sources = (ROOT / "pyproject.toml", ROOT / "requirements" / f"{purpose}.txt")
    return made.exists() and made.stat().st_mtime_ns > max(path.stat().st_mtime_ns for path in sources)


def install(purpose: str) -> None:
    if is_fresh(purpose):
        return
    say("making the virtual environment in .venv …")
    if not has_pip():
        # Whatever is there is what an interrupted run left.
        venv.create(VENV, with_pip=True, clear=True, symlinks=os.name != "nt")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
    say("installing chatcli and what it needs, about 80 MB …")
    pins = ROOT / "requirements" / f"{purpose}.txt"
    run([*pip, "install", "--quiet", "--require-hashes", "--requirement", str(pins)])
    # What builds it has just been installed.
    run([*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])


def has_pip() -> bool:
    command = [str(PYTHON), "-m", "pip", "--version"]
    return PYTHON.exists() and subprocess.run(command, check=False, capture_output=True).returncode == 0


def fetch_model() -> None:
    # It draws its own progress.
    command = [str(PYTHON), "-m", "chatcli", "local", "setup", "--if-missing"]
    environment = {**os.environ, "CHATCLI_LOCAL_DIR": str(LOCAL_MODEL)}
    exit_code = subprocess.run(command, check=False, env=environment).returncode
    if exit_code:
        raise SystemExit(exit_code)


def run(command: list[str]) -> None:
    with subprocess.Popen(command, cwd=ROOT) as step:
        started_s = time.monotonic()
        while (exit_code := ended(step)) is None:
            show_seconds(time.monotonic() - started_s)
    if exit_code:
        say(f"this step failed: {' '.join(command)}")
        say("see the messages above; behind a proxy, set HTTPS_PROXY, and run the same command again")
        raise SystemExit(exit_code)


def ended(step: subprocess.Popen[bytes]) -> int | None:
    try:
        return step.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return None


def show_seconds(elapsed_s: float) -> None:
    if sys.stderr.isatty():
        print(f"  {elapsed_s:.0f} s\r", end="", file=sys.stderr, flush=True)


def say(text: str) -> None:
    show(f"chatcli setup: {text}")


def show(line: str) -> None:
    """Print a line on stderr, on a terminal wrapped between words."""
    if sys.stderr.isatty():
        columns = shutil.get_terminal_size().columns
        line = textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False)
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold a lock that the operating system releases when this process ends."""
    with lock.open("w") as file:
        waiting = False
        while not try_to_lock(file.fileno()):
            if not waiting:
                say("another set-up of this checkout is running; waiting for it …")
            waiting = True
            time.sleep(0.2)
        yield


def try_to_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "chat"))
    except OSError as error:
        say(f"cannot write {error.filename or ROOT}: {error.strerror or error}")
        show("→ run it in a checkout that you can write to, such as a clone of this one")
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped; run the same command again to go on")
        sys.exit(130)
