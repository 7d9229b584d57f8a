"""A real browser without a window: Chromium, driven through the pipe of its developer tools."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = next(
    (
        path
        for name in ("chromium", "google-chrome")
        # A snap may not read what is in /tmp.
        if (path := shutil.which(name)) is not None and not path.startswith("/snap/")
    ),
    None,
)

_PATIENCE_S = 100
"""Starting takes a second, and much longer on a busy machine."""
_CLOSING_S = 5
_FREE_DESCRIPTORS = 20
_READING, _WRITING = 3, 4
"""The descriptors from which the browser reads commands and to which it writes answers."""
_OPTIONS = (
    *(
        "--headless",
        "--remote-debugging-pipe",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ),
    *("--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--disable-extensions", "--disable-features=Translate"),
    # Root has none, and containers often forbid what it needs; the pages are our own.
    "--no-sandbox",
    # Whatever it wants to say to anybody, it finds nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class Browser:
    """One page. ``requests`` are the addresses it asked for, ``complaints`` what it wrote to its console."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._read = b""
        self._number = 0
        self._session = None
        self._events = []
        self.requests = []
        self.complaints = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Accessibility"):
            self.do(f"{domain}.enable")

    def do(self, method, **parameters):
        """Send a command of the protocol, https://chromedevtools.github.io/devtools-protocol/, and return the answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        until_s = time.monotonic() + _PATIENCE_S
        while (answer := self._next(until_s)).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, page: Path, *, columns: int = 1200, scheme: str = "light"):
        """Show a file in a window of ``columns`` pixels, and wait until it is laid out."""
        self.requests.clear()
        self.complaints.clear()
        self._events.clear()
        self.look(columns=columns, scheme=scheme)
        self.do("Page.navigate", url=page.as_uri())
        until_s = time.monotonic() + _PATIENCE_S
        while "Page.loadEventFired" not in self._events:
            self._note(self._next(until_s))

    def look(self, *, columns: int, scheme: str, media: str = "screen"):
        size = {"width": columns, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.do("Emulation.setEmulatedMedia", media=media, features=features)

    def value(self, expression: str):
        """Return the value of an expression in the page."""
        done = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def accessible(self):
        """Return what a screen reader is given: roles with names and descriptions, in order."""
        nodes = self.do("Accessibility.getFullAXTree")["nodes"]
        return [
            (
                node["role"]["value"],
                node.get("name", {}).get("value", ""),
                node.get("description", {}).get("value", ""),
            )
            for node in nodes
            if not node["ignored"]
        ]

    def picture(self) -> bytes:
        """Return the whole page as PNG."""
        shot = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def _note(self, message) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        self._events.append(method)
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(parameters["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(parameters))

    def _next(self, until_s):
        while b"\0" not in self._read:
            left_s = until_s - time.monotonic()
            assert left_s > 0, "the browser does not answer"
            if select.select([self._answers], [], [], left_s)[0]:
                chunk = os.read(self._answers, 65_536)
                assert chunk, "the browser has ended"
                self._read += chunk
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser whose files are in ``folder``, and end it with all its processes."""
    for_it, commands = _pipe()
    answers, from_it = _pipe()
    silence = os.open(os.devnull, os.O_RDWR)
    process = os.posix_spawn(
        CHROMIUM,
        [CHROMIUM, f"--user-data-dir={folder}", *_OPTIONS],
        {**os.environ, "HOME": str(folder)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, for_it, _READING),
            (os.POSIX_SPAWN_DUP2, from_it, _WRITING),
            *((os.POSIX_SPAWN_DUP2, silence, stream) for stream in range(3)),
        ],
        setpgroup=0,
    )
    for descriptor in (for_it, from_it, silence):
        os.close(descriptor)
    try:
        page = Browser(commands, answers)
        yield page
    finally:
        os.close(commands)  # it leaves without its commands
        _wait(process)
        os.close(answers)


def _pipe():
    """Return a pipe whose ends are not among the descriptors that the browser gets."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FREE_DESCRIPTORS) for end in ends]
    for end in ends:
        os.close(end)
    return moved


def _wait(process: int) -> None:
    until_s = time.monotonic() + _CLOSING_S
    while os.waitpid(process, os.WNOHANG)[0] == 0:
        if time.monotonic() > until_s:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            break
        time.sleep(0.02)
    with suppress(ProcessLookupError):  # its children, if any are left
        os.killpg(process, signal.SIGKILL)
