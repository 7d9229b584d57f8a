from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.client.endpoint import Endpoint
from chatcli.client.file_download import FileDownload, Part
from chatcli.core.errors import (
    BadResponse,
    ChatcliError,
    RateLimited,
    RequestRefused,
    ServerFailed,
    UsageError,
)
from scripted_server import CUT, Answer, serving

CONTENT = bytes(range(256)) * 40
TAG = '"v1"'


def endpoint_to(url):
    return Endpoint(url, loopback=url.startswith("http://127.0.0.1"))


class FileServer:
    """Chooses answers like a server of files that cuts its first answers after so many bytes."""

    def __init__(self, *cuts, content=CONTENT, tag=TAG, resumes=True, heeds_if_range=True):
        self.cuts = list(cuts)
        self.content, self.tag = content, tag
        self.resumes, self.heeds_if_range = resumes, heeds_if_range

    def __call__(self, request):
        headers = {"etag": self.tag, "content-type": "application/octet-stream"}
        found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        known = request.headers.get("if-range", self.tag) == self.tag or not self.heeds_if_range
        start = int(found[1]) if found and self.resumes and known else 0
        if start >= len(self.content):
            return Answer((b"",), 416)
        status = 200
        if start:
            status = 206
            last = len(self.content) - 1
            headers["content-range"] = f"bytes {start}-{last}/{len(self.content)}"
        if not self.cuts:
            return Answer((self.content[start:],), status, headers)
        return Answer((self.content[start : start + self.cuts.pop(0)], CUT), status, headers)


class Fetched:
    """The outcome of a download: the part, what was reported, the pauses between attempts."""

    def __init__(self, folder):
        self.part = Part(folder / "file.partial", folder / "file.partial.etag")
        self.reported, self.pauses = [], []

    async def run(self, server):
        async def sleep(pause_s):
            self.pauses.append(pause_s)

        base = server if isinstance(server, str) else server.base_url
        await FileDownload(f"{base}/model.gguf", len(CONTENT), endpoint_to, {}, sleep).run(
            self.part, self.reported.append
        )


@pytest.fixture
def fetched(tmp_path):
    return Fetched(tmp_path)


async def test_the_file_comes_whole_without_a_key_and_leaves_no_tag(fetched):
    async with serving(choose=FileServer()) as server:
        await fetched.run(server)
    assert fetched.part.path.read_bytes() == CONTENT
    assert not fetched.part.tag_path.exists()
    assert fetched.reported[-1] == len(CONTENT)
    (request,) = server.requests
    assert "authorization" not in request.headers
    assert "range" not in request.headers
    assert request.headers["accept-encoding"] == "identity"


async def test_after_a_cut_it_goes_on_where_it_was(fetched):
    async with serving(choose=FileServer(1_000, 2_000)) as server:
        await fetched.run(server)
    assert fetched.part.path.read_bytes() == CONTENT
    assert [request.headers.get("range") for request in server.requests] == [
        None,
        "bytes=1000-",
        "bytes=3000-",
    ]
    assert {request.headers.get("if-range") for request in server.requests[1:]} == {TAG}
    assert fetched.pauses == [1.0, 1.0]


@pytest.mark.parametrize("tag", ['"\xfc"', '"a\nb"'])
async def test_a_tag_that_cannot_be_sent_back_does_not_stop_it(fetched, tag):
    fetched.part.opened(0, tag).close()
    fetched.part.path.write_bytes(CONTENT[:5_000])
    async with serving(choose=FileServer(tag="")) as server:
        await fetched.run(server)
    assert server.requests[0].headers["range"] == "bytes=5000-"
    assert "if-range" not in server.requests[0].headers
    assert fetched.part.path.read_bytes() == CONTENT


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(min_value=0, max_value=4_000), max_size=4), st.booleans(), st.booleans())
def test_however_it_is_cut_the_file_is_the_whole_one(tmp_path_factory, cuts, resumes, has_tag):
    fetched = Fetched(tmp_path_factory.mktemp("cut"))

    async def download():
        tag = TAG if has_tag else ""
        async with serving(choose=FileServer(*cuts, resumes=resumes, tag=tag)) as server:
            await fetched.run(server)

    asyncio.run(download())
    assert fetched.part.path.read_bytes() == CONTENT


async def test_what_an_earlier_run_fetched_is_not_fetched_again(fetched):
    fetched.part.opened(0, TAG).close()
    fetched.part.path.write_bytes(CONTENT[:5_000])
    async with serving(choose=FileServer()) as server:
        await fetched.run(server)
    assert server.requests[0].headers["range"] == "bytes=5000-"
    assert fetched.part.path.read_bytes() == CONTENT


async def test_a_whole_file_needs_no_request(fetched):
    fetched.part.path.write_bytes(CONTENT)
    await fetched.run("http://127.0.0.1:1")


@pytest.mark.parametrize("heeds_if_range", [True, False])
async def test_another_version_is_not_joined_to_the_part_of_an_older_one(fetched, heeds_if_range):
    fetched.part.opened(0, '"v0"').close()
    fetched.part.path.write_bytes(b"old" * 100)
    async with serving(choose=FileServer(heeds_if_range=heeds_if_range)) as server:
        await fetched.run(server)
    assert fetched.part.path.read_bytes() == CONTENT


async def test_a_range_that_does_not_exist_starts_over(fetched):
    fetched.part.path.write_bytes(CONTENT[:9_000])
    answers = (Answer((b"",), 416), Answer((CONTENT,), 200))
    async with serving(*answers) as server:
        await fetched.run(server)
    assert [request.headers.get("range") for request in server.requests] == ["bytes=9000-", None]
    assert fetched.part.path.read_bytes() == CONTENT


async def test_a_part_that_is_too_long_is_fetched_anew(fetched):
    fetched.part.path.write_bytes(CONTENT + b"more")
    async with serving(choose=FileServer()) as server:
        await fetched.run(server)
    assert fetched.part.path.read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "error"), [(503, ServerFailed), (429, RateLimited)])
async def test_five_attempts_without_progress_are_the_last(fetched, status, error):
    async with serving(Answer((b"busy",), status)) as server:
        with pytest.raises(error) as raised:
            await fetched.run(server)
    assert raised.value.hint == "try again later, or name another model_hub"
    assert len(server.requests) == 5
    assert fetched.pauses == [1.0, 2.0, 4.0, 8.0]


async def test_a_server_that_always_cuts_and_never_resumes_is_given_up(fetched):
    async with serving(choose=FileServer(*[500] * 50, resumes=False)) as server:
        with pytest.raises(ChatcliError):
            await fetched.run(server)
    assert len(server.requests) == 5


@pytest.mark.parametrize("content", [CONTENT + b"x", CONTENT[:-1] + b"xy"])
async def test_a_file_that_is_too_long_is_another_file(fetched, content):
    async with serving(choose=FileServer(content=content)) as server:
        with pytest.raises(BadResponse, match="more than 10,240 bytes, not 10,240"):
            await fetched.run(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("content_range", ["bytes 5000-9999/10000", "bytes 4999-10239/10240", "nonsense"])
async def test_a_part_of_another_file_is_refused(fetched, content_range):
    fetched.part.path.write_bytes(CONTENT[:5_000])
    answer = Answer((CONTENT[5_000:],), 206, {"content-range": content_range})
    async with serving(answer) as server:
        with pytest.raises(BadResponse):
            await fetched.run(server)
    assert fetched.part.path.read_bytes() == CONTENT[:5_000]


async def test_a_missing_file_is_an_error_that_names_the_hub(fetched):
    async with serving(Answer((b"no",), 404)) as server:
        with pytest.raises(RequestRefused) as caught:
            await fetched.run(server)
    assert "model_hub" in caught.value.hint
    assert not fetched.part.path.exists()


async def test_redirects_are_followed_with_the_range(fetched):
    fetched.part.path.write_bytes(CONTENT[:100])
    files = FileServer()

    def choose(request):
        if request.path.endswith("/cdn"):
            return files(request)
        return Answer((b"",), 302, {"location": "/cdn"})

    async with serving(choose=choose) as server:
        await fetched.run(server)
    assert [request.path for request in server.requests] == ["/v1/model.gguf", "/cdn"]
    assert server.requests[1].headers["range"] == "bytes=100-"
    assert fetched.part.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "location", ["http://cdn.example/file", "ftp://127.0.0.1/file", "//cdn.example/file"]
)
async def test_a_redirect_without_encryption_is_refused_before_it_is_followed(fetched, location):
    async with serving(Answer((b"",), 302, {"location": location})) as server:
        with pytest.raises(RequestRefused, match="without encryption"):
            await fetched.run(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["https://[host/file", "https://host:99999/file"])
async def test_a_redirect_to_what_is_no_address_is_refused(fetched, location):
    async with serving(Answer((b"",), 302, {"location": location})) as server:
        with pytest.raises(RequestRefused, match="an invalid address"):
            await fetched.run(server)


async def test_redirects_in_a_circle_end(fetched):
    async with serving(Answer((b"",), 302, {"location": "/again"})) as server:
        with pytest.raises(RequestRefused, match="circle"):
            await fetched.run(server)
    assert len(server.requests) == 6


async def test_plain_http_elsewhere_is_refused_before_anything_is_sent(fetched):
    with pytest.raises(UsageError, match="plain http"):
        await fetched.run("http://mirror.example")
