"""A terminal chat client for OpenAI-compatible models, and its Python API.

::

    import chatcli

    print(chatcli.ask("Capital of France?"))

    async with chatcli.open_chat(model="gpt-5-mini", session="trip.jsonl") as chat:
        answer = await chat.ask("And of Italy?")
        async for event in chat.stream("Tell me more"):
            ...

    async for result in chatcli.batch(["Capital of France?", "Capital of Italy?"]):
        print(result.text, result.error)

Whatever is used of it is loaded then: ``import chatcli`` alone loads no library.
"""

from __future__ import annotations

from chatcli.core.version import __version__ as __version__

# Not imported from typing: the program starts here, and Ctrl-C in these milliseconds would be a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from chatcli.api import Answer, AskOptions, BatchResult, Chat, ask, batch, compare, open_chat
    from chatcli.core.errors import (
        AnswerTooLarge,
        BadResponse,
        BudgetReached,
        Cancelled,
        ChatcliError,
        ConfigurationError,
        ContextOverflow,
        EndpointError,
        IncompleteAnswer,
        InputTooLong,
        KeyRefused,
        LocalIOError,
        NetworkError,
        QuotaExceeded,
        RateLimited,
        RequestRefused,
        SchemaMismatch,
        ServerFailed,
        TimedOut,
        UsageError,
    )
    from chatcli.core.events import (
        AnswerContinued,
        CitedSource,
        ContextFitted,
        Event,
        LongProgress,
        Notice,
        PartialData,
        ReasoningDelta,
        Retrying,
        TextDelta,
        TextReclassified,
        TurnCancelled,
        TurnFailed,
        TurnFinished,
        TurnResult,
        TurnStarted,
        Usage,
        Waiting,
    )
    from chatcli.core.messages import (
        AudioPart,
        FilePart,
        ImagePart,
        Message,
        ReasoningPart,
        RefusalPart,
        TextPart,
        ToolCallPart,
        ToolResultPart,
    )

__all__ = [
    "Answer",
    "AnswerContinued",
    "AnswerTooLarge",
    "AskOptions",
    "AudioPart",
    "BadResponse",
    "BatchResult",
    "BudgetReached",
    "Cancelled",
    "Chat",
    "ChatcliError",
    "CitedSource",
    "ConfigurationError",
    "ContextFitted",
    "ContextOverflow",
    "EndpointError",
    "Event",
    "FilePart",
    "ImagePart",
    "IncompleteAnswer",
    "InputTooLong",
    "KeyRefused",
    "LocalIOError",
    "LongProgress",
    "Message",
    "NetworkError",
    "Notice",
    "PartialData",
    "QuotaExceeded",
    "RateLimited",
    "ReasoningDelta",
    "ReasoningPart",
    "RefusalPart",
    "RequestRefused",
    "Retrying",
    "SchemaMismatch",
    "ServerFailed",
    "TextDelta",
    "TextPart",
    "TextReclassified",
    "TimedOut",
    "ToolCallPart",
    "ToolResultPart",
    "TurnCancelled",
    "TurnFailed",
    "TurnFinished",
    "TurnResult",
    "TurnStarted",
    "Usage",
    "UsageError",
    "Waiting",
    "ask",
    "batch",
    "compare",
    "open_chat",
]


_MODULES: Final = ("core.messages", "core.events", "core.errors", "api")


def __getattr__(name: str) -> Any:
    """Load a name of the API when it is first used (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415 - as above

    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
