"""From a record of the input to the request it asks for: prompts, messages, parameters, and templates.

A record is one of these, and anything else is an error of that row alone:

* ``{"prompt": "…"}`` or ``{"messages": [{"role", "content"}]}``, with an ``id`` and parameters beside it;
* a line of OpenAI's batch format, ``{"custom_id", "method", "url", "body"}``
  (https://platform.openai.com/docs/guides/batch), whose body is the request;
* values for the placeholders of a template, ``Translate: {text}``. They are text of others, which is framed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from chatcli.core.errors import UsageError
from chatcli.core.json_values import as_object, as_text, optional_text
from chatcli.core.messages import Message, TextPart, ToolCallPart, ToolResultPart, system
from chatcli.core.request import LIMIT_FIELDS, Parameters, Request
from chatcli.core.strict_json import STRICT_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatcli.batching.input_rows import Record
    from chatcli.core.messages import Origin, Part, Role
    from chatcli.core.request import ResponseFormat

RowId: TypeAlias = str | int | None

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_TEXT_PARTS: Final = {"text", "input_text", "output_text"}
_MOST_ID_BITS: Final = 2_000  # 600 digits; Python may refuse to write a number of more than 640
_URLS: Final = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
_OF_BATCH: Final = ("custom_id", "body")
_STREAMING: Final = {"stream", "stream_options", "background"}
"""Fields of a body about how its answer is sent, which is not the row's business."""
_OWN_FORMATS: Final = {"response_format", "text", "tool_choice"}
_PLACE: Final = re.compile(r"\{\{|\}\}|\{([^{}\n]+)\}")
_NAME: Final = re.compile(r"[^\W\d][\w-]*")
_HOW: Final = 'a row is {"prompt": "…"}, {"messages": […]} or a line of the OpenAI batch format'


class Column(NamedTuple):
    """A placeholder of a template: the value of a column, or of a key of a JSON row.

    Where a row has none, that of the first of ``others`` it has serves, or the ``default``.
    """

    name: str
    others: tuple[str, ...] = ()
    default: str | None = None

    def value(self, fields: Mapping[str, Any]) -> Any:
        """Return the value in ``fields``, JSON of any type. Raise ``UsageError`` if there is none."""
        found = next((name for name in (self.name, *self.others) if name in fields), None)
        if found is not None:
            return fields[found]
        if self.default is None:
            raise _broken(
                f"has no {self.name!r}, which the prompt names",
                hint=f'add it to the row: {{"{self.name}": "…"}}',
            )
        return self.default


@dataclass(frozen=True, slots=True)
class RowTemplate:
    """The text of a prompt with placeholders for the values of a row, which are texts of ``origin``."""

    segments: tuple[str | Column, ...]
    origin: Origin = "document"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(segment.name for segment in self.segments if isinstance(segment, Column))

    def message(self, fields: Mapping[str, Any]) -> Message:
        """Return the person's message: the template's words are theirs, the values are text of others.

        Raise ``UsageError`` if a value is missing, or everything is empty.
        """
        parts: list[TextPart] = []
        has_value = False
        for segment in self.segments:
            if isinstance(segment, str):
                parts += [TextPart(segment.strip())] if segment.strip() else []
                continue
            value = _as_words(segment.name, segment.value(fields))
            parts += [TextPart(value, self.origin)] if value.strip() else []
            has_value = has_value or bool(value.strip())
        if not has_value:
            raise _broken("has nothing to put into the prompt")
        return Message("user", tuple(parts))


def read_row_template(
    text: str, columns: Sequence[str] | None, *, origin: Origin = "document"
) -> RowTemplate:
    """Return the template in ``text``, such as ``Translate: {text}``; ``{{`` and ``}}`` are braces.

    ``columns`` are those of the input, ``None`` if its rows have keys of their own. Lines of text have one column, which is
    put at the end of a prompt that does not name it. Raise ``UsageError`` for a name that is no column, or if none is named.
    """
    segments: list[str | Column] = [""]
    at = 0
    for match in _PLACE.finditer(text):
        segments.append(text[at : match.start()])
        at = match.end()
        name = match[1]
        if name is None:
            segments.append(match[0][0])
        elif name in (columns or ()) or (columns is None and _NAME.fullmatch(name)):
            segments.append(Column(name))
        elif _NAME.fullmatch(name):
            raise UsageError(
                f"the prompt names {{{name}}}, and the input has no such column",
                hint=f"columns: {', '.join(columns or ())}; {{{{ writes a brace",
            )
        else:
            segments.append(match[0])
    segments.append(text[at:])
    template = RowTemplate(tuple(joined(segments)), origin)
    if not template.columns:
        if columns is None or len(columns) != 1:
            raise UsageError(
                "the prompt names no value of the rows",
                hint=f"write one in braces: --prompt 'Translate: {{{(columns or ('text',))[0]}}}'",
            )
        template = RowTemplate((*template.segments, Column(columns[0])), origin)
    return template


def joined(segments: Sequence[str | Column]) -> list[str | Column]:
    """Return the segments of a template with texts in a row as one."""
    joined: list[str | Column] = []
    for segment in segments:
        if isinstance(segment, str) and joined and isinstance(joined[-1], str):
            joined[-1] += segment
        elif segment:
            joined.append(segment)
    return joined


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A row of the input: its ``request``, or the ``error`` that is its result; ``values`` are of columns the result repeats."""

    index: int
    id: RowId
    digest: int
    request: Request | None = None
    error: UsageError | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestDefaults:
    """What rows leave open: the model, its parameters, the messages before the row's own, and the form of the answer.

    ``api`` is that of the endpoint, ``aliases`` are models by the aliases that rows may name.
    """

    model: str
    parameters: Parameters
    before: tuple[Message, ...] = ()
    api: str = "chat"
    response_format: ResponseFormat | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)

    def completed(self, request: Request) -> Request:
        """Return ``request`` with the form of its answer, unless it names one of its own."""
        has_own = not _OWN_FORMATS.isdisjoint(request.parameters.extra)
        if self.response_format is None or has_own:
            return request
        return replace(request, response_format=self.response_format)


class RowReader:
    """Makes rows of records. An ``id`` that an earlier row has is an error of the later one.

    Errors name the ``place`` of a row by the line of its record. ``columns`` are those whose values rows keep.
    """

    def __init__(
        self,
        defaults: RequestDefaults,
        template: RowTemplate | None = None,
        *,
        columns: Sequence[str] = (),
        place: str = "line",
    ) -> None:
        self._columns = columns
        self._place = place
        self._defaults = defaults
        self._template = template
        self._ids = _SeenIds()

    def row(self, record: Record) -> BatchRow:
        identity: RowId = None
        values = tuple(record.fields.get(name, "") for name in self._columns)
        if record.problem is not None:
            return BatchRow(
                record.position, None, record.digest, error=_broken(record.problem), values=values
            )
        try:
            identity = _id_of(record.fields)
            self._refuse_repeated(identity)
            request = self._defaults.completed(self._request(record.fields))
        except UsageError as error:
            worded = error.reworded(f"{self._place} {record.line:,} {error.message}")
            return BatchRow(record.position, identity, record.digest, error=worded, values=values)
        return BatchRow(record.position, identity, record.digest, request, values=values)

    def _refuse_repeated(self, identity: RowId) -> None:
        if identity is not None and self._ids.is_repeated(identity):
            raise UsageError(
                f"has the id {identity!r} of an earlier row",
                hint="give each row an id of its own, or none",
                code="duplicate_id",
            )

    def _request(self, fields: Mapping[str, Any]) -> Request:
        if self._template is not None:
            return self._asking((self._template.message(fields),), fields, is_named=False)
        if all(name in fields for name in _OF_BATCH):
            return self._of_batch_format(fields)
        prompt, messages = fields.get("prompt"), fields.get("messages")
        if isinstance(prompt, str) and prompt.strip() and messages is None:
            return self._asking((Message("user", (TextPart(prompt),)),), fields)
        if messages is not None and prompt is None:
            return self._asking(_messages(messages), fields)
        if prompt is not None and messages is not None:
            raise _broken("has both prompt and messages")
        if "prompt" in fields:
            is_empty = prompt is None or isinstance(prompt, str)
            raise _broken("has an empty prompt" if is_empty else "has a prompt that is no text")
        raise _broken("has neither prompt nor messages")

    def _asking(
        self, messages: tuple[Message, ...], fields: Mapping[str, Any], *, is_named: bool = True
    ) -> Request:
        """Return the request for ``messages``; ``is_named``: the fields beside them may be parameters."""
        defaults = self._defaults
        has_system = any(message.role == "system" for message in messages)
        sent = messages if has_system else (*defaults.before, *messages)
        model, parameters = defaults.model, defaults.parameters
        if is_named and len(fields) > 1:
            model = self._model(fields.get("model"))
            options = fields.get("options", {})
            if not isinstance(options, dict):
                raise _broken("has options that are no object")
            parameters = _parameters(fields, parameters, options)
        return Request(model, sent, parameters, is_cacheable=True)

    def _model(self, given: object) -> str:
        if given is None or given == "":
            return self._defaults.model
        if isinstance(given, str) and given.strip():
            return self._defaults.aliases.get(given, given)
        raise _broken("has a model that is no name")

    def _of_batch_format(self, fields: Mapping[str, Any]) -> Request:
        body, url, defaults = fields["body"], fields.get("url"), self._defaults
        if not isinstance(body, dict):
            raise _broken("has a body that is no object")
        if url is not None and url != _URLS[defaults.api]:
            other = next((api for api, known in _URLS.items() if known == url), None)
            raise UsageError(
                f"is for {as_text(url)[:80] or 'a url that is no text'}, not for {_URLS[defaults.api]}",
                hint=f"--api {other} asks there" if other else "only answers of a chat can be asked for",
                code="invalid_row",
            )
        own = {"model", "messages", "input", "instructions", *_STREAMING}
        if defaults.api == "chat":
            messages = _messages(body.get("messages"))
        else:
            given = body.get("input")
            messages = (
                (Message("user", (TextPart(given),)),)
                if isinstance(given, str)
                else _messages(given, "input")
            )
            if (instructions := optional_text(body.get("instructions"))) is not None:
                messages = (system(instructions), *messages)
        named = {"temperature", "top_p", "seed", "reasoning_effort", *LIMIT_FIELDS}
        extra = {name: value for name, value in body.items() if name not in own | named}
        limit = next((body[name] for name in LIMIT_FIELDS if body.get(name) is not None), None)
        values = {**body, "max_tokens": limit, "reasoning": body.get("reasoning_effort")}
        return Request(
            self._model(body.get("model")),
            messages,
            _parameters(values, defaults.parameters, extra),
            is_cacheable=True,
        )


def _id_of(fields: Mapping[str, Any]) -> RowId:
    identity = fields.get("custom_id") if all(name in fields for name in _OF_BATCH) else fields.get("id")
    if type(identity) is int and identity.bit_length() > _MOST_ID_BITS:
        raise _broken("has an id of too many digits")
    if identity is None or isinstance(identity, str) or type(identity) is int:
        return identity
    raise _broken("has an id that is neither text nor a whole number")


def _parameters(fields: Mapping[str, Any], defaults: Parameters, options: Mapping[str, Any]) -> Parameters:
    """Return ``defaults`` with the parameters of a row."""
    found: dict[str, Any] = {}
    for name in ("temperature", "top_p", "max_tokens", "seed"):
        value = _number(fields.get(name))
        is_whole = name in ("max_tokens", "seed")
        if value is None:
            continue
        if type(value) is not int and (is_whole or type(value) is not float):
            raise _broken(f"has a {name} that is no {'whole ' * is_whole}number")
        if name == "max_tokens" and value < 1:
            raise _broken("has a max_tokens below 1")
        found[name] = value
    if (value := fields.get("reasoning")) not in (None, ""):
        if not isinstance(value, str):
            raise _broken("has a reasoning that is no word")
        found["reasoning"] = value
    if options:
        found["extra"] = {**defaults.extra, **options}
    return replace(defaults, **found) if found else defaults


def _number(value: object) -> Any:
    """Return ``value``, or the number it spells: all fields of CSV are text, and empty ones left out."""
    if not isinstance(value, str):
        return value
    try:
        return STRICT_JSON.decode(value) if value.strip() else None
    except ValueError:
        return value


def _messages(value: object, name: str = "messages") -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise _broken(f"has {name} that are no list of messages")
    return tuple(_message(each, f"{name}[{position}]") for position, each in enumerate(value))


def _message(value: object, where: str) -> Message:
    fields = as_object(value)
    role = _ROLES.get(as_text(fields.get("role")))
    if role is None:
        raise _broken(f"has no known role in {where}")
    texts = _texts(fields.get("content"), where)
    if role == "tool":
        call = optional_text(fields.get("tool_call_id"))
        if call is None:
            raise _broken(f"has no tool_call_id in {where}")
        return Message(role, (ToolResultPart(call, tuple(TextPart(text, "tool") for text in texts)),))
    parts: list[Part] = [TextPart(text, "model" if role == "assistant" else "person") for text in texts]
    calls = fields.get("tool_calls") or []
    if not isinstance(calls, list):
        raise _broken(f"has tool_calls that are no list in {where}")
    for call in calls:
        function = as_object(as_object(call).get("function"))
        identity, name, arguments = as_object(call).get("id"), function.get("name"), function.get("arguments")
        if not (isinstance(identity, str) and isinstance(name, str) and isinstance(arguments, str)):
            raise _broken(f"has a tool call without id, name or arguments in {where}")
        parts.append(ToolCallPart(identity, name, arguments))
    if not parts:
        raise _broken(f"has no content in {where}")
    return Message(role, tuple(parts))


def _texts(content: object, where: str) -> list[str]:
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        raise _broken(f"has content that is no text in {where}")
    texts = []
    for part in content:
        kind, text = as_text(as_object(part).get("type")), as_object(part).get("text")
        if kind not in _TEXT_PARTS or not isinstance(text, str):
            raise UsageError(
                f"has a part in {where} that cannot be sent: {kind[:40] or 'it has no type'}",
                hint="only text can be sent in a batch",
                code="invalid_row",
            )
        texts.append(text)
    return texts


def _as_words(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # of a script, whose rows hold anything
        raise _broken(
            f"has a value of {name!r} that is neither text nor JSON", hint="pass it as text: str(value)"
        ) from None


def _broken(what: str, *, hint: str = _HOW) -> UsageError:
    return UsageError(what, hint=hint, code="invalid_row")


_FIRST_SLOTS: Final = 1 << 10
_FULL: Final = 0.6


class _SeenIds:
    """The ids that occurred, as hashes of 64 bits in an open table: 14 bytes an id, where a set takes 80."""

    def __init__(self) -> None:
        from array import array  # noqa: PLC0415 - only rows with ids need it

        self._array = array
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    def is_repeated(self, identity: str | int) -> bool:
        """Return whether ``identity`` occurred before, and note that it does."""
        mark = (hash((type(identity), identity)) & 0xFFFF_FFFF_FFFF_FFFF) or 1
        if not self._insert(self._slots, mark):
            return True
        self._count += 1
        if self._count > len(self._slots) * _FULL:
            larger = self._array("Q", bytes(16 * len(self._slots)))
            for each in self._slots:
                if each:
                    self._insert(larger, each)
            self._slots = larger
        return False

    @staticmethod
    def _insert(slots: Any, mark: int) -> bool:
        at = mark % len(slots)
        while slots[at]:
            if slots[at] == mark:
                return False
            at = (at + 1) % len(slots)
        slots[at] = mark
        return True
