"""The provider's batch API: sent in parts, waited for, and each row gets its one result."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from batch_provider import BatchProvider, answered, expired, refused
from chatcli.batching.batch_run import BatchProgress
from chatcli.batching.provider_batch import ProviderRun, ProviderTerms, ResultTaker
from chatcli.batching.result_file import ResultFile
from chatcli.batching.results import BatchResult
from chatcli.batching.row_requests import BatchRow
from chatcli.batching.sent_parts import SentPart, SentParts
from chatcli.client.batch_api import BatchApi
from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.endpoint import Endpoint
from chatcli.client.openai_model import OpenAIModel
from chatcli.core.errors import (
    BadResponse,
    BudgetReached,
    EndpointError,
    LocalIOError,
    RequestRefused,
    UsageError,
)
from chatcli.core.messages import question
from chatcli.core.request import Request
from client.wire import entry_at
from scripted_server import RESET, Answer, json_answer, serving


class Interrupted(BaseException):
    """Stands for the end of the process."""


def rows(count):
    return [
        BatchRow(number, f"r{number}", number + 1, Request("small", (question(f"Say {number}"),)))
        for number in range(count)
    ]


class Terms:
    def __init__(self, most=10**6):
        self.most = most
        self.booked = []

    async def admit(self, _):
        self.most -= 1
        if self.most < 0:
            raise BudgetReached("budget reached", hint="raise it")

    def book(self, model, usage):
        self.booked.append((model, usage.input_tokens))
        return 0.25


@asynccontextmanager
async def api_at(server):
    endpoint = Endpoint(server.base_url, key="secret", loopback=True)
    dialect = ChatCompletions()
    async with entry_at(endpoint) as entry:
        yield BatchApi(
            entry,
            dialect.path,
            lambda request: dialect.body(request, streamed=False, endpoint=endpoint),
            OpenAIModel(endpoint, dialect, streamed=False),
        )


async def finished(
    provider, path, source, *, terms=None, sleep=None, resumes=False, retries_failed=False, **limits
):
    """Run to the end, and return the results on disk and the pauses."""
    pauses = []

    async def wait(time_s):
        pauses.append(time_s)

    terms = terms or Terms()
    async with serving(choose=provider.choose) as server, api_at(server) as api:
        output = ResultFile(path)
        output.open(resumes=resumes, retries_failed=retries_failed)
        try:
            await ProviderRun(
                api,
                lambda: iter(source),
                output,
                # The port is another one with each server of a test.
                SentParts.beside(path, "here"),
                progress=BatchProgress(),
                terms=ProviderTerms(terms.admit, terms.book),
                retries_failed=retries_failed,
                sleep=sleep or wait,
                **limits,
            ).run()
        finally:
            output.finish(in_order=True)
            output.close()
    return results(path), pauses


def results(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_rows_go_up_and_answers_come_down(tmp_path):
    provider, terms = BatchProvider(("validating", "in_progress", "finalizing", "completed")), Terms()
    found, pauses = await finished(provider, tmp_path / "out.jsonl", rows(3), terms=terms)
    assert [(row["id"], row["text"], row["error"]) for row in found] == [
        (f"r{number}", f"<Say {number}>", None) for number in range(3)
    ]
    assert (found[0]["cost_usd"], found[0]["model"], found[0]["usage"]["output_tokens"]) == (0.25, "small", 2)
    assert terms.booked == [("small", 5)] * 3
    assert len(pauses) == 3
    assert pauses == sorted(pauses)
    (line, *_), batch = provider.uploads[0], provider.batches[0]
    assert (line["method"], line["url"], "stream" in line["body"]) == ("POST", "/v1/chat/completions", False)
    assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("limits", [{"most_rows": 3}, {"most_bytes": 500}])
async def test_many_rows_are_sent_in_several_parts(tmp_path, limits):
    provider = BatchProvider(("in_progress", "completed"))
    found, _ = await finished(provider, tmp_path / "out.jsonl", rows(8), **limits)
    assert [len(upload) for upload in provider.uploads] == [3, 3, 2]
    assert [row["text"] for row in found] == [f"<Say {number}>" for number in range(8)]


async def test_results_are_handed_over_part_by_part(tmp_path):
    taken, waits = [], []

    async def room():
        waits.append(len(taken))

    broken = BatchRow(5, None, 6, error=UsageError("line 6 is not JSON", hint="mend it"))
    taker = ResultTaker(taken.extend, room)
    await finished(BatchProvider(), tmp_path / "out.jsonl", [*rows(5), broken], most_rows=3, taker=taker)
    assert sorted(result.index for result in taken) == list(range(6))
    assert waits == [4, 6]


async def test_refused_rows_are_errors_with_their_status(tmp_path):
    def outcome(line):
        return refused(line) if "1" in line["body"]["messages"][0]["content"] else answered(line)

    found, _ = await finished(BatchProvider(outcome=outcome), tmp_path / "out.jsonl", rows(3))
    assert [row["error"] and row["error"]["status"] for row in found] == [None, 400, None]
    assert (found[1]["error"]["code"], found[1]["error"]["request_id"]) == ("request_refused", "q")


async def test_an_expired_batch_keeps_what_was_answered(tmp_path):
    def outcome(line):
        number = line["custom_id"].partition("-")[0]
        return {"0": answered(line), "1": expired(line)}.get(number)

    found, _ = await finished(BatchProvider(("expired",), outcome), tmp_path / "out.jsonl", rows(3))
    assert [row["error"] and row["error"]["code"] for row in found] == [
        None,
        "batch_expired",
        "batch_expired",
    ]
    assert "has no result of this row" in found[2]["error"]["message"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_batch_that_fails_as_a_whole_says_why_in_every_row(tmp_path, status):
    provider = BatchProvider((status,), problem="the model does not exist")
    found, _ = await finished(provider, tmp_path / "out.jsonl", rows(2))
    assert [row["error"]["message"] for row in found] == ["the model does not exist"] * 2
    assert {row["error"]["code"] for row in found} == {f"batch_{status}"}


async def test_a_row_that_cannot_be_sent_is_not_sent(tmp_path):
    source = [*rows(1), BatchRow(1, None, 2, error=UsageError("line 2 is not JSON", hint="mend it"))]
    provider = BatchProvider()
    found, _ = await finished(provider, tmp_path / "out.jsonl", source)
    assert [row["error"] and row["error"]["message"] for row in found] == [None, "line 2 is not JSON"]
    assert len(provider.uploads[0]) == 1


async def test_a_run_that_ends_while_it_waits_goes_on_where_it_was(tmp_path):
    path, provider = tmp_path / "out.jsonl", BatchProvider(("in_progress",) * 2 + ("completed",))
    with pytest.raises(Interrupted):
        await finished(provider, path, rows(5), sleep=leave, most_rows=3)
    found, _ = await finished(provider, path, rows(5), resumes=True)
    assert len(provider.uploads) == 2
    assert [row["text"] for row in found] == [f"<Say {number}>" for number in range(5)]
    assert not (tmp_path / "out.jsonl.batch.json").exists()


async def test_rows_added_while_the_provider_works_are_sent_too(tmp_path):
    path, provider = tmp_path / "out.jsonl", BatchProvider(("in_progress",) * 2 + ("completed",))
    with pytest.raises(Interrupted):
        await finished(provider, path, rows(3), sleep=leave, most_rows=2)
    found, _ = await finished(provider, path, rows(5), resumes=True)
    assert [len(upload) for upload in provider.uploads] == [2, 1, 2]
    assert [row["text"] for row in found] == [f"<Say {number}>" for number in range(5)]


async def test_rows_that_failed_are_asked_again_beside_those_the_provider_works_on(tmp_path):
    class HalfDone(BatchProvider):
        def _state(self, number):
            self.statuses = ("in_progress",) if number == 1 and not repaired else ("completed",)
            return super()._state(number)

    repaired = []
    provider = HalfDone(outcome=lambda line: answered(line) if repaired else refused(line))
    path = tmp_path / "out.jsonl"
    bad = BatchRow(6, None, 6, error=UsageError("line 7 is not JSON"))
    with pytest.raises(Interrupted):
        await finished(provider, path, [*rows(6), bad], sleep=leave, most_rows=3)
    assert [bool(row["error"]) for row in results(path)] == [True] * 4
    repaired.append(True)
    found, _ = await finished(provider, path, [*rows(6), bad], resumes=True, retries_failed=True)
    assert [row["text"] for row in found] == [*(f"<Say {number}>" for number in range(6)), ""]
    assert [[line["custom_id"][0] for line in upload] for upload in provider.uploads] == [
        ["0", "1", "2"],
        ["3", "4", "5"],
        ["0", "1", "2"],
    ]


async def test_results_of_another_input_are_not_taken_and_not_lost(tmp_path):
    path, provider = tmp_path / "out.jsonl", BatchProvider(("in_progress", "completed"))
    with pytest.raises(Interrupted):
        await finished(provider, path, rows(2), sleep=leave)
    first, second = rows(2)
    changed = replace(second, digest=second.digest + 1)
    for others in ([first, changed], [first], [second, first]):
        with pytest.raises(UsageError, match="works on other rows: rows 0 to 1 changed"):
            await finished(provider, path, others, resumes=True)
    noted = json.loads(sent_of(path).read_text())
    del noted["parts"][0]["digest"]  # as earlier versions noted it
    sent_of(path).write_text(json.dumps(noted))
    with pytest.raises(UsageError, match="row 1 is another one"):
        await finished(provider, path, [first, changed], resumes=True)
    found, _ = await finished(provider, path, [first, second], resumes=True)
    assert [row["text"] for row in found] == ["<Say 0>", "<Say 1>"]
    assert len(provider.batches) == 1


async def test_a_reached_budget_keeps_what_was_sent_before(tmp_path):
    path, provider = tmp_path / "out.jsonl", BatchProvider()
    with pytest.raises(BudgetReached):
        await finished(provider, path, rows(5), terms=Terms(most=3), most_rows=2)
    assert len(provider.uploads) == 1
    found, _ = await finished(provider, path, rows(5), resumes=True, most_rows=2)
    assert [len(upload) for upload in provider.uploads] == [2, 2, 1]
    assert [row["index"] for row in found] == list(range(5))


async def test_what_was_sent_is_noted_beside_the_results_wherever_they_are(tmp_path):
    path, provider = (
        tmp_path / "out.jsonl",
        BatchProvider(("in_progress", "in_progress", "completed", "in_progress")),
    )

    async def replaced(_):
        if provider.asked > 2:
            raise Interrupted
        path.rename(tmp_path / "moved.jsonl")
        path.write_text("another file\n")

    with pytest.raises(Interrupted):
        await finished(provider, path, rows(4), sleep=replaced, most_rows=2)
    (beside,) = tmp_path.glob("out.*.jsonl")
    assert [part["id"] for part in json.loads(sent_of(beside).read_text())["parts"]] == ["batch-1"]
    assert not sent_of(path).exists()


async def test_a_provider_that_is_away_for_a_while_is_asked_again(tmp_path):
    provider, states = BatchProvider(), []

    class Shaky(BatchProvider):
        def choose(self, request):
            if "/batches/" in request.path:
                states.append(request)
                if len(states) < 3:
                    return json_answer({"error": {"message": "busy"}}, status=503)
            return provider.choose(request)

    found, pauses = await finished(Shaky(), tmp_path / "out.jsonl", rows(1))
    assert (len(found), len(pauses)) == (1, 2)


async def leave(_):
    raise Interrupted


@pytest.fixture
async def left(tmp_path):
    """Return the path of results, and the provider that works on four batches of it: the id of the third was not noted."""
    path, provider = tmp_path / "out.jsonl", BatchProvider(("in_progress",) * 4 + ("completed",))
    with pytest.raises(Interrupted):
        await finished(provider, path, rows(7), sleep=leave, most_rows=2)
    noted = json.loads(sent_of(path).read_text())
    noted["parts"] = noted["parts"][:3]
    noted["parts"][2]["id"] = ""
    sent_of(path).write_text(json.dumps(noted))
    return path, provider


def sent_of(path):
    return path.with_name(path.name + ".batch.json")


async def test_a_batch_whose_id_was_not_noted_is_found_by_its_file(left):
    path, provider = left
    found, _ = await finished(provider, path, rows(7), resumes=True, most_rows=2)
    assert [row["text"] for row in found] == [f"<Say {number}>" for number in range(7)]
    # The fourth part had not been noted at all.
    assert len(provider.uploads) == len(provider.batches) == 5


async def test_a_batch_that_was_not_begun_is_begun_of_the_file_that_is_there(left):
    path, provider = left
    provider.batches[2]["input_file_id"] = "file-of-others"
    found, _ = await finished(provider, path, rows(7), resumes=True, most_rows=2)
    assert [row["text"] for row in found] == [f"<Say {number}>" for number in range(7)]
    assert [batch["input_file_id"] for batch in provider.batches[4:]] == ["file-2", "file-4"]


async def test_where_batches_are_not_listed_nothing_is_sent_twice(left):
    path, provider = left
    noted = sent_of(path).read_bytes()

    class Unlisted(BatchProvider):
        def choose(self, request):
            if request.method == "GET" and request.path.partition("?")[0].endswith("/batches"):
                return json_answer({"error": {"message": "no such path"}}, status=404)
            return provider.choose(request)

    with pytest.raises(RequestRefused, match="whether rows 4 to 5 were sent") as caught:
        await finished(Unlisted(), path, rows(7), resumes=True, most_rows=2)
    assert "file-2" in caught.value.hint
    assert sent_of(path).read_bytes() == noted
    assert len(provider.uploads) == 4


async def test_a_batch_that_is_refused_was_not_sent(tmp_path):
    class Refusing(BatchProvider):
        def choose(self, request):
            if request.method == "POST" and request.path.endswith("/batches"):
                return json_answer({"error": {"message": "no such model"}}, status=400)
            return super().choose(request)

    path = tmp_path / "out.jsonl"
    with pytest.raises(RequestRefused, match="no such model"):
        await finished(Refusing(), path, rows(2))
    assert json.loads(sent_of(path).read_text())["parts"] == []


class Forgetful(BatchProvider):
    """It does not know what is ``forgotten`` of its first batch, the first ``times`` that it is asked."""

    def __init__(self, forgotten, times=10**6, **options):
        super().__init__(**options)
        self.forgotten, self.times = forgotten, times

    def choose(self, request):
        if self.forgotten in request.path and "-0" in request.path and self.times > 0:
            self.times -= 1
            return json_answer({"error": {"message": "not found"}}, status=404)
        return super().choose(request)


async def test_rows_whose_results_the_provider_has_no_more_are_errors(tmp_path):
    found, _ = await finished(Forgetful("/content"), tmp_path / "out.jsonl", rows(4), most_rows=2)
    assert [row["text"] for row in found] == ["", "", "<Say 2>", "<Say 3>"]
    for row in found[:2]:
        assert "batch-0 any more" in row["error"]["message"]
        assert row["error"]["hint"] == "--retry-failed asks again"
    assert not sent_of(tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("forgotten", ["/batches/", "/content"])
async def test_what_the_provider_does_not_know_for_a_moment_is_asked_for_again(tmp_path, forgotten):
    found, _ = await finished(Forgetful(forgotten, times=2), tmp_path / "out.jsonl", rows(2))
    assert [row["text"] for row in found] == ["<Say 0>", "<Say 1>"]


async def test_a_batch_that_another_key_may_know_is_given_up_only_by_the_person(tmp_path):
    path, provider = tmp_path / "out.jsonl", Forgetful("/batches/", times=8)
    with pytest.raises(RequestRefused, match="batch-0, of rows 0 to 1") as caught:
        await finished(provider, path, rows(2))
    assert "the key and the project" in caught.value.hint
    assert json.loads(sent_of(path).read_text())["parts"]
    found, _ = await finished(provider, path, rows(2), resumes=True, retries_failed=True)
    assert [row["text"] for row in found] == ["<Say 0>", "<Say 1>"]
    assert len(provider.batches) == 2


async def test_results_that_the_provider_counts_are_waited_for(tmp_path):
    class Late(BatchProvider):
        """Its batches are over before their files are there; a connection to the first ones breaks unnoticed."""

        def choose(self, request):
            answer = super().choose(request)
            if "/batches/" in request.path and self.asked < 3:
                state = json.loads(b"".join(answer.script))
                return json_answer({**state, "output_file_id": None})
            if "out-0" in request.path and self.asked < 5:
                return Answer([b"".join(answer.script)[:-9]], 200, answer.headers)
            return answer

    provider, terms = Late(), Terms()
    found, pauses = await finished(provider, tmp_path / "out.jsonl", rows(3), terms=terms)
    assert [row["text"] for row in found] == ["<Say 0>", "<Say 1>", "<Say 2>"]
    assert (len(pauses), len(terms.booked), len(provider.batches)) == (4, 3, 1)


async def test_failures_do_not_make_up_for_answers_that_are_missing(tmp_path):
    class Cut(BatchProvider):
        """A connection breaks unnoticed, once, before the answers that are written last."""

        def choose(self, request):
            answer = super().choose(request)
            if "out-0" in request.path and self.asked == 1:
                return Answer([b"".join(answer.script).splitlines(keepends=True)[0]], 200, answer.headers)
            return answer

    def outcome(line):
        return refused(line) if line["custom_id"][0] in "12" else answered(line)

    found, _ = await finished(Cut(outcome=outcome), tmp_path / "out.jsonl", rows(4))
    assert [row["text"] for row in found] == ["<Say 0>", "", "", "<Say 3>"]


async def test_results_that_are_counted_and_never_come_are_errors(tmp_path):
    class Short(BatchProvider):
        def choose(self, request):
            answer = super().choose(request)
            return Answer([], 200, answer.headers) if "out-0" in request.path else answer

    found, _ = await finished(Short(), tmp_path / "out.jsonl", rows(1))
    assert found[0]["error"]["code"] == "batch_completed"


async def test_a_row_between_those_the_provider_works_on_is_asked_again_if_it_failed(tmp_path):
    path, provider = tmp_path / "out.jsonl", BatchProvider(("in_progress", "completed"))
    output = ResultFile(path)
    output.open()
    failed = EndpointError("no", hint="again")
    output.append([BatchResult("r1", 1, "yes", digest=2), BatchResult("r2", 2, error=failed, digest=3)])
    output.close()
    with pytest.raises(Interrupted):
        await finished(provider, path, rows(4), sleep=leave, resumes=True)
    found, _ = await finished(provider, path, rows(4), resumes=True, retries_failed=True)
    assert [row["text"] for row in found] == ["<Say 0>", "yes", "<Say 2>", "<Say 3>"]
    assert [[line["custom_id"][0] for line in upload] for upload in provider.uploads] == [["0", "3"], ["2"]]


async def test_failed_rows_stay_if_the_input_is_another_one(tmp_path):
    path, provider = tmp_path / "out.jsonl", BatchProvider(outcome=refused)
    await finished(provider, path, rows(1))
    provider.statuses = ("in_progress",)
    with pytest.raises(Interrupted):
        await finished(provider, path, rows(2), sleep=leave, resumes=True)
    with pytest.raises(UsageError, match="row 1 changed"):
        await finished(provider, path, rows(1), resumes=True, retries_failed=True)
    assert [row["error"]["status"] for row in results(path)] == [400]


async def test_a_status_nobody_knows_is_mentioned_and_not_waited_for_without_end(tmp_path):
    path, provider = tmp_path / "out.jsonl", BatchProvider(("queued",))
    with pytest.raises(BadResponse, match="batch-0 is queued"):
        await finished(provider, path, rows(1))
    assert provider.asked < 50
    found, pauses = await finished(
        BatchProvider(("queued",) * 15 + ("in_progress",) + ("queued",) * 15 + ("completed",)),
        tmp_path / "other.jsonl",
        rows(1),
    )
    assert (found[0]["text"], len(pauses)) == ("<Say 0>", 31)


async def test_results_that_break_off_are_fetched_again_and_each_counts_once(tmp_path):
    broken, terms = [], Terms()

    class Breaking(BatchProvider):
        def choose(self, request):
            answer = super().choose(request)
            if request.path.endswith("out-0/content") and not broken:
                broken.append(request)
                whole = b"".join(answer.script)
                return Answer([whole[: whole.index(b"\n") + 5], RESET], 200, answer.headers)
            return answer

    found, pauses = await finished(Breaking(), tmp_path / "out.jsonl", rows(3), terms=terms)
    assert [row["text"] for row in found] == [f"<Say {number}>" for number in range(3)]
    assert (len(terms.booked), len(pauses)) == (3, 1)


def test_what_earlier_versions_noted_is_still_read(tmp_path):
    path = tmp_path / "out.jsonl"
    parts = [{"id": "batch-0", "first": 0, "last": 9}]
    sent_of(path).write_text(json.dumps({"endpoint": "here", "is_whole": True, "parts": parts}))
    assert SentParts.beside(path, "here").is_at_work


@pytest.mark.parametrize(
    "parts", ["[" * 100_000, '{"parts": [{"id": 5, "first": "a", "last": 1}], "endpoint": "here"}']
)
def test_a_damaged_note_of_what_was_sent_is_named(tmp_path, parts):
    path = tmp_path / "out.jsonl"
    sent_of(path).write_text(parts)
    with pytest.raises(LocalIOError, match="cannot read"):
        SentParts.beside(path, "here")


async def test_an_endpoint_without_batches_is_asked_about_that(tmp_path):
    class Without(BatchProvider):
        def choose(self, _):
            return json_answer({"error": {"message": "not found"}}, status=404)

    with pytest.raises(RequestRefused, match="not found") as caught:
        await finished(Without(), tmp_path / "out.jsonl", rows(1))
    assert caught.value.hint == "does this endpoint have a batch API?"


def test_batches_of_another_endpoint_or_api_are_not_asked_for_here(tmp_path):
    sent = SentParts.beside(tmp_path / "out.jsonl", "http://one/v1", "responses")
    sent.save()
    SentParts.beside(tmp_path / "out.jsonl", "http://two/v1")  # there is nothing to ask for
    sent.parts = [SentPart("batch-0", 0, 1)]
    sent.save()
    with pytest.raises(LocalIOError, match="http://one/v1"):
        SentParts.beside(tmp_path / "out.jsonl", "http://two/v1", "responses")
    with pytest.raises(LocalIOError, match="another API") as caught:
        SentParts.beside(tmp_path / "out.jsonl", "http://one/v1")
    assert caught.value.hint == "--api responses takes their results"
    SentParts.beside(tmp_path / "out.jsonl", "http://two/v1", starts_over=True)
    assert not sent.path.exists()
