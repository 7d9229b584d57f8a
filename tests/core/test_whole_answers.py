"""A layer emits for a whole answer what it yields in a stream."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import (
    Facts,
    LearnedCounts,
    UnsupportedParametersModel,
    UsageCalibrationModel,
)
from chatcli.client.pipeline import OthersTextModel
from chatcli.client.reasoning_separation import ReasoningSeparatingModel
from chatcli.client.retry import RetryingModel
from chatcli.core.errors import ChatcliError, IncompleteAnswer, RateLimited, RequestRefused
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import answer, question
from chatcli.core.request import Parameters, Request, ResponseFormat
from chatcli.core.whole_answers import asker
from chatcli.cost.budget import Account, Budget, Spending
from chatcli.cost.budgeted_model import BudgetedModel
from chatcli.cost.charge import Cashier
from chatcli.cost.ledger import Ledger
from chatcli.cost.pricing import Pricing
from chatcli.text.frames import Frames
from client.scripted_model import ScriptedModel

PRICES = {"m": {"input": 1, "output": 2}}
TEXTS = st.sampled_from(
    [
        "Paris",
        " ",
        "\n",
        "<think>",
        "</think>",
        "a < b",
        "<",
        "<|channel|>final<|message|>",
        "x" * 300,
        "日本語",
    ]
)
USAGES = st.none() | st.builds(
    Usage,
    st.none() | st.sampled_from([0, 3, 40, 90_000, 10**9]),
    st.none() | st.sampled_from([0, 1, 60, 10**9]),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(0, 90),
)
COMPLETIONS = st.builds(
    lambda reason, usage, cost, text: Completion(reason, "m-1", usage, cost, message=answer(text)),
    st.sampled_from(["stop", "length"]),
    USAGES,
    st.sampled_from([None, 0.0, 0.1, 900.0]),
    TEXTS,
)
FAILURES = st.sampled_from(
    [
        RateLimited("too fast", retry_after_s=0.5),
        IncompleteAnswer("cut", hint="again"),
        RequestRefused("Unsupported parameter: temperature", hint="no", status=400, parameter="temperature"),
    ]
)
EVENTS = st.one_of(
    TEXTS.map(TextDelta),
    st.just(ReasoningDelta("hm")),
    st.just(Notice("parameter_dropped", "x")),
    COMPLETIONS,
)
SCRIPTS = st.lists(
    st.tuples(st.lists(EVENTS, max_size=4), st.none() | FAILURES).map(lambda both: [*both[0], *filter(None, both[1:])]),
    min_size=8,
    max_size=8,
)  # fmt: skip
STYLES = st.sampled_from([None, "opened", "unopened", "native"])


class Slept:
    def __init__(self):
        self.waits_s = []

    async def __call__(self, time_s):
        self.waits_s.append(time_s)


def layered(scripts, style, limits, folder):
    """Return a model with every layer that asks for whole answers itself, its spending and what is innermost."""
    model = inner = ScriptedModel(*scripts)
    endpoint, styles, spending = Endpoint("https://models.example/v1"), Facts(), Spending()
    if style is not None:
        styles.remember("m", style)
    model = UnsupportedParametersModel(model, Facts())
    model = UsageCalibrationModel(model, endpoint, LearnedCounts(), Facts())
    pricing = Pricing("models.example", is_free=False, own=PRICES)
    ledger = Ledger(folder / "spending.jsonl", is_private=True)
    spending.expenses_at_once = 10**9
    cashier = Cashier(pricing, Budget(limits, Account(spending), ledger))
    model = BudgetedModel(model, cashier, count=lambda text: len(text) // 3, counter_of=lambda _: len)
    model = RetryingModel(model, retries=2, budget_s=60, sleep=Slept())
    model = ReasoningSeparatingModel(model, styles)
    return OthersTextModel(model, Frames(lambda: b"secret"), None), spending, inner


async def played(ask, request):
    events, failure = [], None
    try:
        await ask(request, events.append)
    except ChatcliError as error:
        failure = type(error), error.message, error.hint
    return [(event, getattr(event, "message", None)) for event in events], failure


async def streamed(model, request):
    class Bare:
        stream = model.stream

    return await played(asker(Bare()), request)


@given(
    scripts=SCRIPTS,
    style=STYLES,
    limits=st.sampled_from([{}, {"run": Decimal(1)}]),
    documents=st.sampled_from([(), ("a document",)]),
    most=st.sampled_from([None, 20]),
    counted=st.sampled_from([None, 300]),
    form=st.sampled_from([None, ResponseFormat("city", {"type": "object"})]),
)
async def test_every_layer_emits_what_it_yields(
    tmp_path_factory, *, scripts, style, limits, documents, most, counted, form
):
    request = Request(
        "m",
        (question("What is the capital?", *documents),),
        Parameters(max_tokens=most, temperature=0.5),
        counted_tokens=counted,
        response_format=form,
    )
    model, spending, inner = layered(scripts, style, limits, tmp_path_factory.getbasetemp())
    again, its_spending, its_inner = layered(scripts, style, limits, tmp_path_factory.getbasetemp())
    assert await played(asker(model), request) == await streamed(again, request)
    assert spending.run_usd == its_spending.run_usd
    assert inner.requests == its_inner.requests
    assert not spending.reserved


async def test_a_model_without_ask_is_read_as_a_stream():
    model = ScriptedModel([TextDelta("Paris"), Completion("stop")])
    events, failure = await played(asker(model), Request("m", (question("?"),)))
    assert [event for event, _ in events] == [TextDelta("Paris"), Completion("stop")]
    assert failure is None
    assert model.open == 0
