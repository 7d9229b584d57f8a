"""The embedded model's server, as seen by the program."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.local.child import ENGINE_MISSING, EngineOrder
from chatcli.local.engine import ENGINE, ENGINE_REQUIREMENT, EngineProcess, complaint
from chatcli.local.weights import SMOLLM2, status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

    from chatcli.core.errors import ChatcliError
    from chatcli.local.weights import Weights

_LOG_NAME = "local-model.log"


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """The address of the embedded model, like that of any OpenAI-compatible server."""

    base_url: str
    api_key: str = field(repr=False)
    model: str
    context_tokens: int


class LocalServer:
    """Runs the engine in a child process, which ends with ours, however ours ends.

    ``folder`` contains the weights, ``log_folder`` the engine's log. ``executable`` is the Python to run,
    ``environment`` its environment. ``port`` 0 picks a free one. The server listens on the loopback and
    requires a key: without an ``api_key`` each start makes a new one, so that nobody else on this machine can
    use it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        log_folder: Path,
        executable: str,
        environment: Mapping[str, str],
        weights: Weights = SMOLLM2,
        port: int = 0,
        api_key: str | None = None,
        timeout_s: float = 60,
    ) -> None:
        self._weights_path = status(folder, weights).path
        self._log_path = log_folder / _LOG_NAME
        self._executable = executable
        self._environment = environment
        self._weights = weights
        self._port = port
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._process: EngineProcess | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def log_path(self) -> Path:
        return self._log_path

    async def start(self) -> LocalEndpoint:
        """Start the server and return once it accepts requests; a running one is replaced.

        A cancelled or failed start leaves no process behind.

        :raises ConfigurationError: the weights or the engine are missing
        :raises LocalIOError: the server left, or took longer than ``timeout_s``
        """
        await self.close()
        order = self._order()
        self._process = EngineProcess(self._executable, self._environment, self._log_path)
        try:
            url = self._url(await self._ask(self._process, order))
        except BaseException:
            await self.close()
            raise
        return LocalEndpoint(f"{url}/v1", order.api_key, order.model, order.context_tokens)

    async def close(self) -> None:
        """Stop the server: politely for half a second, then by force."""
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(process.end)

    def _order(self) -> EngineOrder:
        if not self._weights_path.is_file():
            raise ConfigurationError(
                f"the weights of the embedded model are not here: {self._weights_path}",
                hint=f"set it up once with `{self._weights.setup_command}`",
                code="weights_missing",
            )
        return EngineOrder(
            weights_path=str(self._weights_path.absolute()),
            model=self._weights.model,
            context_tokens=self._weights.context_tokens,
            port=self._port,
            api_key=secrets.token_urlsafe() if self._api_key is None else self._api_key,
        )

    async def _ask(self, process: EngineProcess, order: EngineOrder) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                line = await asyncio.to_thread(process.ask, order.to_line())
        except TimeoutError:
            raise self._failure(f"was not ready within {self._timeout_s:g} s") from None
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise self._failure("exited without a message") from None
        return answer

    def _url(self, answer: dict[str, Any]) -> str:
        if answer.get("error") == ENGINE_MISSING:
            raise ConfigurationError(
                f"the engine of the embedded model, {ENGINE}, is not installed",
                hint=f'install it beside chatcli: "{self._executable}" -m pip install "{ENGINE_REQUIREMENT}"',
                code="engine_missing",
            )
        if "url" not in answer:
            raise self._failure("could not start", str(answer.get("error")))
        return str(answer["url"])

    def _failure(self, what: str, reason: str = "it gave no reason") -> ChatcliError:
        return LocalIOError(
            f"the embedded model's server {what}: {complaint(self._log_path) or reason}",
            hint=f"its log: {self._log_path}; {self._weights.repair_hint}",
            code="local_server",
        )
