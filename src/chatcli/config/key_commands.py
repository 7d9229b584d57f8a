"""``key_command``: a program of the person that prints a key, such as a password manager.

It is run without a shell, at most once per run and endpoint, when a request needs the key. The key is kept in memory
only. The program has the person's terminal for its questions, and stderr for what it has to say.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import field
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from chatcli.config.credentials import Secret, parsed_key
from chatcli.core.errors import ConfigurationError
from chatcli.core.frozen import mutable
from chatcli.core.typed_paths import typed_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from subprocess import Popen

    from chatcli.config.endpoints import EndpointOrigin

_LONGEST_S: Final = 60.0
"""The longest time a command may take: it may ask for a passphrase or a finger."""
_LAST_OUTPUT_S: Final = 1.0
_ENDS_WITHIN_S: Final = 2.0
_MOST_BYTES: Final = 10_000
_STOPPED: Final = frozenset({-2, -15, 130, 143})
"""Exit codes of a program that Ctrl-C or ``stop`` ended."""


@mutable
class KeyCommands:
    """The key commands of a run, with the keys they printed.

    ``reads_terminal`` says that stdin is the person's terminal, which a command may then read. Whoever draws on the
    terminal sets ``lent``, which gives it away while a command runs.
    """

    environment: Mapping[str, str]
    reads_terminal: bool = False
    longest_s: float = _LONGEST_S
    ends_within_s: float = _ENDS_WITHIN_S
    lent: Callable[[], AbstractContextManager[object]] = nullcontext
    _secrets: dict[tuple[tuple[str, ...], EndpointOrigin], Secret] = field(default_factory=dict)
    _one_at_a_time: Lock = field(default_factory=Lock)
    _running: Popen[bytes] | None = None
    _stopped: Popen[bytes] | None = None

    def secret(self, command: tuple[str, ...], origin: EndpointOrigin) -> Secret:
        """Return the key that ``command`` prints for an endpoint: the same one for every caller."""
        if (command, origin) not in self._secrets:
            printed: list[str] = []
            source = partial(self._printed_once, command, printed)
            self._secrets[command, origin] = Secret(source, command=program_of(command))
        return self._secrets[command, origin]

    def stop(self) -> None:
        """End the command that is running, if there is one; it is given a moment and not waited for here."""
        if (process := self._running) is not None:
            # At once: this process may end before a thread gets its turn.
            with suppress(OSError):
                process.terminate()
        self._stop(_end)

    def interrupt(self) -> None:
        """End the command that is running unless it does so by itself: it has the person's Ctrl-C as well."""
        self._stop(_end_if_deaf)

    def _stop(self, end: Callable[[Popen[bytes], float], None]) -> None:
        if (process := self._running) is not None:
            self._stopped = process
            Thread(target=end, args=(process, self.ends_within_s), daemon=True).start()

    def _printed_once(self, command: tuple[str, ...], printed: list[str]) -> str:
        # Two questions at once must not ask the person twice.
        with self._one_at_a_time:
            if not printed:
                printed.append(self._printed(command))
            return printed[0]

    def _printed(self, command: tuple[str, ...]) -> str:
        """Run ``command`` and return the key. Raise ``ConfigurationError``, without anything it printed."""
        name = program_of(command)
        process = self._started(command)
        try:
            self._running = process
            content = self._output(process, name)
        finally:
            self._running = None
        if process is self._stopped or process.returncode in _STOPPED:
            raise _failed(f"{name} was stopped", hint="ask again to run it again")
        if len(content) > _MOST_BYTES:
            raise _failed(f"{name} printed more than {_MOST_BYTES:,} bytes")
        if process.returncode != 0:
            raise _failed(f"{name} failed with exit code {process.returncode}")
        line = content.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
        if not line:
            raise _failed(f"{name} printed no key on its first line")
        try:
            return parsed_key(line).reveal()
        except ValueError:
            # Not from that error: what was printed may be a secret of another kind.
            raise _failed(f"the first line that {name} printed is not a key") from None

    def _started(self, command: tuple[str, ...]) -> Popen[bytes]:
        from subprocess import DEVNULL, PIPE, Popen  # noqa: PLC0415 - few keys come from a command

        name = program_of(command)
        program = find_program(command[0], self.environment)
        if program is None:
            raise _failed(
                f"the program {name} was not found",
                hint="install it, or give its whole path; PATH is searched without relative folders",
            )
        try:
            return Popen(
                [program, *command[1:]],
                stdin=None if self.reads_terminal else DEVNULL,
                stdout=PIPE,
                env=dict(self.environment),
            )
        except (OSError, ValueError) as error:
            raise _failed(f"cannot run {name}: {getattr(error, 'strerror', None) or error}") from error

    def _output(self, process: Popen[bytes], name: str) -> bytes:
        """Return what ``process`` prints until it ends, and a little more than the most it may print."""
        from subprocess import TimeoutExpired  # noqa: PLC0415 - as above

        content = bytearray()
        # A program it left behind may keep the pipe open, so the pipe's end is not waited for.
        reader = Thread(target=_drain, args=(process, content), daemon=True)
        reader.start()
        try:
            process.wait(self.longest_s)
        except TimeoutExpired:
            _end(process, self.ends_within_s)
            raise _failed(f"{name} did not end within {self.longest_s:,.0f} s") from None
        except BaseException:
            _end(process, self.ends_within_s)
            raise
        reader.join(_LAST_OUTPUT_S)
        return bytes(content)


def program_of(command: tuple[str, ...]) -> str:
    """Return the name of the program, which may be shown: its arguments may be private."""
    return Path(command[0]).name or command[0]


def find_program(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the path of a program, ``None`` without one.

    Windows, and a PATH with relative folders, would find a program that somebody put into the working folder.
    """
    if Path(name).name != name:
        return shutil.which(typed_path(name))
    folders = map(Path, environment.get("PATH", "").split(os.pathsep))
    paths = (shutil.which(folder / name) for folder in folders if folder.is_absolute())
    return next((path for path in paths if path is not None), None)


def _drain(process: Popen[bytes], content: bytearray) -> None:
    assert process.stdout is not None  # noqa: S101 - narrows what PIPE made
    with suppress(OSError, ValueError), process.stdout as pipe:
        while chunk := os.read(pipe.fileno(), _MOST_BYTES):
            content += chunk
            if len(content) > _MOST_BYTES:
                process.kill()
                return


def _end(process: Popen[bytes], within_s: float) -> None:
    from subprocess import TimeoutExpired  # noqa: PLC0415 - as above

    # Asked first: a program that hides what is typed restores the terminal.
    process.terminate()
    try:
        process.wait(within_s)
    except TimeoutExpired:
        process.kill()
        process.wait()


def _end_if_deaf(process: Popen[bytes], within_s: float) -> None:
    from subprocess import TimeoutExpired  # noqa: PLC0415 - as above

    try:
        process.wait(within_s)
    except TimeoutExpired:
        _end(process, within_s)


def _failed(message: str, *, hint: str | None = None) -> ConfigurationError:
    return ConfigurationError(
        f"key_command: {message}",
        hint=hint or "run it in a terminal to see what it prints; the key has to be its first line",
        code="key_command",
    )
