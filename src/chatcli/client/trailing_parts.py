"""Parts of an answer that can only be emitted once it has ended: refusals, tool calls, citations, pictures and audio.

What it cites comes in every shape providers send it. ``url_citation`` annotations:
https://platform.openai.com/docs/guides/tools-web-search (chat completions have the fields in an object of that name,
Responses beside the type); OpenRouter sends the former for every model. Lists beside the answer: ``citations`` and
``search_results`` of Perplexity (https://docs.perplexity.ai/api-reference), ``citations`` of xAI; LiteLLM passes Gemini's
grounding on as ``vertex_ai_grounding_metadata``.

Pictures and sounds are mentioned with their type and size; nothing is kept of them and nothing is fetched. ``images``
beside the content: OpenRouter (https://openrouter.ai/docs/guides/overview/multimodal/image-generation); ``audio``:
https://platform.openai.com/docs/guides/audio; ``image_generation_call``:
https://platform.openai.com/docs/guides/tools-image-generation.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.wire_messages import wire_text
from chatcli.core.events import CitedSource, Notice, TextDelta
from chatcli.core.frozen import mutable
from chatcli.core.json_values import as_list, as_object
from chatcli.core.messages import Message, ReasoningPart, RefusalPart, ToolCallPart
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chatcli.core.events import Completion
    from chatcli.core.request import Request


MOST_CALLS: Final = 128
"""OpenAI's limit of tools in a request."""

ECHOED_BLOCKS: Final = frozenset({"reasoning_details", "thinking_blocks"})
"""Lists of reasoning blocks: OpenRouter's (https://openrouter.ai/docs/use-cases/reasoning-tokens) and LiteLLM's."""

_JOINED: Final = frozenset({"text", "summary", "data", "thinking"})
_MOST_BLOCKS: Final = 1_000
_LONGEST_IDENTITY: Final = 1_000
_MOST_NAMED: Final = 8
_LONGEST_NAME: Final = 64
"""OpenAI's limit."""


class SurrogateJoiner:
    """Joins a character that JSON spells as two surrogates when a server splits them."""

    def __init__(self) -> None:
        self._held_back = ""

    def join(self, text: str) -> str:
        """Return the complete text, empty while the second half of its only character is missing."""
        if self._held_back:
            text = (
                (self._held_back + text).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
            )
            self._held_back = ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._held_back = text[:-1], text[-1]
        return text

    def rest(self) -> str:
        """Return the first half whose second half never arrived."""
        held, self._held_back = self._held_back, ""
        return held


@mutable
class _Call:
    id: str = ""
    name: str = ""
    arguments: TextBuffer = field(default_factory=TextBuffer)
    provider_data: dict[str, Any] | None = None

    def whole(self) -> ToolCallPart:
        return ToolCallPart(
            wire_text(self.id), wire_text(self.name), wire_text(self.arguments.text), self.provider_data
        )


class EchoedReasoning:
    """The reasoning a provider expects back: the field of its text, and blocks that may be signed.

    Blocks arrive in deltas: consecutive ones of one ``index`` and ``type`` are joined.
    """

    def __init__(self) -> None:
        self.field: str | None = None
        self.item: Mapping[str, Any] | None = None
        """All of it, if it is one item."""
        self._blocks: dict[str, list[dict[str, Any]]] = {}

    def read(self, content: Mapping[str, Any]) -> int:
        """Take the blocks of a delta and return their length in characters."""
        taken = 0
        for name in ECHOED_BLOCKS & content.keys():
            listed, blocks = content[name], self._blocks.setdefault(name, [])
            for block in as_list(listed):
                if not isinstance(block, dict) or len(blocks) == _MOST_BLOCKS:
                    continue
                taken += sum(len(value) for value in block.values() if isinstance(value, str))
                if blocks and _is_same_block(blocks[-1], block):
                    _join(blocks[-1], block)
                else:
                    blocks.append(dict(block))
        return taken

    def provider_data(self) -> dict[str, Any] | None:
        data: dict[str, Any] = {name: blocks for name, blocks in self._blocks.items() if blocks}
        if self.field is not None:
            data["field"] = self.field
        if self.item is not None:
            data["item"] = dict(self.item)
        return data or None


def _is_same_block(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return "index" in second and all(first.get(key) == second.get(key) for key in ("index", "type"))


def _join(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for key, value in delta.items():
        if key in _JOINED and isinstance(value, str) and isinstance(block.get(key), str):
            block[key] += value
        elif value is not None:
            block[key] = value


class TrailingParts:
    """Half a character, a refusal, tool calls, pictures and citations.

    ``request`` has the tools offered. ``held`` is the number of characters received for the end.
    """

    def __init__(self, request: Request) -> None:
        self.joiner = SurrogateJoiner()
        self.media = AnswerMedia()
        self.citations = Citations()
        self.reasoning = EchoedReasoning()
        self._held = 0
        self._request = request
        self._refusal: list[str] = []
        self._calls: list[_Call] = []
        self._places: dict[object, _Call] = {}

    @property
    def held(self) -> int:
        return self._held + self.media.received

    @property
    def has_refused(self) -> bool:
        return bool(self._refusal)

    def refuse(self, text: str) -> None:
        """Take more text of a refusal."""
        self._refusal.append(text)
        self._held += len(text)

    def read_reasoning_blocks(self, content: Mapping[str, Any]) -> None:
        self._held += self.reasoning.read(content)

    def call(
        self,
        place: object,
        *,
        identity: object = None,
        name: object = None,
        arguments: object = None,
        provider_data: dict[str, Any] | None = None,
    ) -> None:
        """Take a delta of the tool call at ``place``, or a whole call; ``None`` is the place of the newest.

        The deltas of a call may lack its name or repeat it. Gemini gives parallel calls one place and
        different ids.
        """
        call = self._places.get(place)
        if call is None or (identity and call.id not in ("", identity)):
            if len(self._calls) == MOST_CALLS:
                return
            call = self._places[place] = self._places[None] = _Call()
            self._calls.append(call)
        if isinstance(identity, str):
            call.id = identity[:_LONGEST_IDENTITY]
        if isinstance(name, str) and name:
            call.name = name[:_LONGEST_IDENTITY]
        if isinstance(arguments, str) and arguments:
            call.arguments.append(arguments)
            self._held += len(arguments)
        if provider_data is not None:
            call.provider_data = provider_data

    def rest(self) -> Iterator[TextDelta | Notice]:
        if text := self.joiner.rest():
            yield TextDelta(text)
        if refusal := self._refused():
            yield Notice("refusal", f"the model refused to answer: {refusal}")
        if self._calls:
            yield tools_called([call.name for call in self._calls], self._request)
        if self.media:
            yield Notice(
                "media_not_shown", f"the answer contains {self.media.words()}, which cannot be shown"
            )

    def completing(self, completion: Completion) -> Completion:
        """Return ``completion`` with the parts received beside its text."""
        echoed, refusal, sources = self.reasoning.provider_data(), self._refused(), self.citations.sources()
        parts = (
            *(() if echoed is None else (ReasoningPart("", echoed),)),
            *(() if refusal is None else (RefusalPart(refusal),)),
            *(call.whole() for call in self._calls),
        )
        if not (parts or sources):
            return completion
        return replace(completion, message=Message("assistant", parts), sources=sources)

    def _refused(self) -> str | None:
        return wire_text("".join(self._refusal)).strip() or None if self._refusal else None


def tools_called(called: Iterable[str], request: Request) -> Notice:
    """Return the notice about calls of the tools with these names."""
    offered = _names_of_offered(request)
    names = list(dict.fromkeys(name[:_LONGEST_NAME] for name in called if name))
    others = [name for name in names if name not in offered]
    named = ", ".join((others or names)[:_MOST_NAMED])
    if names and not others:
        return Notice("tool_calls", f"the model called a tool, which chatcli does not run: {named}")
    return Notice(
        "tool_calls", "the model tried to call a tool that was not offered" + (f": {named}" if named else "")
    )


def _names_of_offered(request: Request) -> set[str]:
    """Return the names of the tools offered, also by ``-O tools=…`` or the older ``functions`` in either API's shape."""
    extra, names = request.parameters.extra, {tool.name for tool in request.tools}
    for option in ("tools", "functions"):
        tools = extra.get(option)
        for tool in as_list(tools):
            for shape in (tool, *as_object(tool).values()):
                if isinstance(shape, dict) and isinstance(name := shape.get("name"), str):
                    names.add(name)
    return names


SOURCE_LISTS: Final = frozenset(
    {"citations", "search_results", "annotations", "vertex_ai_grounding_metadata"}
)
"""Fields that may list sources, beside an answer or in its message."""

_MOST_SOURCES: Final = 100
_LONGEST_ADDRESS: Final = 2_048
_LONGEST_TITLE: Final = 300


@mutable
class _Cited:
    title: str
    is_file: bool
    number: int | None


class Citations:
    """Collects sources, each once, at most 100.

    Perplexity's answers refer to a source by its place in the list, so that place is its number; other
    sources get the following numbers, in order of arrival.
    """

    def __init__(self) -> None:
        self._cited: dict[str, _Cited] = {}
        self._last: dict[str, object] = {}

    def read(self, data: Mapping[str, Any]) -> None:
        """Take the ``SOURCE_LISTS`` of ``data``; repeated lists cost next to nothing."""
        for name in SOURCE_LISTS & data.keys():
            listed = data[name]
            if isinstance(listed, list) and listed and listed != self._last.get(name):
                self._last[name] = listed
                if name == "annotations":
                    self.annotate(listed)
                elif name == "vertex_ai_grounding_metadata":
                    self._number(list(_grounding_chunks(listed)))
                # Answers refer to places in ``citations``, whatever else is listed.
                elif name == "citations" or "citations" not in self._last.keys() | data.keys():
                    self._number(listed)
                else:
                    self._entitle(listed)

    def annotate(self, annotations: object) -> None:
        """Take the annotations of a message or part, or a single one."""
        for each in annotations if isinstance(annotations, list) else [annotations]:
            if not isinstance(each, dict):
                continue
            kind, inner = each.get("type"), each.get("url_citation")
            if kind == "url_citation":
                self._cite(inner if isinstance(inner, dict) else each)
            elif kind in ("file_citation", "container_file_citation"):
                self._cite_file(each.get("filename"))

    def reference(self, part: Mapping[str, Any]) -> None:
        """Take a content part that is a reference (``tool_reference`` of Mistral's connectors)."""
        self._cite(part)

    @property
    def has_any(self) -> bool:
        return bool(self._cited)

    def sources(self) -> tuple[CitedSource, ...]:
        if not self._cited:
            return ()
        highest = max((cited.number or 0 for cited in self._cited.values()), default=0)
        sources = []
        for place, cited in self._cited.items():
            number = cited.number
            if number is None:
                number = highest = highest + 1
            url, path = (None, place) if cited.is_file else (place, None)
            sources.append(CitedSource(number, cited.title, url, path))
        return tuple(sorted(sources, key=lambda source: source.n))

    def _number(self, listed: list[Any]) -> None:
        taken = {cited.number for cited in self._cited.values()}
        for place, each in enumerate(listed, start=1):
            cited = self._cite({"url": each} if isinstance(each, str) else each)
            if cited is not None and cited.number is None and place not in taken:
                cited.number = place

    def _entitle(self, listed: list[Any]) -> None:
        for each in listed:
            self._cite(each)

    def _cite(self, value: object) -> _Cited | None:
        if not isinstance(value, dict):
            return None
        url, title = value.get("url") or value.get("uri"), value.get("title")
        # With a line break in its address, a source would be several lines of a list.
        place = "%20".join(url.split()) if isinstance(url, str) else ""
        is_address = place[:8].lower().startswith(("http://", "https://"))
        return self._add(place, title) if is_address else None

    def _cite_file(self, name: object) -> None:
        if isinstance(name, str) and (place := " ".join(name.split())):
            self._add(place, place, is_file=True)

    def _add(self, place: Any, title: object, *, is_file: bool = False) -> _Cited | None:
        words = " ".join(title.split())[:_LONGEST_TITLE] if isinstance(title, str) else ""
        cited = self._cited.get(place)
        if cited is None and len(self._cited) < _MOST_SOURCES and len(place) <= _LONGEST_ADDRESS:
            cited = self._cited[place] = _Cited(words, is_file, None)
        elif cited is not None and not cited.title:
            cited.title = words
        return cited


def _grounding_chunks(metadata: list[Any]) -> Iterator[Any]:
    for each in metadata:
        chunks = as_object(each).get("groundingChunks")
        for chunk in as_list(chunks):
            yield as_object(chunk).get("web")


_MOST_MENTIONED: Final = 4
_LONGEST_SHOWN: Final = 200
_UNITS: Final = ((1e6, "MB"), (1e3, "kB"))


class AnswerMedia:
    """Counts the pictures and sounds of one answer."""

    def __init__(self) -> None:
        self._pictures: dict[object, str] = {}
        self.received = 0
        """The number of characters received."""
        self._sound_bytes = 0
        self._sound_format = ""

    def __bool__(self) -> bool:
        return bool(self._pictures or self._sound_bytes)

    def picture_at(self, place: object) -> None:
        """Count a picture by its address, which may contain its data: ``"url"`` or ``{"url": …}``."""
        url = place.get("url") if isinstance(place, dict) else place
        if not isinstance(url, str) or not url:
            return
        self.received += len(url)
        if url[:5].lower() == "data:":
            head, _, data = url.partition(",")
            kind = head[5:].partition(";")[0] or "image"
            self._pictures[len(self._pictures)] = f"{kind[:64]}, {_size(_decoded_bytes(data))}"
        else:
            self._pictures[url] = url if len(url) <= _LONGEST_SHOWN else url[:_LONGEST_SHOWN] + "…"

    def generated(self, item: Mapping[str, Any]) -> None:
        """Count the picture of an ``image_generation_call`` once; several events may repeat it."""
        result, kind = item.get("result"), item.get("output_format")
        if isinstance(result, str) and result:
            self.received += len(result)
            of = kind[:64] if isinstance(kind, str) else "png"
            self._pictures[item.get("id") or len(self._pictures)] = (
                f"image/{of}, {_size(_decoded_bytes(result))}"
            )

    def sound(self, data: object, sound_format: object = None) -> None:
        """Count another part of the sound, in base64."""
        if isinstance(data, str):
            self.received += len(data)
            self._sound_bytes += _decoded_bytes(data)
        if isinstance(sound_format, str):
            self._sound_format = sound_format[:64]

    def words(self) -> str:
        """Return the description with types and sizes."""
        pictures = list(self._pictures.values())
        named = "; ".join(pictures[:_MOST_MENTIONED])
        if len(pictures) > _MOST_MENTIONED:
            named += f"; and {len(pictures) - _MOST_MENTIONED:,} more"
        kinds = []
        if pictures:
            kinds.append(f"{'a picture' if len(pictures) == 1 else f'{len(pictures):,} pictures'} ({named})")
        if self._sound_bytes:
            kind = f"audio/{self._sound_format}" if self._sound_format else "audio"
            kinds.append(f"a sound ({kind}, {_size(self._sound_bytes)})")
        return " and ".join(kinds)


def _decoded_bytes(base64_text: str) -> int:
    padding = 2 if base64_text.endswith("==") else base64_text.endswith("=")
    return max(0, len(base64_text) * 3 // 4 - padding)


def _size(length: int) -> str:
    for unit, name in _UNITS:
        if length >= unit:
            return f"{length / unit:.1f} {name}"
    return f"{length:,} bytes"
