"""Many requests: the rate of ``chatcli batch`` against the ideal, and against a bare loop of aiohttp.

A server in a process of its own answers each request after 200 ms, and notes when the first one came and the last one was
answered: starting a program is no part of its rate.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import bench_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROWS: Final = 10_000
AT_ONCE: Final = 500
DELAY_S: Final = 0.2
GOAL: Final = 0.9
MOST_MB: Final = 250
ANSWER: Final = "An answer of a few words."
MODEL: Final = bench_endpoint.MODEL
AIOHTTP, STREAMS, SERVER = "aiohttp", "streams", "serve"
ROOT: Final = Path(__file__).resolve().parent.parent


class Measured(NamedTuple):
    rate: float
    cpu_ms: float
    memory_mb: float


def batch(runs: int) -> None:
    """Run ``chatcli batch`` and the bare loop in turns."""
    if not hasattr(os, "wait4"):
        print("  not measured: it needs wait4, which Python does not have on Windows")
        return
    ideal = AT_ONCE / DELAY_S
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "rows.jsonl")
        rows.write_text(
            "".join(json.dumps({"id": f"r{n}", "prompt": f"Say {n}"}) + "\n" for n in range(ROWS))
        )
        environment, bare = with_aiohttp(folder)
        print(
            f"  {ROWS:,} requests, {AT_ONCE} at once, answered after {DELAY_S * 1000:.0f} ms: ideal {ideal:,.0f}/s"
        )
        if bare == STREAMS:
            print("  aiohttp could not be installed: a bare loop of asyncio's streams stands in for it")
        found: dict[str, list[Measured]] = {bare: [], "chatcli batch": []}
        for run in range(runs):
            found[bare].append(measured(lambda url: loop_command(bare, url, rows), environment))
            out = Path(folder, f"out{run}.jsonl")
            found["chatcli batch"].append(
                measured(
                    partial(batch_command, rows, out),
                    environment,
                    folder,
                )
            )
            check(out)
    for name, several in found.items():
        shown = " ".join(f"{each.rate:,.0f}/s" for each in several)
        best = max(several)
        print(
            f"  {name:<14} {shown}  best {best.rate:,.0f}/s, {best.cpu_ms:.2f} ms of CPU a row, {best.memory_mb:.0f} MB"
        )
    ours, theirs = max(found["chatcli batch"]), max(found[bare])
    allowed = GOAL * min(ideal, theirs.rate)
    share = ours.rate / min(ideal, theirs.rate)
    verdict = "met" if ours.rate >= allowed else "NOT met"
    print(f"batch: {share:.2f} of the lower of the two (at least {GOAL}): {verdict}")
    print(
        f"batch: {ours.memory_mb:.0f} MB at most (under {MOST_MB}): {'met' if ours.memory_mb < MOST_MB else 'NOT met'}"
    )


def batch_command(rows: Path, out: Path, _url: str) -> list[str]:
    chatcli = [sys.executable, "-m", "chatcli"]
    return [*chatcli, "batch", str(rows), "--out", str(out), "-m", MODEL, "--concurrency", str(AT_ONCE), "-q"]


def loop_command(name: str, url: str, rows: Path) -> list[str]:
    return [sys.executable, __file__, name, url, str(rows)]


def check(out: Path) -> None:
    """Every row must have its answer, in order."""
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    if [line["index"] for line in lines] != list(range(ROWS)) or {line["text"] for line in lines} != {ANSWER}:
        raise SystemExit("chatcli batch: the results are not those of the rows")


def measured(
    command: Callable[[str], Sequence[str]], environment: Mapping[str, str], folder: str | None = None
) -> Measured:
    """Run a command against a new server."""
    with serving() as (url, report):
        variables = environment if folder is None else bench_endpoint.environment(url, folder)
        process = subprocess.Popen(command(url), env=dict(variables), stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command(url)} failed")
        took_s = report()
    memory = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return Measured(ROWS / took_s, 1000 * (usage.ru_utime + usage.ru_stime) / ROWS, memory)


@contextmanager
def serving() -> Iterator[tuple[str, Callable[[], float]]]:
    """Start the server; yield its URL, and what asks it for the time from the first request to the last answer."""
    server = subprocess.Popen(
        [sys.executable, __file__, SERVER], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdin is not None
    port = int(server.stdout.readline())

    def report() -> float:
        server.stdin.write("\n")
        server.stdin.flush()
        return float(server.stdout.readline())

    try:
        yield f"http://127.0.0.1:{port}/v1", report
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


def with_aiohttp(folder: str) -> tuple[dict[str, str], str]:
    """Return an environment in which aiohttp is found, and the name of the bare loop: without it, another one."""
    target = Path(folder, "packages")
    environment = dict(os.environ)
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), "aiohttp"]
        if subprocess.run(pip, capture_output=True, check=False).returncode:
            return environment, STREAMS
        environment["PYTHONPATH"] = str(target)
    return environment, AIOHTTP


async def bare_loop(name: str, url: str, rows: str) -> None:
    prompts = iter([json.loads(line)["prompt"] for line in rows.splitlines()])
    ask = await (asker_of_aiohttp(url) if name == AIOHTTP else asker_of_streams(url))

    async def worker() -> None:
        for prompt in prompts:
            answer = await ask({"model": MODEL, "messages": [{"role": "user", "content": prompt}]})
            assert answer["choices"][0]["message"]["content"] == ANSWER

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    await ask(None)


async def asker_of_aiohttp(url: str) -> Callable[..., object]:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def ask(body: object) -> object:
        if body is None:
            return await session.close()
        async with session.post(f"{url}/chat/completions", json=body) as response:
            return await response.json()

    return ask


async def asker_of_streams(url: str) -> Callable[..., object]:
    port, idle = int(url.rpartition(":")[2].partition("/")[0]), []

    async def ask(body: object) -> object:
        if body is None:
            return None
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        content = json.dumps(body).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        idle.append((reader, writer))
        return answer

    return ask


class Answering(asyncio.Protocol):
    """Answers each POST after ``DELAY_S``, each GET at once with a list of models."""

    began_s = ended_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            if head.startswith(b"get"):
                self._transport.write(MODELS)
                continue
            Answering.began_s = Answering.began_s or time.monotonic()
            asyncio.get_running_loop().call_later(DELAY_S, self.answer)

    def answer(self) -> None:
        Answering.ended_s = time.monotonic()
        self._transport.write(COMPLETION)


def response(value: object) -> bytes:
    content = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(content),
        content,
    )


MODELS: Final = response({"data": [{"id": MODEL, "context_length": 8192}]})
COMPLETION: Final = response(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16},
    }
)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(Answering.ended_s - Answering.began_s, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(
        serve()
        if sys.argv[1] == SERVER
        else bare_loop(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_text("utf-8"))
    )
