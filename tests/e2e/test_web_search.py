"""Web search with the real program, and servers that answer as the providers do."""

from __future__ import annotations

import json
import re
import sys

import pytest
from wcwidth import width

from e2e.program import records_of
from scripted_server import Answer, json_answer, serving_in_thread

PRICES = '[prices."small"]\ninput = 1\noutput = 1\n'
NEWS = ("https://news.example/a", "The news")


def stream(*chunks, done=True):
    ends = [b"data: [DONE]\n\n"] if done else []
    return Answer([*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks), *ends])


def chunk(delta, finish_reason=None, **fields):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **fields}


def openrouter():
    url, title = NEWS
    cited = {
        "type": "url_citation",
        "url_citation": {"url": url, "title": title, "start_index": 0, "end_index": 4},
    }
    usage = {"prompt_tokens": 900, "completion_tokens": 3, "cost": 0.021}
    return stream(
        chunk({"content": "News."}),
        chunk({"content": "", "annotations": [cited, cited]}, "stop"),
        {"usage": usage},
    )


def perplexity():
    url, title = NEWS
    lists = {"citations": [url], "search_results": [{"title": title, "url": url, "date": None}]}
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "num_search_queries": 2,
        "cost": {"total_cost": 0.006},
    }
    return stream(chunk({"content": "News."}, **lists), chunk({}, "stop", usage=usage, **lists))


def responses():
    url, title = NEWS
    cited = {"type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": 4}
    text = {"type": "output_text", "text": "News.", "annotations": [cited]}
    output = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
        {"type": "message", "role": "assistant", "content": [text]},
    ]
    usage = {"input_tokens": 900, "output_tokens": 3}
    return stream(
        {"type": "response.output_item.added", "output_index": 0, "item": output[0]},
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.output_item.done", "output_index": 0, "item": output[0]},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "News."},
        {"type": "response.output_text.annotation.added", "output_index": 1, "annotation": cited},
        {"type": "response.completed", "response": {"status": "completed", "output": output, "usage": usage}},
        done=False,
    )


SERVERS = {
    "OpenRouter": (openrouter, "chat", "plugin", (0.021, 1)),
    "Perplexity": (perplexity, "chat", "options", (0.006, 2)),
    "Responses": (responses, "responses", "auto", (None, 1)),
}


def test_a_template_may_have_the_provider_search(program):
    (program.working_folder / "news.md").write_text("+++\nweb_search = true\n+++\nNews of {{ input }}")
    with serving_in_thread(openrouter()) as server:
        program.run("-T", "news.md", "Rome", server=server, CHATCLI_WEB_SEARCH="plugin")
        program.run("-T", "news.md", "--no-web-search", "Rome", server=server, CHATCLI_WEB_SEARCH="plugin")
    searching, other = (request.json for request in server.requests if request.method == "POST")
    assert searching["plugins"] == [{"id": "web"}]
    assert "plugins" not in other


@pytest.mark.parametrize(("answer", "api", "form", "reported"), SERVERS.values(), ids=SERVERS)
def test_the_sources_are_in_the_json_the_session_and_the_export(program, answer, api, form, reported):
    environment = {"CHATCLI_WEB_SEARCH": form, "CHATCLI_API": api}
    with serving_in_thread(answer()) as server:
        done = program.run("--web-search", "-s", "news", "-o", "json", "News?", server=server, **environment)
        sent = server.requests[-1].json
    source = {"n": 1, "title": NEWS[1], "url": NEWS[0]}
    result = json.loads(done.stdout)
    assert (result["text"], result["sources"]) == ("News.", [source])
    assert (result["cost_usd"], result["usage"]["searches"]) == reported
    assert {"web_search_options", "plugins", "tools"} & sent.keys()
    (path,) = program.session_paths
    assert records_of(path)[-1]["sources"] == [source]
    assert NEWS[0] in program.run("sessions", "export", "news").stdout


def test_a_person_reads_the_sources_below_the_answer(program):
    with serving_in_thread(openrouter()) as server:
        done = program.run("News?", "--web-search", server=server, CHATCLI_WEB_SEARCH="plugin")
    assert done.stdout == "News.\n"
    assert done.stderr == f"sources:\n[1] {NEWS[1]} · {NEWS[0]}\n"


def test_what_a_search_costs_is_booked_by_the_persons_own_price(program):
    (program.config_folder / "config.toml").write_text(PRICES + "search = 10\n")
    with serving_in_thread(responses()) as server:
        done = program.run("--web-search", "--api", "responses", "-o", "json", "News?", server=server)
    assert json.loads(done.stdout)["cost_usd"] == pytest.approx(0.000903 + 0.01)


def test_a_budget_is_not_risked_for_a_search_of_unknown_price(program):
    (program.config_folder / "config.toml").write_text(PRICES)
    with serving_in_thread() as server:
        done = program.run("--web-search", "--api", "responses", "--max-cost", "5", "News?", server=server)
        assert server.requests == []
    assert done.exit_code == 2
    assert "the price of a web search is unknown here" in done.stderr


def test_where_nobody_knows_how_nothing_is_sent(program):
    with serving_in_thread() as server:
        done = program.run("--web-search", "News?", server=server)
        assert [each for each in server.requests if each.method == "POST"] == []
    assert done.exit_code == 2
    assert "has no web search\n→ if its documentation names a form, set web_search to" in done.stderr


def test_a_refused_search_is_an_error_and_the_next_run_sends_nothing(program):
    words = "Hosted tool 'web_search' is not supported with small."
    with serving_in_thread(json_answer({"error": {"message": words}}, status=400)) as server:
        first, second = (
            program.run("--web-search", "--api", "responses", "News?", server=server) for _ in range(2)
        )
        posts = [each for each in server.requests if each.method == "POST"]
    assert (first.exit_code, second.exit_code, len(posts)) == (2, 2, 1)
    for done in (first, second):
        assert "does not take web search\n→ leave out --web-search" in done.stderr


def test_answers_of_a_search_are_not_cached(program):
    with serving_in_thread(openrouter(), openrouter()) as server:
        for _ in range(2):
            program.run("--web-search", "--cache", "News?", server=server, CHATCLI_WEB_SEARCH="plugin")
        assert len([each for each in server.requests if each.method == "POST"]) == 2


def test_rows_of_a_batch_have_their_sources(program):
    (program.working_folder / "rows.jsonl").write_text('{"prompt": "News?"}\n')
    with serving_in_thread(openrouter()) as server:
        arguments = ("batch", "rows.jsonl", "--out", "out.jsonl", "--web-search")
        done = program.run(*arguments, server=server, CHATCLI_WEB_SEARCH="plugin")
    assert done.exit_code == 0
    (row,) = records_of(program.working_folder / "out.jsonl")
    assert row["sources"] == [{"n": 1, "title": NEWS[1], "url": NEWS[0]}]


def test_a_batch_is_refused_at_once_where_nobody_knows_how(program):
    (program.working_folder / "rows.jsonl").write_text('{"prompt": "News?"}\n' * 2)
    with serving_in_thread() as server:
        done = program.run("batch", "rows.jsonl", "--out", "out.jsonl", "--web-search", server=server)
        assert [each for each in server.requests if each.method == "POST"] == []
    assert done.exit_code == 2
    assert "has no web search\n→ if its documentation names a form, set web_search to" in done.stderr
    assert not (program.working_folder / "out.jsonl").exists()


def test_a_batch_is_refused_at_once_where_a_search_was_refused_before(program):
    words = "Hosted tool 'web_search' is not supported with small."
    (program.working_folder / "rows.jsonl").write_text('{"prompt": "News?"}\n' * 2)
    search = ("--web-search", "--api", "responses")
    with serving_in_thread(json_answer({"error": {"message": words}}, status=400)) as server:
        program.run(*search, "News?", server=server)
        asked = len(server.requests)
        done = program.run("batch", "rows.jsonl", "--out", "out.jsonl", *search, server=server)
        assert len(server.requests) == asked
    assert done.exit_code == 2
    assert "does not take web search\n→ leave out --web-search" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
@pytest.mark.parametrize("columns", [40, 80])
def test_the_sources_of_a_conversation_are_links_whatever_they_are_called(terminal, columns):
    url = "https://news.example/" + "long/" * 12
    cited = [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example/", "title": "\x1b]0;gone\x07東京の天気" * 9},
        },
        {"type": "url_citation", "url_citation": {"url": url, "title": "[3] Bank · https://bank.example"}},
        {"type": "url_citation", "url_citation": {"url": "javascript:alert(1)", "title": "no address"}},
        {"type": "url_citation", "url_citation": {"url": url, "title": "again"}},
    ]
    answer = stream(chunk({"content": "News.", "annotations": cited}, "stop"))
    environment = {"CHATCLI_WEB_SEARCH": "plugin", "TERM": "xterm-256color"}
    with (
        serving_in_thread(answer) as server,
        terminal(server=server, columns=columns, **environment) as screen,
    ):
        screen.wait_for("\n>")
        screen.type("/web off\r")
        screen.wait_for("web search: off")
        screen.type("/web on\r")
        screen.wait_for("web search: on")
        screen.type("News?\r")
        screen.wait_for("[2] [3] Bank")
        screen.settle()
        shown = screen.shown
        assert server.requests[-1].json["plugins"] == [{"id": "web"}]
    assert "no address" not in shown
    assert "again" not in shown
    links = re.findall(rb"\x1b\]8;;([^\x1b]+)\x1b\\", screen.received)
    assert links == [b"https://a.example/", url.encode()]
    assert b"\x1b]0;gone" not in screen.received
    assert all(width(row) <= columns for row in shown.split("\n"))


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
def test_a_resumed_conversation_shows_its_sources(program, terminal):
    with serving_in_thread(openrouter()) as server:
        program.run("--web-search", "-s", "news", "News?", server=server, CHATCLI_WEB_SEARCH="plugin")
        with terminal("-s", "news", server=server, TERM="xterm-256color") as screen:
            screen.wait_for(f"sources:\n[1] {NEWS[1]} · {NEWS[0]}")
            screen.wait_until_received(f"\x1b]8;;{NEWS[0]}\x1b\\")
