"""The embedded model after a long history: time to the first token, with and without reading it ahead."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.client.endpoint import Endpoint
from chatcli.client.metered_model import MeteredModel
from chatcli.client.openai_model import OpenAIModel
from chatcli.client.pipeline import dialect_for
from chatcli.client.pool import Pool
from chatcli.conversation.counting import EstimatingCounter
from chatcli.core import messages
from chatcli.core.events import TextDelta
from chatcli.core.request import Parameters, Request
from chatcli.local.engine import engine_state
from chatcli.local.server import LocalServer
from chatcli.local.weights import SMOLLM2, status

if TYPE_CHECKING:
    from chatcli.core.messages import Message

WEIGHTS: Final = Path(__file__).resolve().parent.parent / ".local-model"
TURNS, WORDS = 10, 140  # about 3,000 tokens
_WORDS: Final = (
    "river",
    "city",
    "the",
    "answer",
    "of",
    "paper",
    "light",
    "green",
    "because",
    "window",
    "and",
)


def prefill() -> None:
    """Ask the embedded model once for each way, each time of a server that has read nothing yet."""
    if not status(WEIGHTS).ready or not engine_state().installed:
        print("  the embedded model is not measured: it is not set up (scripts/test does so)")
        return
    cold_s, tokens = asyncio.run(_first_token_s(reads_ahead=False))
    ahead_s, _ = asyncio.run(_first_token_s(reads_ahead=True))
    print(
        f"ttft: embedded model, {tokens:,} tokens before the question: first token after {cold_s:.2f} s, "
        f"{ahead_s:.2f} s if they were read ahead, 1/{cold_s / ahead_s:.0f}"
    )


async def _first_token_s(*, reads_ahead: bool) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        server = LocalServer(
            WEIGHTS, log_folder=Path(folder), executable=sys.executable, environment=dict(os.environ)
        )
        async with server, Pool() as pool:
            local = await server.start()
            endpoint = Endpoint(local.base_url, local.api_key, loopback=True, embedded=True, timeout_s=600)
            entry = pool.entry(endpoint, {})
            before = _history()
            if reads_ahead:
                await entry.prefill(Request(SMOLLM2.model, (*before, messages.question(""))))
            asked = Request(
                SMOLLM2.model,
                (*before, messages.question("What is the capital of France?")),
                Parameters(max_tokens=4, temperature=0),
            )
            model = MeteredModel(
                OpenAIModel(endpoint, dialect_for("chat")),
                entry.meter,
                reason="",
                counter=EstimatingCounter(),
            )
            first_s, started_s = 0.0, time.perf_counter()
            async with aclosing(model.stream(asked)) as events:
                async for event in events:
                    if isinstance(event, TextDelta) and not first_s:
                        first_s = time.perf_counter() - started_s
            return first_s, event.usage.input_tokens  # type: ignore[union-attr]  # the last is the completion


def _history() -> tuple[Message, ...]:
    pattern = random.Random(20261129)
    texts = [" ".join(pattern.choice(_WORDS) for _ in range(WORDS)) for _ in range(2 * TURNS)]
    turns = (
        messages.answer(text) if number % 2 else messages.question(text) for number, text in enumerate(texts)
    )
    return (messages.system("You are a helpful assistant."), *turns)
