from __future__ import annotations

import pytest

from chatcli.client.download import download
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import BadResponse, RequestRefused, ServerFailed, TimedOut
from scripted_server import SILENCE, Answer, serving


@pytest.fixture
def fetched():
    """Return a function that downloads an answer of a server, and gives the requests it saw."""

    async def fetch(answer, **limits):
        async with serving(answer) as server:
            endpoint = Endpoint(f"{server.base_url}/table", key="sk-here", loopback=True)
            return await download(endpoint, {}, **{"most_bytes": 100, **limits}), server.requests

    return fetch


def file(content, status=200, **headers):
    return Answer((content,), status=status, headers={"content-type": "text/plain", **headers})


async def test_the_file_comes_as_it_is_and_no_key_is_sent(fetched):
    content, (request,) = await fetched(file(b"\x1f\x8bdata", **{"content-encoding": "gzip"}))
    assert content == b"\x1f\x8bdata"
    assert "authorization" not in {name.lower() for name in request.headers}


async def test_a_file_that_is_too_large_is_given_up(fetched):
    with pytest.raises(BadResponse, match="larger than 3 bytes"):
        await fetched(file(b"data"), most_bytes=3)


@pytest.mark.parametrize(("status", "error"), [(404, RequestRefused), (503, ServerFailed)])
async def test_a_refusal_is_an_error(fetched, status, error):
    with pytest.raises(error):
        await fetched(file(b"no", status))


async def test_a_redirect_is_not_followed(fetched):
    with pytest.raises(RequestRefused, match="302"):
        await fetched(file(b"", 302, location="http://127.0.0.1:1/"))


async def test_a_server_that_stays_silent_is_given_up(fetched):
    with pytest.raises(TimedOut, match=r"did not finish within 0\.1 s"):
        await fetched(SILENCE, timeout_s=0.1)
