"""Webhooks: what is posted, and the servers and addresses that gain nothing."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from chatcli.client.address_guard import AddressGuard
from chatcli.client.endpoint import Endpoint
from chatcli.client.webhooks import post_json
from chatcli.core.errors import BadResponse, ChatcliError, NetworkError, TimedOut, UsageError
from network_servers import Authority, http_response, listening, stay_silent

HOST = "hooks.example"
SECRET = "services/T0/B0/secret-of-the-hook"
OK = http_response("200 OK", b"ok")


@pytest.fixture(scope="module")
def authority():
    return Authority()


class Hook:
    """A server that keeps requests and answers with ``content``."""

    def __init__(self, content=OK):
        self.content = content
        self.requests = []

    async def __call__(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        self.requests.append((head, await reader.readexactly(length)))
        writer.write(self.content)
        await writer.drain()


@pytest.fixture
def post(authority, tmp_path):
    """Return a function that posts to a server on loopback under the name ``HOST``."""
    bundle = str(authority.write_bundle(tmp_path))

    async def run(handler, *, allowed=(HOST,), address="127.0.0.1", url=None, timeout_s=10.0, body=None):
        async def resolve(_host, _port):
            return [address]

        async with listening(handler, tls=authority.server_context(HOST)) as port:
            return await post_json(
                Endpoint(url or f"https://{HOST}:{port}/{SECRET}?token=secret", ca_bundle=bundle),
                {"text": "hi"} if body is None else body,
                environment={"OPENAI_API_KEY": "sk-here"},
                guard=AddressGuard(allowed, resolve),
                timeout_s=timeout_s,
            )

    return run


async def failure(work, kind=ChatcliError):
    with pytest.raises(kind) as caught:
        await work
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint
    return caught.value


async def test_the_object_is_posted_and_nothing_else_is_said(post):
    hook = Hook()
    assert await post(hook, body={"text": "success rate 60%, 成功率"}) == 200
    ((head, body),) = hook.requests
    assert head.startswith(f"POST /{SECRET}?token=secret HTTP/1.1\r\n")
    assert json.loads(body) == {"text": "success rate 60%, 成功率"}
    names = {line.split(":")[0].lower() for line in head.splitlines()[1:] if line}
    assert names == {"host", "content-type", "content-length", "user-agent"}


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(post, status):
    hook = Hook(http_response(status, location="https://169.254.169.254/latest/meta-data"))
    error = await failure(post(hook), BadResponse)
    assert f"{status[:3]}, a redirect, which is not followed" in error.message
    assert len(hook.requests) == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "410 Gone", "500 Oops", "503 Busy"])
async def test_a_refusal_is_reported_by_its_status(post, status):
    error = await failure(post(Hook(http_response(status, b"secret words of the server"))), BadResponse)
    assert (error.status, error.message) == (int(status[:3]), f"{HOST}: {status[:3]}")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/secret",
        "https://169.254.169.254/secret",
        "https://[::1]/secret",
        "https://10.0.0.1/secret",
        "https://0.0.0.0/secret",
        "https://[::ffff:169.254.169.254]/secret",
        "https://2130706433/secret",
        "https://0x7f.1/secret",
        "https://localhost/secret",
        "https://hooks.internal/secret",
        "http://hooks.example/secret",
        "https://ada:secret@hooks.example/",
        "https://hooks.example\\@evil.example/secret",
        "gopher://hooks.example/secret",
    ],
)
async def test_an_address_that_leads_inside_or_in_the_clear_is_refused(post, url):
    hook = Hook()
    await failure(post(hook, url=url, allowed=()), UsageError)
    assert hook.requests == []


async def test_a_name_that_leads_to_a_private_address_is_refused_unless_it_is_allowed(post):
    hook = Hook()
    error = await failure(post(hook, allowed=()), UsageError)
    assert "leads to 127.0.0.1, this machine, and is not told" in error.message
    assert "private_hosts" in error.hint
    assert hook.requests == []
    assert await post(hook) == 200


async def test_no_exception_lets_a_name_lead_to_a_metadata_service(post):
    error = await failure(post(Hook(), address="169.254.169.254"), UsageError)
    assert "a metadata service" in error.message


async def drip(reader, writer):
    """Send a header line now and then, for ever."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("handler", [stay_silent, drip])
async def test_a_server_that_is_silent_or_drips_is_given_up(post, handler):
    began_s = time.monotonic()
    error = await failure(post(handler, timeout_s=0.4), TimedOut)
    assert "no answer within 0.4 s" in error.message
    assert time.monotonic() - began_s < 30


async def test_a_body_without_end_is_not_read(post):
    async def endless(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"5\r\nhello\r\n")
            await writer.drain()
            await asyncio.sleep(0)  # until the system takes no more, drain() lets nobody else run

    assert await post(endless) == 200


async def test_garbage_is_an_error_of_the_server(post):
    await failure(post(Hook(b"\x00\xffgarbage\r\n\r\n")), (BadResponse, NetworkError))


async def test_a_certificate_of_another_authority_is_refused(post, tmp_path):
    other = Authority().server_context(HOST)
    async with listening(Hook(), tls=other) as port:
        await failure(post(Hook(), url=f"https://{HOST}:{port}/{SECRET}"), NetworkError)


async def test_where_nothing_listens_the_webhook_is_to_be_checked(post):
    async with listening(Hook()) as port:
        pass
    error = await failure(post(Hook(), url=f"https://{HOST}:{port}/{SECRET}"), NetworkError)
    assert error.hint == "check webhook in config.toml"


async def test_where_nothing_is_encrypted_the_webhook_is_to_be_checked(post):
    async def in_the_clear(_reader, writer):
        writer.write(OK)
        await writer.drain()

    async with listening(in_the_clear) as port:
        error = await failure(post(Hook(), url=f"https://{HOST}:{port}/{SECRET}"), NetworkError)
    assert error.hint == "check webhook in config.toml"
