"""The batch API of OpenAI and compatible providers: files up, a batch, files down, at half the price.

Reference: https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

import json
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.direct_http import DirectResponse, status_error_of
from chatcli.client.openai_errors import UNWRITABLE, translated, unsendable
from chatcli.core.errors import BadResponse, RequestRefused
from chatcli.core.json_values import as_object, as_text, objects_in, optional_count
from chatcli.core.ports import ProviderBatchState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
    from pathlib import Path

    from chatcli.client.openai_model import OpenAIModel
    from chatcli.client.pool import PoolEntry
    from chatcli.core.events import ModelEvent
    from chatcli.core.request import Request

_WINDOW: Final = "24h"
_PURPOSE: Final = "batch"
_UPLOAD_S: Final = 3_600.0
_PAGE: Final = 100
_MOST_PAGES: Final = 100
_LONGEST_LINE_BYTES: Final = 256 * 1024 * 1024
_OK: Final = range(200, 300)
_UNKNOWN_PATH: Final = frozenset({404, 405, 501})
_HAS_BATCHES: Final = "does this endpoint have a batch API?"


class BatchApi:
    """The batches of the endpoint of ``entry`` (``core.ports.ProviderBatches``).

    ``path`` is that of the API the requests are for, ``body_of`` makes their JSON. ``model`` reads the answers.
    """

    def __init__(
        self, entry: PoolEntry, path: str, body_of: Callable[[Request], dict[str, Any]], model: OpenAIModel
    ) -> None:
        self._entry = entry
        self._endpoint = entry.endpoint
        self._url = f"/v1{path}"
        self._path = path
        self._body_of = body_of
        self._model = model

    def line(self, custom_id: str, request: Request) -> bytes:
        try:
            body = {name: value for name, value in self._body_of(request).items() if name != "stream"}
            fields = {"custom_id": custom_id, "method": "POST", "url": self._url, "body": body}
            return json.dumps(fields, allow_nan=False).encode() + b"\n"
        except UNWRITABLE as error:
            raise unsendable(self._endpoint, error) from error

    async def upload(self, path: Path) -> str:
        with self._translated(), path.open("rb") as file:
            async with self._entry.meter.call("files") as call:
                client = await call.client()
                uploaded = await client.files.with_raw_response.create(
                    file=(path.name, file), purpose=_PURPOSE, timeout=_UPLOAD_S
                )
                return self._id_in(uploaded.content)

    async def create(self, input_file: str) -> str:
        with self._translated():
            async with self._entry.meter.call("batches") as call:
                client = await call.client()
                created = await client.batches.with_raw_response.create(
                    input_file_id=input_file,
                    endpoint=self._url,  # type: ignore[arg-type]
                    completion_window=_WINDOW,
                )
                return self._id_in(created.content)

    async def find(self, input_file: str) -> str | None:
        after: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            with translated(self._endpoint):
                async with self._entry.meter.call("batches") as call:
                    client = await call.client()
                    listed = await client.batches.with_raw_response.list(limit=_PAGE, **after)
            page = self._object(listed.content)
            batches = list(objects_in(page.get("data")))
            for batch in batches:
                if batch.get("input_file_id") == input_file and as_text(batch.get("id")):
                    return as_text(batch["id"])
            if not batches or page.get("has_more") is not True:
                return None
            after = {"after": as_text(batches[-1].get("id"))}
        return None

    async def state(self, batch: str) -> ProviderBatchState:
        with translated(self._endpoint):
            async with self._entry.meter.call("batches") as call:
                client = await call.client()
                response = await client.batches.with_raw_response.retrieve(batch)
        fields = self._object(response.content)
        counts = as_object(fields.get("request_counts"))
        files = (fields.get("output_file_id"), fields.get("error_file_id"))
        problems = [
            as_text(each.get("message")) for each in objects_in(as_object(fields.get("errors")).get("data"))
        ]
        return ProviderBatchState(
            as_text(fields.get("status")),
            optional_count(counts.get("total")) or 0,
            optional_count(counts.get("completed")) or 0,
            optional_count(counts.get("failed")) or 0,
            tuple(file for file in files if isinstance(file, str) and file),
            "; ".join(filter(None, problems)) or None,
        )

    async def lines(self, file: str) -> AsyncGenerator[bytes]:
        with translated(self._endpoint):
            async with self._entry.meter.call("files") as call:
                client = await call.client()
                async with client.files.with_streaming_response.content(file) as response:
                    begun = b""
                    async with aclosing(response.http_response.aiter_raw()) as chunks:
                        async for chunk in chunks:
                            *whole, begun = (begun + chunk).split(b"\n")
                            for line in whole:
                                yield line
                            if len(begun) > _LONGEST_LINE_BYTES:
                                raise BadResponse(
                                    f"{self._endpoint.host}: a result is too long", hint="try again"
                                )
                    if begun.strip():
                        yield begun

    async def answer(self, request: Request, response: Mapping[str, Any]) -> AsyncGenerator[ModelEvent]:
        status = response.get("status_code")
        stored = DirectResponse(
            status if type(status) is int else _OK.start,
            {"content-type": "application/json", "x-request-id": as_text(response.get("request_id"))},
            json.dumps(response.get("body")).encode(),
        )
        if stored.status_code not in _OK:
            with translated(self._endpoint):
                raise status_error_of(stored, f"{self._endpoint.base_url.rstrip('/')}{self._path}")
        async with (
            self._entry.meter.call("answer") as call,
            aclosing(self._model.answer(request, call, stored)) as events,
        ):
            async for event in events:
                yield event

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise errors as chatcli's own, with a hint for an endpoint that does not know the batch API."""
        try:
            with translated(self._endpoint):
                yield
        except RequestRefused as error:
            if error.status not in _UNKNOWN_PATH:
                raise
            raise error.reworded(hint=_HAS_BATCHES) from error

    def _id_in(self, content: bytes) -> str:
        identity = self._object(content).get("id")
        if not isinstance(identity, str) or not identity:
            raise BadResponse(f"{self._endpoint.host}: sent no id", hint=_HAS_BATCHES)
        return identity

    def _object(self, content: bytes) -> dict[str, Any]:
        try:
            return as_object(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise BadResponse(
                f"{self._endpoint.host}: sent something that is not JSON",
                hint=_HAS_BATCHES,
            ) from error
