"""The layers around a model, and their order."""

from __future__ import annotations

import asyncio

import pytest

from chatcli.client.cache_access import AnswerCache, Caching
from chatcli.client.endpoint import Endpoint
from chatcli.client.metered_model import MeteredModel
from chatcli.client.pipeline import LAYERS, ModelOptions, build_model
from chatcli.client.pool import Pool
from chatcli.client.rate_limit import OwnLimits
from chatcli.client.retry import Fallback
from chatcli.conversation.counting import EstimatingCounter
from chatcli.storage.answer_store import MemoryAnswers, StoreLimits
from chatcli.text.frames import Frames


class Budgeted:
    """A layer passed in by the caller."""

    def __init__(self, inner):
        self._inner = inner


EVERYTHING = {
    "retries": 2,
    "separates_reasoning": True,
    "budget": Budgeted,
    "fallbacks": (Fallback("other", open),),
    "auto_continue": 1,
    "abilities": lambda _: None,
    "marks_prompts": True,
    "caching": Caching(AnswerCache(lambda: MemoryAnswers(StoreLimits(60, 1_000))), None),
}
NOTHING = {"retries": 0, "separates_reasoning": False}
ALL = [
    "AnswerCacheModel",
    "StructuredOutputModel",
    "ContinuationModel",
    "FallbackModel",
    "RecordedModel",
    "OthersTextModel",
    "ReasoningSeparatingModel",
    "RetryingModel",
    "PromptCachingModel",
    "Budgeted",
    "UsageCalibrationModel",
    "UnsupportedParametersModel",
]


@pytest.fixture
def layers(tmp_path):
    """Return a function that names the layers for given options, from the outside in."""
    entry = Pool().entry(Endpoint("https://models.example/v1"), {})

    def of(**options):
        model = build_model(
            entry,
            ModelOptions(
                **{
                    "api": "chat",
                    "streamed": True,
                    "facts": entry.facts(tmp_path, is_kept=False),
                    "counter": EstimatingCounter(),
                    "sleep": asyncio.sleep,
                    "own_limits": OwnLimits(),
                    "retry_budget_s": 60.0,
                    "frames": Frames(lambda: b"secret"),
                    **options,
                }
            ),
        )
        names = []
        while not isinstance(model, MeteredModel):
            names.append(type(model).__name__)
            model = model._first if hasattr(model, "_first") else model._inner
        return names

    return of


def test_they_stand_in_the_order_of_the_table(layers):
    assert layers(**EVERYTHING) == ALL
    assert len({layer.name for layer in LAYERS}) == len(LAYERS) == len(ALL)


def test_one_that_does_not_apply_is_not_there(layers):
    always = ["RecordedModel", "OthersTextModel", "UsageCalibrationModel", "UnsupportedParametersModel"]
    assert layers(**NOTHING) == always
    for name, value in EVERYTHING.items():
        assert len(layers(**{**NOTHING, name: value})) == len(always) + 1


def test_the_rest_of_an_answer_can_be_asked_for_also_where_none_is_asked_for_by_itself(layers):
    assert layers(**NOTHING, auto_continue=0)[0] == "ContinuationModel"
