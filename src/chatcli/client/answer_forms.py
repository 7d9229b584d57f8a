"""How a required form of answers is sent: as the endpoint takes it, learned when it refuses.

The forms stand in one order, from what binds the model most to what only asks it. ``Request.without`` names those that the
endpoint is known not to take, beside the fields it refuses; the first that is left is sent.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.web_search import is_search_optional
from chatcli.client.wire_messages import as_json
from chatcli.core.errors import EndpointError, RequestRefused, ServerFailed
from chatcli.core.json_values import as_object, as_text
from chatcli.core.messages import TextPart
from chatcli.storage.cache import key_of
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.request import Request, ResponseFormat

SCHEMA: Final = "JSON schema"
BASIC_SCHEMA: Final = "JSON schema of basic keywords"
TOOL: Final = "forced tool"
JSON_MODE: Final = "JSON mode"
WORDS: Final = "words in the prompt"
FORMS: Final = (SCHEMA, BASIC_SCHEMA, TOOL, JSON_MODE, WORDS)
"""In this order. Each contains a space, so that it differs from every field name."""

_SCHEMAS: Final = frozenset({SCHEMA, BASIC_SCHEMA})
_NOT_AT: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    # Takes response_format, and ignores it: https://docs.anthropic.com/en/api/openai-sdk
    ("api.anthropic.com", _SCHEMAS | {JSON_MODE}),
    # https://ai.google.dev/gemini-api/docs/openai: other keywords are unknown fields there.
    ("generativelanguage.googleapis.com", frozenset({SCHEMA})),
    # Only json_object: https://api-docs.deepseek.com/guides/json_mode, and those of Moonshot and Zhipu.
    ("api.deepseek.com", _SCHEMAS | {TOOL}),
    ("api.moonshot.ai", _SCHEMAS | {TOOL}),
    ("api.moonshot.cn", _SCHEMAS | {TOOL}),
    ("open.bigmodel.cn", _SCHEMAS | {TOOL}),
)
_CLAUDE: Final = lazy_pattern(r"\bclaude\b", re.IGNORECASE)
_REFUSED_WITH: Final = frozenset({200, 400, 404, 405, 415, 422, 501})
_READ_CHARACTERS: Final = 10_000
_ABOUT: Final[Mapping[str, re.Pattern[str]]] = {
    # OpenAI: "Invalid schema for response_format"; vLLM: "features not supported by xgrammar"; llama.cpp: "JSON schema
    # conversion failed"; Gemini: "Unknown name "additionalProperties" at 'generation_config.response_schema'".
    "schema": lazy_pattern(
        r"response[_ ]?format|text\.format|json[_ -]?(?:schema|object|mode)|structured|schema|grammar|guided"
        r"|additional_?properties|\$ref|\$defs",
        re.IGNORECASE,
    ),
    "tool": lazy_pattern(r"\btool|function", re.IGNORECASE),
}
_CONTENT: Final = lazy_pattern(
    r"invalid (?:json )?schema|unknown name|conversion failed|keyword|features? not supported|additional_?properties"
    r"|\$ref|\$defs|properties|grammar|anyOf|strict",
    re.IGNORECASE,
)
"""Refusals of what the schema contains, not of schemas."""


def form_in_force(request: Request) -> str | None:
    """Return the form to send, ``None`` if the answer may have any, or continues one that has begun."""
    if request.response_format is None or request.is_continuation:
        return None
    without = request.without | {TOOL} if is_search_optional(request) else request.without
    return next((form for form in FORMS if form not in without), WORDS)


def forms_not_taken(
    endpoint: Endpoint, api: str, model: str, abilities: frozenset[str] | None
) -> frozenset[str]:
    """Return the forms that ``model`` is known not to take; ``abilities`` are those of the model table, ``None`` if unknown."""
    if api == "responses":
        return frozenset({TOOL})
    hostname = endpoint.host.partition(":")[0]
    for host, forms in _NOT_AT:
        if hostname == host:
            return forms
    if _CLAUDE.search(model):
        # Gateways pass a tool on to Claude, and often drop the rest.
        return _SCHEMAS
    if abilities is None or endpoint.runs_models or endpoint.embedded:
        return frozenset()
    known = {"structured": _SCHEMAS, "tools": frozenset({TOOL})}
    return frozenset().union(*(forms for ability, forms in known.items() if ability not in abilities))


def with_words(request: Request, endpoint: Endpoint) -> Request:
    """Return ``request`` with the words that ask for the form, where the endpoint does not show the model the schema."""
    form, wanted = form_in_force(request), request.response_format
    # Servers that run models constrain the answer, and leave the model to guess the keys.
    is_silent = form in _SCHEMAS and (endpoint.embedded or endpoint.runs_models)
    if wanted is None or not wanted.words or not (form in (JSON_MODE, WORDS) or is_silent):
        return request
    messages = list(request.messages)
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role == "user":
            parts = (*messages[place].parts, TextPart(wanted.words))
            messages[place] = replace(messages[place], parts=parts)
            break
    return replace(request, messages=tuple(messages))


def json_schema(wanted: ResponseFormat, form: str) -> dict[str, Any]:
    """Return the fields that name and describe the schema, in the strictest way it can be written."""
    if form == BASIC_SCHEMA:
        return {"name": wanted.name, "schema": wanted.basic or wanted.schema}
    if wanted.strict is None:
        return {"name": wanted.name, "schema": wanted.schema}
    return {"name": wanted.name, "schema": wanted.strict, "strict": True}


def chat_fields(request: Request) -> dict[str, Any]:
    """Return the fields of a chat completion that ask for the form."""
    form, wanted = form_in_force(request), request.response_format
    if wanted is None or form is None or form == WORDS:
        return {}
    if form == JSON_MODE:
        return {"response_format": {"type": "json_object"}}
    if form == TOOL:
        function = {
            "name": wanted.name,
            "description": "Give the answer.",
            "parameters": wanted.schema,
        }
        return {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": wanted.name}},
        }
    return {"response_format": {"type": "json_schema", "json_schema": json_schema(wanted, form)}}


def response_fields(request: Request) -> dict[str, Any]:
    """Return the fields of a response that ask for the form."""
    form, wanted = form_in_force(request), request.response_format
    if wanted is None or form is None or form == WORDS:
        return {}
    if form in _SCHEMAS:
        return {"text": {"format": {"type": "json_schema", **json_schema(wanted, form)}}}
    return {"text": {"format": {"type": "json_object"}}}


def refused_forms(error: EndpointError, request: Request, without: frozenset[str]) -> frozenset[str]:
    """Return the forms that ``error`` refuses, empty if it is about something else."""
    form = form_in_force(replace(request, without=without))
    is_refusal = isinstance(error, RequestRefused) and error.status in _REFUSED_WITH
    if form in (None, WORDS) or not (is_refusal or isinstance(error, ServerFailed)):
        return frozenset()
    if not _ABOUT["tool" if form == TOOL else "schema"].search(_wording(error)):
        return frozenset()
    if form in _SCHEMAS and not is_of_this_schema(error):
        return _SCHEMAS
    return frozenset({form}) if form else frozenset()


def is_of_this_schema(error: EndpointError) -> bool:
    """Return whether a refusal of a form is about what the schema contains: another schema may be taken."""
    return _CONTENT.search(_wording(error)) is not None


def _wording(error: EndpointError) -> str:
    return f"{error.parameter or ''} {(error.provider_message or error.message)[:_READ_CHARACTERS]}"


def model_with_schema(request: Request) -> str:
    """Return a name for the model together with the schema of ``request``, empty if it has none."""
    if request.response_format is None:
        return ""
    return f"{request.model} {key_of(json.dumps(request.response_format.schema))}"


def ignored_forms(form: str | None, beginning: str) -> frozenset[str]:
    """Return the forms that the endpoint ignores, as an answer shows that begins so after ``form`` was sent."""
    # Reasoning may come before the answer: <think>.
    if form in (None, WORDS) or beginning[:1] in ("", "{", "[", "<"):
        return frozenset()
    return _SCHEMAS if form in _SCHEMAS else frozenset({form}) if form else frozenset()


def next_form(request: Request, without: frozenset[str]) -> str:
    """Return the form that is sent after a refusal, in words for the person."""
    form = form_in_force(replace(request, without=without))
    return {
        BASIC_SCHEMA: "a simpler schema",
        TOOL: "a tool",
        JSON_MODE: "JSON mode",
    }.get(form or WORDS, WORDS)


class ToolAnswer:
    """The answer in the arguments of the tool ``name``. Where its call ``is_forced``, text beside it is no part of the answer.

    A model that calls no tool has answered in the text, which is held back until that is certain.
    """

    def __init__(self, name: str, *, is_forced: bool) -> None:
        self._name = name
        self._is_forced = is_forced
        self._calls: dict[object, tuple[str, bool]] = {}
        """The id of the newest call at each place, and whether it is the first of all."""
        self._arguments = TextBuffer()
        self._taken: list[str] = []
        self._beside: list[str] = []
        self.held = 0
        self.count = 0
        """The number of calls: only the first one is the answer."""

    @property
    def was_called(self) -> bool:
        return self.count > 0

    def is_answer(self, call: Mapping[str, Any]) -> bool:
        """Return whether a delta of a tool call belongs to a call of the tool; the arguments of the first are taken."""
        function, place, identity = as_object(call.get("function")), call.get("index"), call.get("id")
        name, place = function.get("name"), place if isinstance(place, int | str) else None
        if name not in (self._name, None, "") or (name != self._name and place not in self._calls):
            return False
        known, is_first = self._calls.get(place, ("", False))
        if place not in self._calls or self._is_other(known, identity, is_first=is_first):
            is_first = not self.was_called
            self.count += 1
            self._calls[place] = as_text(identity), is_first
        arguments = function.get("arguments")
        if is_first and isinstance(arguments, str | dict):
            text = as_json(arguments) if isinstance(arguments, dict) else arguments
            self._taken.append(text)
            self._arguments.append(text)
        return True

    def take(self, text: str) -> str:
        """Take the text of a delta whose calls have been through ``is_answer``; return what of it is the answer."""
        arguments, self._taken = "".join(self._taken), []
        if not self._is_forced:
            return text + arguments
        if text and not self.was_called:
            self._beside.append(text)
            self.held += len(text)
        return arguments

    def _is_other(self, known: str, identity: object, *, is_first: bool) -> bool:
        """Return whether a delta at the place of a call begins another one: it has another id, and the call is whole."""
        if not known or not isinstance(identity, str) or identity in ("", known):
            return False
        try:
            json.loads(self._arguments.text if is_first else "{}")
        except (ValueError, RecursionError):
            return False  # some servers send a new id with each delta
        return True

    def rest(self) -> str:
        """Return the text of a model that did not call the tool."""
        return "" if self.was_called else "".join(self._beside)
