"""The guard against requests into private networks: spellings, addresses, names, redirects, DNS rebinding."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.address_guard import (
    AddressGuard,
    GuardedTransport,
    checked_url,
    kind_of_address,
)
from chatcli.core.errors import UsageError
from scripted_server import Answer, serving

PUBLIC = "93.184.215.14"


class Resolver:
    """A name server with scripted answers, the last one again and again; ``asked`` are the names."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


class Recorder(httpx2.AsyncBaseTransport):
    """A transport that answers everything, and cannot connect to the hosts in ``dead``."""

    def __init__(self, dead=()):
        self.requests = []
        self._dead = dead

    async def handle_async_request(self, request):
        self.requests.append(request)
        if request.url.host in self._dead:
            raise httpx2.ConnectError("nothing there")
        return httpx2.Response(200, content=b"hello")


async def passes(url, *, allowed=(), resolve=None, **how):
    return await AddressGuard(allowed, resolve or Resolver([PUBLIC])).addresses(checked_url(url), **how)


async def refusal(url, **how):
    with pytest.raises(UsageError) as caught:
        await passes(url, **how)
    assert caught.value.hint
    return caught.value


PRIVATE_V4 = ["127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0.0.0.0"]
PRIVATE_V4 += ["169.254.169.254", "169.254.1.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "224.0.0.1"]
PRIVATE_V4 += ["255.255.255.255", "240.0.0.1", "198.18.0.1", "168.63.129.16", "192.0.2.1", "192.88.99.1"]
PRIVATE_V6 = ["::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1"]
PRIVATE_V6 += ["fec0::1", "2001::1", "2001:db8::1", "3fff::1", "64:ff9b:1::1", "100::1", "5f00::1", "4000::"]


def v6_forms(address):
    """Return the IPv6 addresses that lead to an IPv4 address."""
    number = int(ipaddress.IPv4Address(address))
    return {
        "mapped": ipaddress.IPv6Address(0xFFFF << 32 | number),
        "compatible": ipaddress.IPv6Address(number),
        "translated": ipaddress.IPv6Address(0xFFFF << 48 | number),
        "NAT64": ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        "6to4": ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1),
        "ISATAP": ipaddress.IPv6Address(int(ipaddress.IPv6Address("2a00:1::5efe:0:0")) | number),
        "ISATAP, global": ipaddress.IPv6Address(int(ipaddress.IPv6Address("2a00:1::200:5efe:0:0")) | number),
    }


@pytest.mark.parametrize("address", [*PRIVATE_V4, *PRIVATE_V6])
def test_an_address_outside_the_public_internet_has_a_kind(address):
    assert kind_of_address(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE_V4)
def test_so_has_every_ipv6_form_of_it(address):
    for form, wrapped in v6_forms(address).items():
        assert kind_of_address(wrapped), form


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:2800:21f:cb07::1", "2a00:1450::1"]
)
def test_a_public_address_has_none(address):
    assert kind_of_address(ipaddress.ip_address(address)) is None


def test_translated_forms_of_public_addresses_are_public_as_a_network_without_ipv4_needs_them():
    forms = v6_forms(PUBLIC)
    assert [kind_of_address(forms[form]) for form in ("mapped", "NAT64", "6to4")] == [None, None, None]


@given(st.ip_addresses())
def test_whatever_passes_is_global_for_python_as_well(address):
    if kind_of_address(address) is None:
        reached = getattr(address, "ipv4_mapped", None) or address
        assert reached.is_global
        assert not any((reached.is_multicast, reached.is_loopback, reached.is_link_local))


@given(st.ip_addresses(v=4))
def test_ipv6_forms_pass_only_where_the_address_within_does(address):
    kind = kind_of_address(address)
    for wrapped in v6_forms(address).values():
        assert kind is None or kind_of_address(wrapped) is not None


@given(st.sampled_from(PRIVATE_V4), st.data())
async def test_no_spelling_of_a_private_address_passes(address, data):
    parts = [int(part) for part in address.split(".")]
    number = int(ipaddress.IPv4Address(address))
    base = data.draw(st.sampled_from(["{}", "0x{:x}", "0X{:X}", "0{:o}", "00{:o}"]))
    short = [parts[0], parts[1] << 16 | parts[2] << 8 | parts[3]]
    shorter = [parts[0], parts[1], parts[2] << 8 | parts[3]]
    units = data.draw(st.sampled_from([parts, [number], short, shorter]))
    dot = data.draw(st.sampled_from([".", "%2e", "\u3002", "\uff0e", "\uff61"]))
    end = data.draw(st.sampled_from(["", "."]))
    host = dot.join(base.format(unit) for unit in units) + end
    with pytest.raises(UsageError):
        await passes(f"http://{host}/", resolve=Resolver([address]))


@pytest.mark.parametrize(
    "text",
    [
        *("http://%31%32%37.0.0.1/", "http://１２７.0.0.1/", "http://①②⑦.0.0.1/", "http:///x", "http://"),
        *("https://host:0/", "https://host:99999/", "https://host:80x/", "https://a b/", "https://a..b/"),
        *("https://-a/", "https://a;b/", "https://[::1/", "https://[::1%25eth0]/", "https://ho\u00adst%00/"),
        *(
            "https://a\\b/",
            "https://host/\n",
            "https://host\t/",
            "https://\ufeffhost/",
            "https://\u200b.example/",
        ),
    ],
)
def test_what_programs_read_differently_is_no_web_address(text):
    with pytest.raises(UsageError):
        checked_url(text)


@pytest.mark.parametrize(
    "text",
    ["ftp://host/", "file:///etc/passwd", "gopher://host/", "javascript:x", "https:host", "//host/", "host"],
)
def test_only_http_is_read(text):
    with pytest.raises(UsageError, match="is not a web address"):
        checked_url(text)


@pytest.mark.parametrize(
    "text",
    [
        *("https://ann:s3cret@host.example/", "https://s3cret@host.example/", "https://@host.example/"),
        *(
            "https://ann:s3cret @host.example/",
            "https:///ann:s3cret@host.example/",
            "https://host\\@s3cret.example/",
        ),
    ],
)
def test_a_user_name_is_refused_and_not_repeated(text):
    with pytest.raises(UsageError, match="holds a user name") as caught:
        checked_url(text)
    assert "ann:" not in caught.value.message


def test_an_at_sign_elsewhere_is_no_user():
    assert str(checked_url("https://host.example/@ann?q=@b#@c")) == "https://host.example/@ann?q=@b"


def test_an_address_is_normalized_for_the_wire():
    assert str(checked_url("HTTPS://Exämple.COM/ä?q=ü#part")) == "https://xn--exmple-cua.com/%C3%A4?q=%C3%BC"


@given(st.text(max_size=40))
async def test_whatever_follows_the_scheme_passes_as_a_public_host_or_is_refused(rest):
    try:
        url = checked_url(f"https://{rest}")
    except UsageError:
        return
    assert url.scheme == "https"
    assert url.userinfo == b""
    assert url.raw_host
    assert "\\" not in str(url)
    assert checked_url(str(url)) == url


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "a.localhost", "router", "nas.local", "metadata.google.internal", "x.lan"],
)
async def test_names_of_private_networks_are_refused_before_anybody_is_asked(host):
    resolve = Resolver([PUBLIC])
    assert "is a name of a private network" in (await refusal(f"http://{host}/", resolve=resolve)).message
    assert resolve.asked == []


@pytest.mark.parametrize("address", [*PRIVATE_V4, *PRIVATE_V6])
async def test_a_name_that_leads_to_a_private_address_is_refused(address):
    error = await refusal("https://evil.example/", resolve=Resolver([address]))
    assert error.message.startswith("evil.example leads to ")
    assert error.code == "address_refused"


async def test_one_private_address_among_public_ones_is_enough():
    await refusal("https://evil.example/", resolve=Resolver([PUBLIC, "10.0.0.1"]))


async def test_a_name_without_addresses_is_an_error_of_the_network():
    with pytest.raises(socket.gaierror):
        await passes("https://gone.example/", resolve=Resolver(socket.gaierror(-2, "unknown")))


async def test_a_proxy_may_know_names_that_are_unknown_here_but_no_private_ones():
    unknown = Resolver(socket.gaierror(-2, "unknown"))
    assert await passes("https://far.example/", resolve=unknown, by_proxy=True) == ()
    for url in ("http://127.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://localhost/", "http://0x7f.1/"):
        await refusal(url, resolve=unknown, by_proxy=True)
    await refusal("https://evil.example/", resolve=Resolver(["10.0.0.1"]), by_proxy=True)


class TestExceptions:
    async def test_a_named_host_and_its_subdomains_pass(self):
        for url in ("http://wiki.corp/", "http://a.wiki.corp:8080/", "http://WIKI.corp./"):
            assert await passes(url, allowed=["wiki.corp"], resolve=Resolver(["10.0.0.5"])) == ["10.0.0.5"]
        await refusal("http://notwiki.corp/", allowed=["wiki.corp"], resolve=Resolver(["10.0.0.5"]))

    async def test_an_address_or_a_network_counts_for_hosts_written_as_an_address_only(self):
        assert await passes("http://10.1.2.3/", allowed=["10.0.0.0/8"]) == ["10.1.2.3"]
        assert await passes("http://[::1]:8080/", allowed=["::1"]) == ["::1"]
        await refusal("http://evil.example/", allowed=["10.0.0.0/8"], resolve=Resolver(["10.1.2.3"]))
        await refusal("http://11.0.0.1.10.0.0.1/", allowed=["10.0.0.0/8"])

    async def test_a_name_never_leads_to_a_metadata_service(self):
        for address in ("169.254.169.254", "100.100.100.200", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0"):
            error = await refusal("http://wiki.corp/", allowed=["wiki.corp"], resolve=Resolver([address]))
            assert "private_hosts" not in error.hint

    async def test_a_network_does_not_mean_the_metadata_service_within(self):
        for address, network in (("169.254.169.254", "169.254.0.0/16"), ("100.100.100.200", "100.64.0.0/10")):
            await refusal(f"http://{address}/", allowed=[network])
            assert await passes(f"http://{address}/", allowed=[address]) == [address]

    async def test_a_page_of_the_internet_leads_to_none_of_them(self):
        guard = AddressGuard(["wiki.corp", "10.0.0.0/8"], Resolver(["10.0.0.5"], [PUBLIC], ["10.0.0.5"]))
        assert await guard.addresses(checked_url("http://wiki.corp/"))
        assert await guard.addresses(checked_url("https://news.example/"))
        for url in ("http://wiki.corp/", "http://10.0.0.5/"):
            with pytest.raises(UsageError) as caught:
                await guard.addresses(checked_url(url))
            assert "name its address yourself" in caught.value.hint


class TestTransport:
    async def sent(self, url, resolve, inner=None, **how):
        inner = inner or Recorder()
        transport = GuardedTransport(inner, AddressGuard((), resolve), **how)
        request = httpx2.Request("GET", url, extensions={"timeout": httpx2.Timeout(9).as_dict()})
        response = await transport.handle_async_request(request)
        assert response.status_code == 200
        return inner.requests

    async def test_the_checked_address_is_the_one_connected_to_under_the_name_of_the_url(self):
        resolve = Resolver([PUBLIC], ["127.0.0.1"])
        (request,) = await self.sent("https://rebind.example:8443/a?b", resolve)
        assert str(request.url) == f"https://{PUBLIC}:8443/a?b"
        assert request.headers["host"] == "rebind.example:8443"
        assert request.extensions["sni_hostname"] == "rebind.example"
        assert resolve.asked == ["rebind.example"]

    async def test_a_name_that_has_changed_meanwhile_is_refused_at_the_next_request(self):
        resolve, inner = Resolver([PUBLIC], ["127.0.0.1"]), Recorder()
        await self.sent("https://rebind.example/", resolve, inner)
        with pytest.raises(UsageError, match=r"rebind\.example leads to 127\.0\.0\.1, this machine"):
            await self.sent("https://rebind.example/", resolve, inner)
        assert len(inner.requests) == 1

    async def test_the_next_address_is_tried_where_nothing_answers_and_not_for_long(self):
        addresses = ["2606:2800:21f:cb07::1", PUBLIC]
        first, second = await self.sent("https://host.example/", Resolver(addresses), Recorder(addresses[:1]))
        assert (first.url.host, second.url.host) == tuple(addresses)
        assert first.extensions["timeout"]["connect"] == 3.0
        assert second.extensions["timeout"]["connect"] == 9

    async def test_through_a_proxy_the_name_goes_out(self):
        (request,) = await self.sent("https://host.example/", Resolver([PUBLIC]), through_proxy=True)
        assert request.url.host == "host.example"

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
    async def test_rebinding_gains_nothing_over_real_sockets(self):
        """The first answer of the name server is a page, every later one a server next to it."""
        reached = []

        def connected(_reader, writer):
            reached.append(writer)
            writer.close()

        async with serving(Answer([b"page"])) as server:
            private = await asyncio.start_server(connected, "127.0.0.9", server.port)
            resolve = Resolver(["127.0.0.1"], ["127.0.0.9"])
            guard = AddressGuard(["rebind.example"], resolve)
            async with (
                private,
                GuardedTransport(httpx2.AsyncHTTPTransport(trust_env=False), guard) as transport,
            ):
                request = httpx2.Request("GET", f"http://rebind.example:{server.port}/")
                response = await transport.handle_async_request(request)
                assert await response.aread() == b"page"
        assert server.requests[0].headers["host"] == f"rebind.example:{server.port}"
        assert (reached, resolve.asked) == ([], ["rebind.example"])
