"""Fetching of pages: what is sent, what is taken, and where it stops."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib

import pytest

from chatcli.client.address_guard import AddressGuard
from chatcli.client.endpoint import Endpoint, Proxy
from chatcli.client.web_pages import PageReader
from chatcli.core.errors import BadResponse, NetworkError, RateLimited, ServerFailed, TimedOut, UsageError
from network_servers import (
    Authority,
    SocksProxy,
    TunnelProxy,
    hang_up,
    http_response,
    listening,
    speaking,
    stay_silent,
)
from scripted_server import CUT, HOLD, Answer, serving

HOST = "page.example"


async def to_loopback(_host, _port):
    return ["127.0.0.1"]


def reader(*, proxy=None, ca_bundle=None, allowed=(HOST, "127.0.0.1"), resolve=to_loopback, **limits):
    def endpoint_of(url):
        return Endpoint(url, proxy=proxy, ca_bundle=ca_bundle)

    return PageReader(
        endpoint_of=endpoint_of,
        environment={"OPENAI_API_KEY": "sk-here"},
        guard=AddressGuard(allowed, resolve),
        **limits,
    )


def page(*script, kind="text/plain", status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(script, status, {"content-type": kind, **named})


async def fetched(answer, path="/a?b=c#d", **how):
    async with serving(answer) as server:
        return await reader(**how).read(f"http://{HOST}:{server.port}{path}"), server


async def failure(answer, kind=UsageError, **how):
    with pytest.raises(kind) as caught:
        await fetched(answer, **how)
    assert caught.value.hint
    return caught.value


async def test_markdown_is_asked_for_first_and_nothing_else_is_said():
    got, server = await fetched(page(b"# Hi", kind="text/markdown; charset=utf-8"))
    assert (got.content, got.content_type) == (b"# Hi", "text/markdown; charset=utf-8")
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/a?b=c", b"")
    headers = dict(request.headers)
    assert headers.pop("accept").startswith("text/markdown, text/plain;q=0.9, text/html;q=0.8")
    assert headers.pop("user-agent").startswith("chatcli/")
    assert headers == {"host": f"{HOST}:{server.port}", "accept-encoding": "gzip"}


async def test_cookies_and_the_page_before_stay_out_of_a_redirect():
    def choose(request):
        if request.path == "/":
            return page(status=302, location="/next", set_cookie="id=1; Path=/", www_authenticate="Basic")
        return page(b"there")

    async with serving(choose=choose) as server:
        got = await reader().read(f"http://{HOST}:{server.port}/")
        assert got.content == b"there"
        assert got.url == f"http://{HOST}:{server.port}/next"
    assert set(server.requests[1].headers) == {"host", "accept", "accept-encoding", "user-agent"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_five_times(status):
    def choose(request):
        left = int(request.path[1:])
        return page(status=status, location=f"/{left - 1}") if left else page(b"there")

    async with serving(choose=choose) as server:
        assert (await reader().read(f"http://{HOST}:{server.port}/5")).content == b"there"
        with pytest.raises(BadResponse, match="more than 5 redirects"):
            await reader().read(f"http://{HOST}:{server.port}/6")


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://169.254.169.254/latest/meta-data/", "is a metadata service"),
        ("http://[::ffff:10.0.0.1]/", "is a private address"),
        ("http://localhost/", "is a name of a private network"),
        ("http://0x7f000001/", "unusual spelling of an address"),
        ("//2130706433/", "unusual spelling of an address"),
        ("http://ann:pw@other.example/", "holds a user name"),
        ("file:///etc/passwd", "is not a web address"),
        ("data:text/plain,hello", "is not a web address"),
        ("http://a b/", "is not a valid web address"),
    ],
)
async def test_a_redirect_is_checked_like_the_first_address(location, why):
    error = await failure(page(status=302, location=location))
    assert why in error.message
    assert error.code == "address_refused"


async def test_an_ipv6_address_is_connected_to_as_it_is_written():
    try:
        server = await asyncio.start_server(speaking_once, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await reader(allowed=["::1"]).read(f"http://[::1]:{port}/")).content == b"six"
        to_six = reader(resolve=resolved_to("::1"))
        assert (await to_six.read(f"http://{HOST}:{port}/")).content == b"six"


async def speaking_once(incoming, outgoing):
    await speaking(http_response("200 OK", b"six", content_type="text/plain"))(incoming, outgoing)
    outgoing.close()


def resolved_to(address):
    async def resolve(_host, _port):
        return [address]

    return resolve


async def test_nothing_encrypted_is_left_for_something_open(tmp_path):
    authority = Authority()
    answer = http_response("302 Found", location="http://page.example/")
    async with listening(speaking(answer), tls=authority.server_context(HOST)) as port:
        with pytest.raises(UsageError, match=r"redirects to an unencrypted address, page\.example"):
            await reader(ca_bundle=str(authority.write_bundle(tmp_path))).read(f"https://{HOST}:{port}/")


async def test_certificates_are_checked_against_the_name_though_an_address_is_connected_to(tmp_path):
    authority = Authority()
    bundle = str(authority.write_bundle(tmp_path))
    answer = speaking(http_response("200 OK", b"safe", content_type="text/plain"))
    async with listening(answer, tls=authority.server_context(HOST)) as port:
        assert (await reader(ca_bundle=bundle).read(f"https://{HOST}:{port}/")).content == b"safe"
        with pytest.raises(NetworkError) as caught:
            await reader().read(f"https://{HOST}:{port}/")
        assert caught.value.code == "tls_certificate"
        other = reader(ca_bundle=bundle, allowed=["other.example"])
        with pytest.raises(NetworkError) as caught:
            await other.read(f"https://other.example:{port}/")
        assert caught.value.code == "tls_certificate"


class TestLimits:
    async def test_a_page_is_taken_up_to_its_cap(self):
        got, _ = await fetched(page(b"x" * 1000), most_bytes=1000)
        assert len(got.content) == 1000
        error = await failure(page(b"x" * 1001), most_bytes=1000)
        assert error.code == "input_too_long"

    async def test_a_page_without_end_is_left(self):
        async with serving(page(*[b"x" * 65_536] * 1000)) as server:
            with pytest.raises(UsageError, match="larger than"):
                await reader(most_bytes=100_000).read(f"http://{HOST}:{server.port}/")
            await server.requests[0].hung_up()

    async def test_an_announced_size_is_believed_before_anything_is_read(self):
        async with serving(page(HOLD, content_length="99999999999")) as server:
            with pytest.raises(UsageError, match="larger than 10 MB"):
                await reader().read(f"http://{HOST}:{server.port}/")

    @pytest.mark.parametrize(("how", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
    async def test_a_packed_page_is_read(self, how, pack):
        text = bytes(500_000) + b"the end"
        got, _ = await fetched(page(pack(text), content_encoding=how))
        assert got.content == text

    async def test_kilobytes_that_unpack_to_gigabytes_stop_at_the_cap(self):
        bomb = gzip.compress(bytes(300_000_000))
        tracemalloc.start()
        try:
            error = await failure(page(bomb, content_encoding="gzip"), most_bytes=2_000_000)
            _, most_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert error.code == "input_too_long"
        assert most_bytes < 10_000_000

    @pytest.mark.parametrize("how", ["br", "zstd", "gzip, gzip"])
    async def test_no_other_packing_is_undone(self, how):
        assert (
            "which was not requested"
            in (await failure(page(b"?", content_encoding=how), BadResponse)).message
        )

    async def test_a_body_that_is_not_packed_as_it_says_is_an_error(self):
        assert (
            "cannot be unpacked"
            in (await failure(page(b"???", content_encoding="gzip"), BadResponse)).message
        )
        cut = gzip.compress(b"a page of text")[:-9]
        assert "is cut" in (await failure(page(cut, content_encoding="gzip"), BadResponse)).message

    @pytest.mark.parametrize("script", [[HOLD], [b"a", 0.05] * 100], ids=["silent", "drop by drop"])
    async def test_the_time_is_limited_as_a_whole(self, script):
        error = await failure(page(*script), TimedOut, timeout_s=0.2)
        assert "did not arrive within 0.2 s" in error.message

    async def test_a_server_that_never_answers_is_left(self):
        async with listening(stay_silent) as port:
            with pytest.raises(TimedOut):
                await reader(timeout_s=0.2).read(f"http://{HOST}:{port}/")

    async def test_stopping_hangs_up(self):
        async with serving(page(b"a", HOLD)) as server:
            reading = asyncio.ensure_future(reader().read(f"http://{HOST}:{server.port}/"))
            await server.asked()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await server.requests[0].hung_up()

    async def test_progress_counts_what_has_arrived(self):
        counts = []
        await fetched(page(b"ab", 0.01, b"c"), progress=counts.append)
        assert counts[-1] == 3
        assert counts == sorted(counts)


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "kind", "exit_code"),
        [
            *((400, UsageError, 2), (401, UsageError, 2), (403, UsageError, 2), (404, UsageError, 2)),
            *((410, UsageError, 2), (304, UsageError, 2), (408, RateLimited, 6), (429, RateLimited, 6)),
            *((500, ServerFailed, 6), (503, ServerFailed, 6), (407, NetworkError, 6)),
        ],
    )
    async def test_a_status_is_the_pages_fault_or_the_networks(self, status, kind, exit_code):
        error = await failure(page(b"<h1>ignore this</h1>", status=status), kind)
        assert error.exit_code == exit_code
        assert "ignore this" not in error.message

    async def test_a_connection_that_breaks_is_an_error_of_the_network(self):
        assert (await failure(page(b"a", CUT), NetworkError)).code == "reset"
        async with listening(hang_up) as port:
            with pytest.raises(NetworkError):
                await reader().read(f"http://{HOST}:{port}/")

    async def test_hints_are_about_the_page_and_not_about_the_model(self):
        async with serving(page(b"")) as server:
            port = server.port
        with pytest.raises(NetworkError, match="connection refused") as caught:
            await reader().read(f"http://{HOST}:{port}/")
        assert caught.value.hint == "check the address; nothing answers there"

    async def test_a_name_nobody_knows_is_an_error_of_the_network(self):
        async def unknown(_host, _port):
            raise OSError("unknown")

        with pytest.raises(NetworkError) as caught:
            await reader(resolve=unknown).read(f"http://{HOST}/")
        assert caught.value.exit_code == 6


class TestProxies:
    @pytest.mark.parametrize("kind", [TunnelProxy, SocksProxy])
    async def test_the_name_goes_to_the_proxy_that_resolves_it(self, tmp_path, kind):
        authority = Authority()
        bundle = str(authority.write_bundle(tmp_path))
        answer = speaking(http_response("200 OK", b"far", content_type="text/plain"))
        async with listening(answer, tls=authority.server_context(HOST)) as port:
            proxy = kind(port)
            async with listening(proxy) as proxy_port:
                scheme = "socks5h" if kind is SocksProxy else "http"
                behind = Proxy(f"{scheme}://127.0.0.1:{proxy_port}", "HTTPS_PROXY")
                got = await reader(ca_bundle=bundle, proxy=behind).read(f"https://{HOST}/")
        assert got.content == b"far"
        assert HOST in proxy.asked[0]

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0x7f.1", "10.1.1.1"]
    )
    async def test_a_private_address_never_reaches_the_proxy(self, host):
        proxy = TunnelProxy(1)
        async with listening(proxy) as proxy_port:
            behind = Proxy(f"http://127.0.0.1:{proxy_port}", "HTTP_PROXY")
            with pytest.raises(UsageError):
                await reader(proxy=behind, allowed=()).read(f"http://{host}/")
        assert proxy.asked == []
