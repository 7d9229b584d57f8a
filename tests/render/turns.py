"""The events of whole turns: an answer, a failure, a stop."""

from __future__ import annotations

from chatcli.core.errors import RateLimited
from chatcli.core.events import (
    ContextFitted,
    Notice,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
    TurnStarted,
    Usage,
    Waiting,
)

HOSTILE = "日本 \x1b[31m \x9b \u202e \ud83d \U000e0041 👍"

FINISHED = [
    TurnStarted("smollm2", "greetings"),
    ContextFitted(980, 1008, 12),
    Waiting(1.00049, "first answer"),
    Retrying(2, 7.12345, "429 from host"),
    Notice("empty_answer", "the model sent an empty answer"),
    ReasoningDelta("Let me think."),
    TextDelta("Hello, "),
    TextDelta(HOSTILE),
    TurnFinished(
        TurnResult(
            "Hello, " + HOSTILE,
            "smollm2",
            "stop",
            Usage(1234, 345, 12, 5),
            0.00123,
            2.34567,
            0.41234,
            "greetings",
            attempts=2,
        )
    ),
]
FAILED = [
    TurnStarted("smollm2"),
    TextDelta("Hel"),
    TurnFailed(
        TurnResult(
            "Hel",
            "smollm2",
            latency_s=1.0,
            attempts=3,
            error=RateLimited("host is busy", hint="try again in a minute", status=429, request_id="req_1"),
        )
    ),
]
CANCELLED = [
    TurnStarted("smollm2", "greetings"),
    ContextFitted(8, 1008, 0, estimated=True),
    TextDelta("Hel"),
    TurnCancelled(
        TurnResult("Hel", "smollm2", usage=Usage(8, 1, estimated=True), latency_s=0.5, session="greetings")
    ),
]
TURNS = {"finished": FINISHED, "failed": FAILED, "cancelled": CANCELLED}


async def show(renderer, events):
    for event in events:
        await renderer(event)
