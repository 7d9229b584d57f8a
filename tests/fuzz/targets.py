"""What is fuzzed: functions of any bytes that fail when a reader breaks its promise.

``scripts/fuzz`` runs them for minutes, guided by coverage; the tests run them on the corpus and on all that was ever
found.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jiter import from_json

from chatcli.client.answer_bytes import event_data
from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.error_bodies import error_details
from chatcli.client.responses import Responses
from chatcli.client.stated_delays import retry_after_s, span_in, span_s, stated_s
from chatcli.core.errors import ConfigurationError
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta
from chatcli.core.messages import question
from chatcli.core.request import Request
from chatcli.sessions.log import SessionLog
from chatcli.sessions.reading import read_records
from chatcli.sessions.records import decode, encode
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionFile, SessionStore
from chatcli.text.sanitizer import sanitize, sanitize_line
from chatcli.text.times import local_now
from fuzz.files import FILES
from fuzz.filters import FILTERS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from chatcli.client.dialect import Dialect

T = TypeVar("T")

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_DIALECTS: Final[tuple[Dialect, ...]] = (ChatCompletions(), Responses())
_REQUEST: Final = Request("fuzzed", (question("?"),))
_MOST_BYTES: Final = 1_000_000
_NO_JSON: Final = object()
_FOLDER: Final = tempfile.TemporaryDirectory(prefix="chatcli-fuzz-")


def sse(data: bytes) -> None:
    """However a stream is cut into chunks, its events are what the format says they are."""
    cuts, stream = data[:4], data[4:]
    expected = list(_events_of_the_format(stream))
    assert _read([stream]) == expected
    assert _read(_chunks(stream, cuts)) == expected


def answers(data: bytes) -> None:
    """Whatever JSON a server sends, its reading makes events of the known kinds and ends."""
    text = data.decode("utf-8", "replace")
    stated_s(text)
    span_s(text, local_now())
    retry_after_s({"retry-after": text, "retry-after-ms": text, "date": text})
    span_in(text)
    assert "\x1b" not in sanitize(text)
    assert "\n" not in sanitize_line(text)
    values = list(_json_values(data))
    error_details(values)
    for dialect in _DIALECTS:
        _read_answer(dialect, values)


def sessions(data: bytes) -> None:
    """Whatever a session file holds, it loads or is refused, and what is added to it is what is read back."""
    records = list(read_records(data))
    for record in records:
        assert decode(encode(record).removesuffix(b"\n")) == record
    texts = _texts(Session.replay(records))
    path = Path(_FOLDER.name) / "fuzzed.jsonl"
    path.write_bytes(data)
    store = SessionStore(Path(_FOLDER.name))
    file = SessionFile("fuzzed", path)
    try:
        log = SessionLog.resume(file, store.load, app="fuzz")
    except ConfigurationError:
        assert path.read_bytes() == data
        return
    added = log.message(question("added"), parent=log.session.head)
    log.close()
    assert log.name is not None
    again = store.load(file)
    assert path.read_bytes().startswith(data)
    if again.message(added) is not None and again.head == added:
        assert _texts(again) == [*texts, "added"]


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (sse, answers, sessions, *FILES, *FILTERS)
}


def _read(chunks: list[bytes]) -> list[bytes]:
    async def source() -> AsyncGenerator[bytes]:
        for chunk in chunks:
            yield chunk

    return [data for events in _drained(event_data(source(), _MOST_BYTES)) for data in events]


def _drained(events: AsyncGenerator[T]) -> Iterator[T]:
    """Yield what a generator that waits for nothing has, without a loop."""
    while True:
        step = events.__anext__()
        try:
            step.send(None)
        except StopIteration as stop:
            yield stop.value
        except StopAsyncIteration:
            return


def _chunks(stream: bytes, cuts: bytes) -> list[bytes]:
    places = sorted(cut % (len(stream) + 1) for cut in cuts)
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


def _events_of_the_format(stream: bytes) -> Iterator[bytes]:
    """Read a stream as the format's own text says, slowly, with the habits of servers that the reader follows too.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    What the end cuts off counts. A line that holds a whole JSON object is an event of its own once another line of data
    follows it, and so is each later one. An ``error:`` line is an event, and an error is a JSON object.
    """
    data: list[bytes] = []
    name = b""
    each_line = False

    def event() -> Iterator[bytes]:
        nonlocal name
        if data and not _keeps_alive(name):
            joined = b"\n".join(data)
            yield _as_error(joined) if name.strip().lower() == b"error" else joined
        data.clear()
        name = b""

    for line in [*_LINE_END.split(stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        field, _, value = line.partition(b":")
        if not line:
            yield from event()
        elif field == b"event" and b":" in line:
            name = value
        elif field == b"error" and b":" in line:
            yield from event()
            data, name = [value.lstrip()], b"error"
            yield from event()
        elif field == b"data":
            if len(data) == 1 and _is_object(data[0]):
                each_line = True
                yield from event()
            data.append(value.removeprefix(b" "))
            if each_line and (data == [b"[DONE]"] or (len(data) == 1 and _is_object(data[0]))):
                yield from event()


def _is_object(data: bytes) -> bool:
    return data.startswith(b"{") and isinstance(_json(data), dict)


def _as_error(data: bytes) -> bytes:
    value = _json(data)
    if isinstance(value, dict):
        return data
    text = data.decode("utf-8", "replace").strip() if value is _NO_JSON else value
    return json.dumps({"error": text or "an error"}).encode()


def _json(data: bytes) -> object:
    try:
        return from_json(data)
    except ValueError:
        return _NO_JSON


def _keeps_alive(name: bytes) -> bool:
    return name.strip().lower() in {b"ping", b"heartbeat", b"keepalive", b"keep-alive"}


def _json_values(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.split(b"\n"):
        try:
            value = json.loads(line.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _read_answer(dialect: Dialect, values: list[dict[str, Any]]) -> None:
    reader = dialect.reader(_REQUEST)
    for value in values:
        if (error := dialect.error_in(value)) is not None:
            error_details(error)
        chunks = reader.chunks
        events = [*reader.read_event(value), *dialect.reader(_REQUEST).read_whole(value)]
        assert all(isinstance(event, TextDelta | ReasoningDelta) and event.text for event in events)
        assert reader.chunks >= chunks
    assert all(isinstance(event, TextDelta | Notice) for event in reader.rest())
    end = reader.completion()
    assert end is None or (isinstance(end, Completion) and isinstance(end.finish_reason, str))


def _texts(session: Session) -> list[str]:
    return [record.message.text for record in session.path()]
