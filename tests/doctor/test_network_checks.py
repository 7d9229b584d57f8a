"""The checks of the network and the server, against faulty servers."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from chatcli.client.endpoint import Endpoint, Proxy
from chatcli.doctor.examination import Status
from chatcli.doctor.network_checks import first_stop
from network_servers import (
    MODELS,
    TunnelProxy,
    hang_up,
    http_response,
    listening,
    reject_immediately,
    speaking,
    stay_silent,
)
from scripted_server import CUT, HOLD, SILENCE, Answer, event_stream, json_answer, serving, text_events

KEY = "sk-proj-0123456789abcdefghij"
LIST = json_answer({"data": [{"id": "small"}, {"id": "big"}]})
HI = Answer(event_stream("Hi"))
AFTER_CONNECT = ("tls", "clock", "auth", "models", "answer")


def at(server, **variables):
    return {"CHATCLI_BASE_URL": server.base_url, "CHATCLI_MODEL": "small", **variables}


def statuses(findings):
    return {name: finding[-1].status for name, finding in findings.items()}


async def test_a_server_that_is_well_is_ok_in_every_line(found):
    async with serving(LIST, HI) as server:
        findings = await found(at(server, CHATCLI_API_KEY=KEY))
    route = ("proxy", "dns", "connect", "tls", "auth", "models", "answer")
    assert {statuses(findings)[name] for name in route} == {Status.OK}
    assert findings["connect"][0].text.startswith(f"127.0.0.1:{server.port} (")
    assert findings["tls"][0].text == "not used: this address is http"
    assert findings["auth"][0].text.startswith("the key is accepted (")
    assert findings["models"][0].text == "2 offered, small among them"
    answer = findings["answer"][0].text
    assert all(word in answer for word in ("small: headers ", "first text ", "end ", "finish reason stop"))
    asked = server.requests[1]
    assert asked.json["max_tokens"] == 1
    assert KEY not in str(findings)


async def test_without_a_model_the_first_one_offered_is_asked(found):
    async with serving(LIST, HI) as server:
        findings = await found({"CHATCLI_BASE_URL": server.base_url})
    assert statuses(findings)["answer"] is Status.OK
    assert server.requests[1].json["model"] == "small"


async def test_a_port_nobody_listens_on_ends_the_way(found):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    findings = await found({"CHATCLI_BASE_URL": f"http://127.0.0.1:{port}/v1"})
    (finding,) = findings["connect"]
    assert finding.status is Status.PROBLEM
    assert "nothing is listening" in finding.text
    assert finding.hint
    assert {statuses(findings)[name] for name in AFTER_CONNECT} == {Status.SKIPPED}


async def test_an_unresolvable_name_skips_all_later_checks(found, monkeypatch):
    def unknown(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    findings = await found({"CHATCLI_BASE_URL": "https://models.example/v1"})
    (finding,) = findings["dns"]
    assert (finding.status, finding.text) == (Status.PROBLEM, "models.example: the name cannot be resolved")
    assert {statuses(findings)[name] for name in ("connect", *AFTER_CONNECT)} == {Status.SKIPPED}


async def test_a_name_server_that_does_not_answer_is_not_waited_for(found, monkeypatch):
    is_found_out = threading.Event()

    def silent(*_arguments, **_options):
        is_found_out.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    variables = {"CHATCLI_BASE_URL": "https://models.example/v1", "CHATCLI_CONNECT_TIMEOUT_S": "0.05"}
    try:
        findings = await found(variables)
    finally:
        is_found_out.set()
    assert "no name server answers within 0.05 s" in findings["dns"][0].text


async def test_a_name_is_reported_with_its_addresses(found):
    async with serving(LIST, HI) as server:
        findings = await found({"CHATCLI_BASE_URL": f"http://localhost:{server.port}/v1"})
    assert findings["dns"][0].text.startswith("localhost → ")
    assert findings["connect"][0].status is Status.OK


async def test_an_address_that_fails_before_one_that_answers_is_a_warning(found, monkeypatch):
    async with serving(LIST, HI) as server:
        answers = [(0, 0, 0, "", (address, server.port)) for address in ("127.0.0.9", "127.0.0.1")]
        real = socket.getaddrinfo

        def two(host, *arguments, **options):
            return answers if host == "models.localhost" else real(host, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", two)
        given = {"CHATCLI_BASE_URL": f"http://models.localhost:{server.port}/v1"}
        findings = await found({**given, "NO_PROXY": "*"})
    finding, passed_over = findings["connect"]
    assert finding.status is Status.OK
    assert passed_over.status is Status.WARNING
    assert passed_over.text.startswith("127.0.0.9 does not answer")


async def test_a_trusted_certificate_is_described(found, authority, tmp_path):
    bundle = str(authority.write_bundle(tmp_path))
    ends = datetime.now(UTC) + timedelta(days=40, hours=1)
    context = authority.server_context("127.0.0.1", not_after=ends, organization_name="Models and Sons")
    async with listening(speaking(MODELS), tls=context) as port:
        url = f"https://127.0.0.1:{port}/v1"
        findings = await found({"CHATCLI_BASE_URL": url, "CHATCLI_CA_BUNDLE": bundle})
    (finding,) = findings["tls"]
    assert finding.status is Status.OK
    assert finding.text == (
        "TLSv1.3, Models and Sons signed by Authority of the tests, 40 days left, "
        "trusted by the system's certificates and ca_bundle"
    )


async def test_a_certificate_that_ends_soon_is_a_warning(found, authority, tmp_path):
    bundle = str(authority.write_bundle(tmp_path))
    context = authority.server_context("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=3, hours=1))
    async with listening(speaking(MODELS), tls=context) as port:
        url = f"https://127.0.0.1:{port}/v1"
        findings = await found({"CHATCLI_BASE_URL": url, "CHATCLI_CA_BUNDLE": bundle})
    assert findings["tls"][-1].status is Status.WARNING
    assert "ends in 3 days" in findings["tls"][-1].text


async def test_a_certificate_that_is_not_trusted_is_shown_and_never_given_the_key(found, authority):
    context = authority.server_context("127.0.0.1", organization_name="Models and Sons")
    asked = []

    async def listen(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(MODELS)

    async with listening(listen, tls=context) as port:
        findings = await found({"CHATCLI_BASE_URL": f"https://127.0.0.1:{port}/v1", "CHATCLI_API_KEY": KEY})
    finding, certificate, *_ = findings["tls"]
    assert finding.status is Status.PROBLEM
    assert "unable to get local issuer certificate" in finding.text
    assert "Models and Sons signed by Authority of the tests" in certificate.text
    assert {statuses(findings)[name] for name in ("clock", "auth", "models", "answer")} == {Status.SKIPPED}
    assert all(KEY.encode() not in head for head in asked)


async def test_a_server_without_tls_where_it_is_expected_is_a_problem(found):
    async with listening(reject_immediately) as port:
        findings = await found({"CHATCLI_BASE_URL": f"https://127.0.0.1:{port}/v1"})
    (finding,) = findings["tls"]
    assert finding.status is Status.PROBLEM
    assert "http://" in finding.hint


async def test_a_refused_key_is_a_problem_of_the_key_alone(found):
    refused = json_answer({"error": {"message": "Incorrect API key"}}, status=401)
    async with serving(refused) as server:
        findings = await found(at(server, CHATCLI_API_KEY=KEY))
    assert statuses(findings)["tls"] is Status.OK
    (finding,) = findings["auth"]
    assert finding.status is Status.PROBLEM
    assert "401 Unauthorized: Incorrect API key" in finding.text
    assert {statuses(findings)[name] for name in ("models", "answer")} == {Status.SKIPPED}


async def test_a_server_without_a_list_of_models_is_asked_all_the_same(found):
    async with serving(json_answer({}, status=404), HI) as server:
        findings = await found(at(server))
    assert "no model list" in findings["auth"][0].text
    assert statuses(findings)["models"] is Status.SKIPPED
    assert statuses(findings)["answer"] is Status.OK


async def test_a_model_that_is_not_offered_is_a_warning(found):
    async with serving(LIST, HI) as server:
        findings = await found(at(server, CHATCLI_MODEL="huge"))
    (finding,) = findings["models"]
    assert (finding.status, finding.text) == (Status.WARNING, "2 offered, huge not among them")


async def test_a_server_with_no_model_is_a_problem(found):
    async with serving(json_answer({"data": []})) as server:
        findings = await found({"CHATCLI_BASE_URL": server.base_url})
    assert statuses(findings)["models"] is Status.PROBLEM


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer([*text_events("Hi"), CUT]), "cut"),
        (Answer([*text_events("Hi")]), "cut"),
        (Answer([b"<html>hello</html>"], headers={"content-type": "text/html"}), "instead of a completion"),
        (
            json_answer({"error": {"message": "overloaded"}}, status=503),
            "503 Service Unavailable: overloaded",
        ),
    ],
)
async def test_an_answer_that_does_not_end_well_is_a_problem(found, answer, text):
    async with serving(LIST, answer) as server:
        findings = await found(at(server))
    (finding,) = findings["answer"]
    assert finding.status is Status.PROBLEM
    assert text in finding.text


async def test_a_model_that_needs_more_than_one_token_is_given_more(found):
    refusal = json_answer({"error": {"message": "model output limit was reached"}}, status=400)
    async with serving(LIST, refusal, HI) as server:
        findings = await found(at(server))
    assert statuses(findings)["answer"] is Status.OK
    assert [request.json["max_tokens"] for request in server.requests[1:]] == [1, 256]


@pytest.mark.parametrize("silent", [SILENCE, Answer([HOLD])])
async def test_an_answer_that_never_comes_is_not_waited_for(found, silent):
    async with serving(LIST, silent) as server:
        findings = await found(at(server, CHATCLI_TIMEOUT_S="0.3"))
    (finding,) = findings["answer"]
    assert finding.status is Status.PROBLEM
    assert "0.3 s" in finding.text


async def test_a_list_of_models_that_trickles_is_not_waited_for(found):
    trickle = Answer([b" ", 0.1] * 100, headers={"content-type": "application/json"})
    async with serving(trickle) as server:
        findings = await found(at(server, CHATCLI_TIMEOUT_S="0.3"))
    assert "no list of models within 0.3 s" in findings["auth"][0].text


@pytest.mark.parametrize(
    ("ahead_s", "status", "text"),
    [
        (0, Status.OK, "agrees"),
        (-3600, Status.WARNING, "ahead of the server's"),
        (3600, Status.WARNING, "behind the server's"),
    ],
)
async def test_the_clock_is_compared_with_the_servers(found, ahead_s, status, text):
    date = formatdate(time.time() + ahead_s, usegmt=True)
    async with serving(json_answer({"data": []}, date=date)) as server:
        findings = await found(at(server))
    (finding,) = findings["clock"]
    assert finding.status is status
    assert text in finding.text


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 10:00:00 GMT"])
async def test_a_server_that_does_not_tell_the_time_is_no_problem(found, date):
    async with serving(json_answer({"data": []}, date=date)) as server:
        findings = await found(at(server))
    assert statuses(findings)["clock"] is Status.SKIPPED


async def test_through_a_proxy_its_name_and_its_port_are_looked_at(found, authority, tmp_path):
    bundle = str(authority.write_bundle(tmp_path))
    context = authority.server_context("models.example")
    async with (
        listening(speaking(MODELS), tls=context) as port,
        listening(TunnelProxy(port)) as proxy_port,
    ):
        findings = await found(
            {
                "CHATCLI_BASE_URL": "https://models.example/v1",
                "CHATCLI_CA_BUNDLE": bundle,
                "HTTPS_PROXY": f"http://ann:s3cret@127.0.0.1:{proxy_port}",
            }
        )
    assert findings["proxy"][0].text == (
        f"the proxy http://127.0.0.1:{proxy_port} (HTTPS_PROXY) leads to models.example"
    )
    assert findings["connect"][0].text.startswith(f"127.0.0.1:{proxy_port} (")
    assert findings["tls"][0].text.startswith("TLSv1.3, ")
    assert statuses(findings)["auth"] is Status.OK
    assert "s3cret" not in str(findings)


async def test_a_proxy_that_wants_a_password_is_reported_as_a_problem_of_the_proxy(found):
    async with listening(speaking(http_response("407 Proxy Authentication Required"))) as port:
        findings = await found(
            {"CHATCLI_BASE_URL": "https://models.example/v1", "HTTPS_PROXY": f"http://127.0.0.1:{port}"}
        )
    _, finding = findings["proxy"]
    assert finding.status is Status.PROBLEM
    assert "needs a user name and password" in finding.text
    assert statuses(findings)["tls"] is Status.SKIPPED


@pytest.mark.parametrize("handler", [hang_up, stay_silent])
async def test_a_server_that_accepts_and_does_not_answer_is_a_problem(found, handler):
    async with listening(handler) as port:
        findings = await found(
            {"CHATCLI_BASE_URL": f"http://127.0.0.1:{port}/v1", "CHATCLI_TIMEOUT_S": "0.3"}
        )
    assert statuses(findings)["connect"] is Status.OK
    assert statuses(findings)["auth"] is Status.PROBLEM


@pytest.mark.parametrize(
    ("endpoint", "stop"),
    [
        (Endpoint("https://models.example/v1"), ("models.example", 443)),
        (Endpoint("http://[::1]:8080/v1"), ("::1", 8080)),
        (Endpoint("http://models.example", proxy=Proxy("http://proxy.example", "A")), ("proxy.example", 80)),
    ],
)
def test_the_first_stop_is_the_proxy_else_the_server(endpoint, stop):
    assert first_stop(endpoint) == stop
