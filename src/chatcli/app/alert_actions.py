"""What a rule does when its alert fires or is over, beside telling the person: a command, a webhook."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from chatcli.app.name_resolution import resolve_here
from chatcli.config.key_commands import find_program, program_of
from chatcli.core.alert_rules import FIRING, RECOVERED
from chatcli.core.errors import ChatcliError
from chatcli.core.event_log import WARNING
from chatcli.core.version import __version__
from chatcli.telemetry.alerts import message
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from subprocess import Popen

    from chatcli.app.run_context import RunContext
    from chatcli.config.settings import Settings
    from chatcli.telemetry.alerts import AlertChange

_LONGEST_S: Final = 10.0
"""How long a command or a webhook may take."""

_PLACEHOLDER: Final = re.compile(r"\{(name|state|metric|value|threshold|calls|message)\}")
_NO_WINDOW: Final = 0x0800_0000 if sys.platform == "win32" else 0


class ActionResult(NamedTuple):
    """What became of an action: ``command`` or ``webhook``, its program or host, and the ``problem`` if there was one."""

    kind: str
    name: str
    problem: str = ""


class AlertActions:
    """Runs commands and tells webhooks, as ``settings`` allow. A command that does not end is ended, with what it started.

    If it ``is_test``, they are told so.
    """

    def __init__(
        self, settings: Settings, context: RunContext, *, is_test: bool = False, longest_s: float = _LONGEST_S
    ) -> None:
        self._settings = settings
        self._context = context
        self._is_test = is_test
        self._longest_s = longest_s
        self._running: set[Popen[bytes]] = set()
        self._threads: list[Thread] = []

    def start(self, change: AlertChange) -> None:
        """Begin what is to be done about ``change``, each in a thread; what fails is only logged."""
        for work in self._work(change):
            thread = Thread(target=self._quietly, args=(work, change.rule.name), name="alert", daemon=True)
            with suppress(RuntimeError):  # Python 3.12 and later start no thread once they shut down
                thread.start()
                self._threads.append(thread)

    def _quietly(self, work: Callable[[], ActionResult], rule: str) -> None:
        with suppress(Exception):
            kind, name, problem = work()
            if problem:
                self._context.log.note(
                    WARNING, "alert_action", name=rule, kind=kind, to=name, problem=problem
                )

    def perform(self, change: AlertChange) -> Sequence[ActionResult]:
        """Do what is to be done about ``change``, one after the other, and return what became of it."""
        return [work() for work in self._work(change)]

    def finish(self) -> None:
        """Wait for what was begun: as long as it may take, and no longer."""
        until_s = time.monotonic() + self._longest_s
        try:
            while self._threads:
                self._threads.pop().join(max(0.0, until_s - time.monotonic()))
        finally:
            for process in tuple(self._running):
                _end(process)

    def _work(self, change: AlertChange) -> Iterator[Callable[[], ActionResult]]:
        if change.rule.command:
            yield partial(self._run, change)
        if change.rule.webhook is not None:
            yield partial(self._tell, change, change.rule.webhook)

    def _run(self, change: AlertChange) -> ActionResult:
        """Run the command of a rule without a shell; it reads nothing, and nothing reads what it prints."""
        from subprocess import DEVNULL, Popen, TimeoutExpired  # noqa: PLC0415 - few rules run a program

        words = change.rule.command
        name = program_of(words)
        program = find_program(words[0], self._context.environment)
        if program is None:
            return ActionResult("command", name, "the program was not found, or cannot be run")
        values = {key: _written(value) for key, value in self.facts(change).items()}
        arguments = [_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words[1:]]
        try:
            process = Popen(
                [program, *arguments],
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                env=dict(self._context.environment),
                start_new_session=True,  # ignored on Windows, which has the flag
                creationflags=_NO_WINDOW,
            )
        except (OSError, ValueError) as error:
            return ActionResult(
                "command", name, f"cannot be run: {getattr(error, 'strerror', None) or error}"
            )
        self._running.add(process)
        try:
            code = process.wait(self._longest_s)
        except TimeoutExpired:
            _end(process)
            return ActionResult("command", name, f"did not end within {self._longest_s:g} s, and was ended")
        finally:
            self._running.discard(process)
        return ActionResult("command", name, f"exit code {code}" if code else "")

    def _tell(self, change: AlertChange, url: str) -> ActionResult:
        """Post the facts to a webhook, of whose address only the host is named."""
        name = urlsplit(url).hostname or ""
        try:
            asyncio.run(self._post(url, self.facts(change)))
        except ChatcliError as error:
            return ActionResult("webhook", name, error.message + (f" ({error.hint})" if error.hint else ""))
        except (OSError, ValueError) as error:
            return ActionResult("webhook", name, type(error).__name__)
        return ActionResult("webhook", name)

    async def _post(self, url: str, facts: dict[str, Any]) -> None:
        # httpx2 is slow to import: only with a webhook.
        from chatcli.client.address_guard import AddressGuard  # noqa: PLC0415
        from chatcli.client.endpoint import Endpoint, proxy_for  # noqa: PLC0415
        from chatcli.client.webhooks import post_json  # noqa: PLC0415

        settings, context = self._settings, self._context
        await post_json(
            Endpoint(url, proxy=proxy_for(url, context.environment), ca_bundle=settings.ca_bundle),
            {"text": facts.pop("message"), "app": f"chatcli {__version__}", **facts},
            environment=context.environment,
            guard=AddressGuard(settings.private_hosts, context.resolve or resolve_here),
            timeout_s=self._longest_s,
        )

    def facts(self, change: AlertChange) -> dict[str, Any]:
        """Return what programs are told: no keys, and no word of a conversation."""
        rule, event, redact = change.rule, change.event, self._context.redactor.redact
        return {
            "message": ("test: " if self._is_test else "") + sanitize_line(redact(message(change))),
            "name": redact(rule.name),
            "state": FIRING if event.is_firing else RECOVERED,
            "test": self._is_test,
            "metric": rule.metric,
            "value": event.value,
            "threshold": rule.threshold,
            "window_s": rule.window_s,
            "calls": event.calls,
            "model": rule.model and redact(rule.model),
            "endpoint": rule.endpoint and redact(rule.endpoint),
            "since": timestamp(datetime.fromtimestamp(change.since_s, UTC)),
            "at": timestamp(datetime.fromtimestamp(event.at_s, UTC)),
        }


def _written(value: object) -> str:
    """Return a value as an argument of a program: ``0.6``, and nothing for ``None``."""
    return "" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)


def _end(process: Popen[bytes]) -> None:
    """End a program and, where the system knows them as a group, those it started."""
    if process.poll() is not None:
        return  # its number may be another program's by now
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
