"""Reading of pages with the settings and the environment of a run."""

from __future__ import annotations

import asyncio
import os

import pytest

from chatcli.app.run_context import RunContext
from chatcli.app.web_reader import read_page
from chatcli.attachments.encodings import NO_HINTS
from chatcli.config.paths import Paths
from chatcli.config.settings import Settings
from chatcli.core.errors import NetworkError, UsageError
from network_servers import TunnelProxy, listening
from scripted_server import HOLD, Answer, serving

MARKDOWN = {"content-type": "text/markdown"}
HELLO = Answer([b"# Hello\n"], 200, MARKDOWN)


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a page and drops the progress."""
    paths = Paths(*[tmp_path / name for name in ("config", "data", "cache", "local")])

    async def read(
        address, *, private_hosts=("127.0.0.1",), environment=None, resolve=None, doing=print, **settings
    ):
        context = RunContext(environment or {}, paths, resolve=resolve)
        settings = Settings(private_hosts=private_hosts, **settings)
        return await read_page(address, settings, context, NO_HINTS, doing=doing)

    return read


async def test_a_page_is_read_by_the_address_as_it_was_typed(read):
    async with serving(HELLO) as server:
        address = f"HTTP://127.0.0.1:{server.port}/a#b"
        page = await read(address)
    assert (page.url, page.text, page.note) == (address, "# Hello\n", None)


async def test_html_is_read_in_an_environment_without_keys(read):
    html = Answer([b"<title>T</title><p>Hello"], 200, {"content-type": "text/html"})
    environment = {"PATH": os.environ.get("PATH", ""), "OPENAI_API_KEY": "sk-here"}
    async with serving(html) as server:
        page = await read(f"http://127.0.0.1:{server.port}/", environment=environment)
    assert page.text == "# T\n\nHello\n"


async def test_without_an_exception_nothing_here_is_asked(read):
    async with serving(HELLO) as server:
        for host in ("127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"):
            with pytest.raises(UsageError):
                await read(f"http://{host}:{server.port}/", private_hosts=())
    assert server.requests == []


async def test_the_run_finds_addresses(read):
    async def resolve(host, port):
        assert (host, port) == ("page.example", server.port)
        return ["127.0.0.1"]

    async with serving(HELLO) as server:
        address = f"http://page.example:{server.port}/"
        assert (await read(address, private_hosts=["page.example"], resolve=resolve)).text == "# Hello\n"


async def test_the_proxy_of_the_environment_is_used(read):
    async def resolve(_host, _port):
        raise OSError("unknown here")

    async with serving(HELLO) as server:
        proxy = TunnelProxy(server.port)
        async with listening(proxy) as port:
            environment = {"HTTPS_PROXY": f"http://127.0.0.1:{port}"}
            with pytest.raises(NetworkError):  # it speaks no TLS
                await read("https://page.example/", environment=environment, resolve=resolve)
    assert proxy.asked == ["CONNECT page.example:443 HTTP/1.1"]


async def test_progress_is_told_every_second_and_no_longer_than_it_takes(read, tmp_path):
    told, seconds = [], []
    arrived = asyncio.Event()

    async def sleep(delay_s):
        seconds.append(delay_s)
        if len(seconds) == 3:
            arrived.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0.02)

    context = RunContext({}, Paths(*[tmp_path] * 4))
    settings = Settings(private_hosts=("127.0.0.1",))
    async with serving(Answer([b"abc", arrived, b"d"], 200, MARKDOWN)) as server:
        address = f"http://127.0.0.1:{server.port}/"
        page = await read_page(address, settings, context, NO_HINTS, doing=told.append, sleep=sleep)
    assert page.text == "abcd"
    assert set(seconds) == {1.0}
    assert len(told) == 2
    assert told[-1] in {"reading 127.0.0.1", "reading 127.0.0.1, 3 B"}
    assert len(asyncio.all_tasks()) == 1


async def test_stopping_hangs_up_and_leaves_nothing_behind(read):
    async with serving(Answer([b"a", HOLD], 200, MARKDOWN)) as server:
        reading = asyncio.ensure_future(read(f"http://127.0.0.1:{server.port}/"))
        await server.asked()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await server.requests[0].hung_up()
