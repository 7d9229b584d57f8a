"""Facts learned about the models of one endpoint, and the layers that learn them.

The whole run shares them and, if enabled, later runs. One layer compares the endpoint's token counts with
chatcli's; one omits request fields that a model has refused.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.client.answer_forms import (
    FORMS,
    form_in_force,
    ignored_forms,
    is_of_this_schema,
    model_with_schema,
    next_form,
    refused_forms,
)
from chatcli.client.prompt_caching import CACHE_CONTROL, refuses_marks
from chatcli.client.refused_fields import OPTIONAL, STREAM, refused_field
from chatcli.client.web_search import SEARCH_FORMS, refused_search
from chatcli.client.wire_messages import (
    ANSWER_ALONE,
    ROLES,
    refused_role,
    refuses_answer_alone,
    system_prompt_moved,
)
from chatcli.core.errors import ContextOverflow, EndpointError, RequestRefused
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta
from chatcli.core.request import LIMIT_FIELDS
from chatcli.core.whole_answers import asker
from chatcli.storage.cache import JsonFileCache

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import ModelEvent, Usage
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit
    from chatcli.storage.cache import Cache


SHORTEST_TOKENS: Final = 200
"""A shorter prompt consists mostly of the chat template and its own system prompt."""

LARGEST_SHARE: Final = 1.0
"""An endpoint that reports more than twice the tokens counts something else."""

FILE_NAME: Final = "endpoints.json"
"""The file in the cache folder, with the facts of every endpoint."""

_MOST_FACTS: Final = 2_000
_NOTHING: Final = object()
_STEP_DOWN: Final = 0.25
"""The step towards a smaller share that one answer makes: a share that was too small once may be again."""


class Facts:
    """One fact about each model of an endpoint: any JSON value. ``kept`` has those of earlier runs.

    ``about`` is the prefix of their keys: the fact and the endpoint. Without ``is_kept`` nothing is written.
    """

    def __init__(self, about: str = "", kept: Cache[object] | None = None, *, is_kept: bool = True) -> None:
        self._about = about
        self._kept = kept
        self._is_kept = is_kept
        self._known: dict[str, tuple[bool, object]] = {}
        self._stored: set[str] = set()

    def recall(self, model: str) -> tuple[bool, object]:
        """Return whether a fact about ``model`` is known, and its value; a value from the file is not validated."""
        if model not in self._known:
            value = _NOTHING if self._kept is None else self._kept.get(f"{self._about} {model}", _NOTHING)
            self._known[model] = (False, None) if value is _NOTHING else (True, value)
        return self._known[model]

    def remember(self, model: str, value: object) -> None:
        # Written once a run although it is known, since values in the file expire after a week.
        if model in self._stored and self._known.get(model) == (True, value):
            return
        self._known[model] = True, value
        self._stored.add(model)
        if self._is_kept and self._kept is not None:
            self._kept.put(f"{self._about} {model}", value)


class LearnedCounts:
    """The share to add to token counts for the models of an endpoint, from 0 to ``LARGEST_SHARE``.

    A larger share applies at once, since a prompt that is too long is refused; a smaller one is approached in
    steps. It is never negative, so that no prompt relies on an endpoint counting less.
    """

    def __init__(self, shares: Facts | None = None) -> None:
        self._shares = shares or Facts()

    def share(self, model: str) -> float:
        _, value = self._shares.recall(model)
        return value if isinstance(value, float) and 0 <= value <= LARGEST_SHARE else 0.0

    def learn(self, model: str, counted_tokens: int, reported_tokens: int) -> None:
        """Learn from a prompt of ``counted_tokens`` by the vocabulary for which the endpoint reported ``reported_tokens``."""
        if counted_tokens < SHORTEST_TOKENS:
            return
        observed = max(0.0, reported_tokens / counted_tokens - 1)
        if observed > LARGEST_SHARE:
            return
        before = self.share(model)
        share = round(observed if observed > before else before + (observed - before) * _STEP_DOWN, 4)
        if share != before:
            self._shares.remember(model, share)


class EndpointFacts:
    """The facts learned about one endpoint. A file in the folder ``cache`` keeps them for later runs.

    Of the embedded model, whose address changes with each start, only inexpensive facts are kept.
    """

    def __init__(self, endpoint: Endpoint, cache: Path, *, is_kept: bool) -> None:
        kept = JsonFileCache(cache / FILE_NAME, most_entries=_MOST_FACTS)
        base_url, is_lasting = endpoint.base_url, is_kept and not endpoint.embedded
        self.refused = Facts(f"refused {base_url}", kept if is_kept else None)
        """Fields and roles that a model refuses."""
        self.endings = Facts(f"endings {base_url}", kept if is_kept else None)
        """How the endpoint ends its streams."""
        self.reasoning_styles = Facts(f"reasoning {base_url}", kept if is_lasting else None)
        self.counts = LearnedCounts(Facts(f"counts {base_url}", kept if is_lasting else None))
        # A run that saves nothing still reads them, since finding a window takes time.
        self.windows = Facts(f"windows {base_url}", kept, is_kept=is_lasting)


CUT_SHARE: Final = 0.6
CUT_TOKENS: Final = 500
"""No vocabulary needs so many fewer tokens: a server that reports fewer has cut the prompt."""


class UsageCalibrationModel:
    """A ``ChatModel`` that learns from ``inner`` how the endpoint counts tokens, and the size of its window.

    ``counts`` learns from each answer, ``windows`` stores the size named in a refusal. A prompt cut by the
    server, as Ollama does silently, is reported once for each model.
    """

    def __init__(
        self,
        inner: ChatModel,
        endpoint: Endpoint,
        counts: LearnedCounts,
        windows: Facts,
    ) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._counts = counts
        self._windows = windows
        self._reported: set[str] = set()

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    if isinstance(event, Completion) and (notice := self._compare(request, event)):
                        yield notice
                    yield event
        except ContextOverflow as error:
            self._learn_window(request, error)
            raise

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""

        def compare(event: ModelEvent) -> None:
            if isinstance(event, Completion) and (notice := self._compare(request, event)):
                emit(notice)
            emit(event)

        try:
            await asker(self._inner)(request, compare if request.counted_tokens is not None else emit)
        except ContextOverflow as error:
            self._learn_window(request, error)
            raise

    def _learn_window(self, request: Request, error: ContextOverflow) -> None:
        if error.window_tokens is not None:
            self._windows.remember(request.model, error.window_tokens)

    def _compare(self, request: Request, completion: Completion) -> Notice | None:
        counted, usage = request.counted_tokens, completion.usage
        is_comparable = not (completion.cached or request.partial_answer)
        if counted is None or usage is None or usage.estimated or not is_comparable:
            return None
        reported = usage.input_tokens
        if reported is None:
            return None
        if not _is_cut(counted, reported, usage):
            self._counts.learn(request.model, counted, reported)
            return None
        if request.model in self._reported:
            return None
        self._reported.add(request.model)
        return Notice("prompt_cut_by_server", self._words(counted, reported))

    def _words(self, counted: int, reported: int) -> str:
        return (
            f"{self._endpoint.name} reports {reported:,} tokens where {counted:,} were sent: it seems to leave out the "
            f"beginning; let the server have a larger context (Ollama: num_ctx), or set context_window to what it has"
        )


def _is_cut(counted: int, reported: int, usage: Usage) -> bool:
    # Some servers omit cached tokens.
    read = reported + (usage.cached_tokens or 0)
    return read < counted * CUT_SHARE and counted - read > CUT_TOKENS


_KEPT: Final = OPTIONAL | ROLES | {STREAM, ANSWER_ALONE, CACHE_CONTROL, *FORMS, *SEARCH_FORMS}


class UnsupportedParametersModel:
    """A ``ChatModel`` that retries without request fields that the endpoint refuses.

    This includes ``stream``, the role of the system prompt (see ``client.wire_messages``), the form of answers (see
    ``client.answer_forms``), and answers sent without their reasoning. Each field is omitted or spelled differently once; this is reported and then
    remembered. Required fields are never omitted. ``refused`` stores the refusals for all users of the
    endpoint.
    """

    def __init__(self, inner: ChatModel, refused: Facts) -> None:
        self._inner = inner
        self._refused = refused
        self._without: dict[str, frozenset[str]] = {}

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        omissions = self._omissions(request)
        while True:
            try:
                async with aclosing(self._inner.stream(omissions.next_request())) as events:
                    async for event in events:
                        omissions.see(event)
                        yield event
            except EndpointError as error:
                if (notice := omissions.learn(error)) is None:
                    raise
            else:
                omissions.answered()
                return
            yield notice

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""
        omissions = self._omissions(request)

        def see(event: ModelEvent) -> None:
            omissions.see(event)
            emit(event)

        while True:
            try:
                await asker(self._inner)(omissions.next_request(), see)
            except EndpointError as error:
                if (notice := omissions.learn(error)) is None:
                    raise
            else:
                omissions.answered()
                return
            emit(notice)

    def _omissions(self, request: Request) -> _Omissions:
        is_formed = request.response_format is not None
        of_schema = self._recalled(model_with_schema(request)) if is_formed else frozenset[str]()
        return _Omissions(request, self._recalled(request.model), of_schema, self._remember)

    def _recalled(self, model: str) -> frozenset[str]:
        """Return what ``model`` refuses, which may be one with a schema."""
        if model not in self._without:
            self._without[model] = _recalled(self._refused, model)
        return self._without[model]

    def _remember(self, model: str, without: frozenset[str]) -> None:
        # Another request may have learned something else at the same time.
        known = self._without[model] = self._recalled(model) | without
        self._refused.remember(model, sorted(known))


class _Omissions:
    """What the attempts at one request omit: what was ``refused``, and what the endpoint refuses of it now.

    ``of_schema`` are forms of answers that it does not take with the schema of the request; others it may.
    """

    def __init__(
        self,
        request: Request,
        refused: frozenset[str],
        of_schema: frozenset[str],
        remember: Callable[[str, frozenset[str]], None],
    ) -> None:
        self._request = request
        self._without = request.without | refused | of_schema
        self._of_schema = of_schema - refused
        self._remember = remember
        self._began = False
        self._form: str | None = None
        self._forms_refused = frozenset[str]()
        self._beginning = ""
        self._is_whole = False

    def next_request(self) -> Request:
        request, without = self._request, self._without
        sent = request if without == request.without else replace(request, without=without)
        self._form = None if sent.response_format is None else form_in_force(sent)
        return sent

    def see(self, event: ModelEvent) -> None:
        if isinstance(event, (TextDelta, ReasoningDelta)):
            self._began = True
            if self._form is not None and not self._beginning and isinstance(event, TextDelta):
                self._beginning = event.text.lstrip("\ufeff \t\r\n")[:1]
        elif isinstance(event, Completion):
            self._is_whole = event.finish_reason == "stop"

    def learn(self, error: EndpointError) -> Notice | None:
        """Note what ``error`` refuses; return a notice about it, ``None`` if it is about something else.

        It is remembered, a form of answers once another one is answered: if none is, something else is wrong.
        """
        refused = frozenset[str]() if self._began else _refused(error, self._request, self._without)
        if not refused:
            return None
        self._without |= refused
        if forms := refused.intersection(FORMS):
            self._forms_refused |= forms
            self._of_schema = self._of_schema | forms if is_of_this_schema(error) else self._of_schema - forms
        else:
            self._remember(self._request.model, self._of_model - self._forms_refused)
        return _notice(self._request, refused, self._without)

    def answered(self) -> None:
        """Remember the forms that were refused, and those that the answer shows to be ignored."""
        ignored = ignored_forms(self._form, self._beginning) if self._is_whole else frozenset[str]()
        if ignored or self._forms_refused - self._of_schema:
            self._remember(self._request.model, self._of_model | ignored)
        if self._forms_refused & self._of_schema:
            self._remember(model_with_schema(self._request), self._of_schema)

    @property
    def _of_model(self) -> frozenset[str]:
        return self._without - self._of_schema - self._request.without


def _refused(error: EndpointError, request: Request, without: frozenset[str]) -> frozenset[str]:
    if refuses_answer_alone(error, request, without):
        return frozenset({ANSWER_ALONE})
    if refuses_marks(error, request, without):
        return frozenset({CACHE_CONTROL})
    forms = refused_forms(error, request, without)
    # Both together: "Web Search cannot be used with JSON mode." Without the form, the search is still taken.
    if not forms and (searches := refused_search(error, request, without)):
        return searches
    found = refused_role(error, request, without)
    if found is None and isinstance(error, RequestRefused):
        found = refused_field(error, request, without)
    return forms if found is None else frozenset({found})


def refused_before(refused: Facts, request: Request) -> frozenset[str]:
    """Return the fields, roles and forms of answers of ``request`` that its model is known to refuse."""
    about = filter(None, (request.model, model_with_schema(request)))
    return frozenset[str]().union(*(_recalled(refused, each) for each in about))


def _recalled(refused: Facts, model: str) -> frozenset[str]:
    _, names = refused.recall(model)
    return frozenset(map(str, names) if isinstance(names, list) else ()) & _KEPT


_NOTICES: Final = {
    ANSWER_ALONE: ("reasoning_sent_back", "wants the reasoning of earlier answers back; sending it"),
    CACHE_CONTROL: ("parameter_dropped", "does not take marks for its prompt cache; retried without"),
    STREAM: ("parameter_dropped", "does not stream its answers: they come whole"),
    **{form: ("web_search_refused", f"does not take the {form}") for form in SEARCH_FORMS},
}
"""The codes and words of notices, by what is refused."""


def _notice(request: Request, all_refused: frozenset[str], without: frozenset[str]) -> Notice:
    model, refused = request.model, min(all_refused)
    if refused in FORMS:
        how = next_form(request, without)
        return Notice("schema_sent_otherwise", f"{model} does not take the {refused}; asking with {how}")
    if refused in ROLES:
        return Notice(
            "system_role_refused", f"{model} does not accept the {refused}: {system_prompt_moved(refused)}"
        )
    if refused in _NOTICES:
        code, words = _NOTICES[refused]
        return Notice(code, f"{model} {words}")
    # Refused by POST /responses, the last has no other name.
    others = LIMIT_FIELDS if refused in LIMIT_FIELDS[:-1] else ()
    other = next((name for name in others if name not in without), None)
    how = f"retried with {other}" if other else "retried without it"
    return Notice("parameter_dropped", f"{model} does not accept {refused}; {how}")
