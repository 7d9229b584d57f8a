"""A process that has imported the program, and becomes it for each run: importing is most of a short run.

Freeing all that again would be most of the rest, so a run that ends in an orderly way leaves it to the system: see ``_leave``.

It is used where nothing but the environment and the arguments decide what happens. A run that depends on how the
interpreter itself starts (``LANG``, ``PYTHON…``) is a process of its own, as are all runs on Windows and those for which
``CHATCLI_REAL_STARTS`` is set, as in ``scripts/test --slow``. ``test_fork_server.py`` holds both to be alike.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal, Self

from chatcli.conversation.counting import O200K_BASE, load_encoding
from chatcli.core.frozen import _init_of, _late_init
from chatcli.core.lazy_imports import import_packages_on_first_use
from chatcli.text.lazy_pattern import _LazyPattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Start = Literal["process", "terminal", "job"]

_IS_SUPPORTED: Final = (
    hasattr(os, "waitid") and hasattr(socket, "send_fds") and "CHATCLI_REAL_STARTS" not in os.environ
)
KEPT_VARIABLES: Final = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
"""What a process needs to run at all, on each platform."""
_AT_START: Final = ("LANG", "LC_", "PYTHON", "OPENAI_LOG", "TZ", "COVERAGE", "SSLKEYLOGFILE", "LD_")
_KNOWN_AT_START: Final = {"PYTHON_KEYRING_BACKEND"}
"""Read when a key is first looked for."""
_PRELOADED: Final = (
    "anyio._backends._asyncio",
    "asyncio",
    "encodings.utf_8_sig",
    "h11",
    "httpcore2",
    "httpx2",
    "importlib.resources.readers",
    "keyring.errors",
    "markdown_it",
    "openai",
    "pygments.lexers",
    "pygments.lexers.python",
    "rich.console",
    "rich.table",
    "sqlite3",
    "tenacity",
    "tiktoken",
    "tomllib",
    "truststore",
    "chatcli.__main__",
    "chatcli.app.alerting",
    "chatcli.app.answer_caching",
    "chatcli.app.batch_wiring",
    "chatcli.app.name_resolution",
    "chatcli.app.run_alerts",
    "chatcli.cli.alert_lines",
    "chatcli.cli.commands.batch",
    "chatcli.cli.commands.doctor",
    "chatcli.cli.commands.sessions.listing",
    "chatcli.cli.live_screen",
    "chatcli.cli.main",
    "chatcli.cli.one_shot",
    "chatcli.cli.questions",
    "chatcli.cli.run_chat",
    "chatcli.client.cache_access",
    "chatcli.client.chat_completions",
    "chatcli.client.direct_http",
    "chatcli.client.openai_client",
    "chatcli.client.pipeline",
    "chatcli.client.pool",
    "chatcli.client.structured_output",
    "chatcli.conversation.long_input.turn",
    "chatcli.cost.budgeted_model",
    "chatcli.cost.model_table",
    "chatcli.cost.pricing",
    "chatcli.render.code.highlighter",
    "chatcli.render.code.closers",
    "chatcli.render.code.languages",
    "chatcli.render.code.machine",
    "chatcli.render.json_output",
    "chatcli.render.live_answer",
    "chatcli.render.markdown.emphasis",
    "chatcli.render.notification",
    "chatcli.render.plain",
    "chatcli.render.reasoning",
    "chatcli.repl.commands",
    "chatcli.repl.frontend",
    "chatcli.repl.model_connection",
    "chatcli.repl.opening",
    "chatcli.safety.injection",
    "chatcli.storage.sqlite_answers",
    "chatcli.telemetry.call_store",
    "chatcli.telemetry.call_writer",
    "chatcli.telemetry.log_file",
    "chatcli.terminal.conversing",
    "chatcli.terminal.pager",
    "chatcli.terminal.start",
    "chatcli.terminal.terminal_frontend",
)
_LENGTH_BYTES: Final = 8
_LATE_INIT: Final = _late_init(object).__name__


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Tell whether no variable decides how the interpreter or a library starts."""
    return _IS_SUPPORTED and not any(
        name.startswith(_AT_START) and name not in _KNOWN_AT_START for name in environment
    )


class ForkedProcess:
    """A run of the program, used as a ``subprocess.Popen`` of bytes."""

    def __init__(
        self, connection: socket.socket, pid: int, streams: Sequence[IO[bytes] | None] = (None, None, None)
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = streams
        self._connection = connection
        self._reply = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.wait()
        self._connection.close()  # until then the process id belongs to nobody else

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(timeout=0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        while self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                received = self._connection.recv(32)
            except (BlockingIOError, TimeoutError) as error:
                raise subprocess.TimeoutExpired("chatcli", timeout or 0) from error
            if not received:
                raise RuntimeError("the fork server hung up")
            self._reply += received
            if self._reply.endswith(b"\n"):
                self.returncode = int(self._reply)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, content: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        """Write ``content``, read to the end and wait."""
        with ThreadPoolExecutor(3) as pool:
            pool.submit(_feed, self.stdin, content)
            stdout, stderr = pool.submit(_read_all, self.stdout), pool.submit(_read_all, self.stderr)
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return stdout.result(), stderr.result()


def _feed(stream: IO[bytes] | None, content: bytes) -> None:
    if stream is not None:
        with contextlib.suppress(BrokenPipeError), stream:
            stream.write(content)


def _read_all(stream: IO[bytes] | None) -> bytes:
    return b"" if stream is None or stream.closed else stream.read()


class ForkServer:
    """One for a worker of the tests; it ends with it."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="chatcli-forks-")
        self._address = str(Path(self._folder, "socket"))
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nothing of the tests' locale: the program starts without as well.
            env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
        )
        atexit.register(self.close)
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("the fork server did not start")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def popen(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, *, stdin: int
    ) -> ForkedProcess:
        """Start with pipes as standard output and error; ``stdin`` is ``PIPE``, ``DEVNULL`` or a file."""
        from_stdout, to_stdout = os.pipe()
        from_stderr, to_stderr = os.pipe()
        to_stdin = None
        if stdin == subprocess.PIPE:
            from_stdin, to_stdin = os.pipe()
        else:
            from_stdin = os.open(os.devnull, os.O_RDWR) if stdin == subprocess.DEVNULL else os.dup(stdin)
        theirs = (from_stdin, to_stdout, to_stderr)
        try:
            process = self.start(arguments, environment, folder, theirs, "process")
        finally:
            for file in theirs:
                os.close(file)
        process.stdin = None if to_stdin is None else os.fdopen(to_stdin, "wb")
        process.stdout, process.stderr = os.fdopen(from_stdout, "rb"), os.fdopen(from_stderr, "rb")
        return process

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        files: tuple[int, int, int],
        start: Start,
    ) -> ForkedProcess:
        """Start with ``files`` as standard input, output and error.

        A ``terminal`` is made the controlling one of a session that the program leads; with ``job`` the leader is a
        process between, as a shell is, and the program a job in the foreground.
        """
        order = json.dumps([list(arguments), dict(environment), str(folder), start]).encode()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        socket.send_fds(connection, [len(order).to_bytes(_LENGTH_BYTES, "big")], list(files))
        connection.sendall(order)
        return ForkedProcess(connection, int.from_bytes(_exactly(connection, _LENGTH_BYTES), "big"))


@functools.cache
def fork_server() -> ForkServer:
    return ForkServer()


def _exactly(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        if not (received := connection.recv(size - len(content))):
            raise RuntimeError("the fork server hung up")
        content += received
    return content


def _serve(address: str) -> int:
    """Accept orders until standard input ends; return the exit code of a run where this process has become one."""
    import_packages_on_first_use()
    for name in _PRELOADED:
        importlib.import_module(name)
    _compile_ahead()
    load_encoding(O200K_BASE)
    gc.collect()
    gc.freeze()  # a search for garbage in a run would copy all of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for a run
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            if any(key.fileobj == 0 for key, _ in selector.select()):
                return 0
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
                continue
            break
    return _attend(connection)


def _compile_ahead() -> None:
    """Compile what the program does on first use, which would be in every run."""
    for value in gc.get_objects():
        if type(value) is _LazyPattern:
            assert value.pattern
        elif (
            issubclass(type(value), type)
            and getattr(vars(value).get("__init__"), "__name__", "") == _LATE_INIT
        ):
            value.__init__ = _init_of(value)


def _attend(connection: socket.socket) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _, _ = socket.recv_fds(connection, _LENGTH_BYTES, 3)
    arguments, environment, folder, start = json.loads(_exactly(connection, int.from_bytes(head, "big")))
    if pid := os.fork():
        for file in (0, 1, 2, *files):
            os.close(file)
        connection.sendall(pid.to_bytes(_LENGTH_BYTES, "big"))
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        with contextlib.suppress(OSError):
            connection.sendall(b"%d\n" % code)
            connection.recv(1)  # the end: nobody knows the process by its id any more
        os._exit(0)
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    if start != "process":
        _lead_a_session(is_job=start == "job")
    _open_standard_streams()
    variables = {name: os.environ[name] for name in os.environ if name not in KEPT_VARIABLES}
    os.environ.clear()
    os.environ.update(
        {**variables, **environment}
    )  # those the interpreter has set itself are there after any start
    time.tzset()
    random.seed()
    os.chdir(folder)
    sys.argv = ["chatcli", *arguments]
    from chatcli.__main__ import main  # noqa: PLC0415 - the tests import this file as well

    code = main()
    atexit.register(_leave, code)  # what is left to do comes after the interpreter has waited for the threads
    return code


def _leave(code: int) -> None:
    """End as the interpreter would, but for freeing all that the server imported: most of what a short run takes."""
    atexit.unregister(_leave)
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):  # the interpreter reports what cannot be written
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _lead_a_session(*, is_job: bool) -> None:
    """Make standard input the controlling terminal; return in the process that becomes the program."""
    import fcntl  # noqa: PLC0415 - POSIX only, as is the next
    import termios  # noqa: PLC0415

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if not is_job:
        return
    if child := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _open_standard_streams() -> None:
    """Open them as the interpreter does when it starts: whether they are a terminal decides what is held back."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        mode = "r" if number == 0 else "w"
        binary = open(number, f"{mode}b", closefd=False)  # noqa: SIM115 - a descriptor, never closed
        binary.raw.name = f"<{name}>"
        stream = io.TextIOWrapper(
            binary,
            before.encoding,
            before.errors,
            newline="\n",
            line_buffering=binary.isatty() or name == "stderr",
        )
        stream.mode = mode
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1]))
