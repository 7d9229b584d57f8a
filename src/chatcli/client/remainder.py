"""What of an answer can only be emitted once it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.answer_media import AnswerMedia
from chatcli.client.citations import Citations
from chatcli.client.wire_messages import SurrogateJoiner, wire_text
from chatcli.core.events import Notice, TextDelta
from chatcli.core.gathered_text import GatheredText
from chatcli.core.messages import Message, ReasoningPart, RefusalPart, ToolCallPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chatcli.core.events import Completion
    from chatcli.core.request import Request

MOST_CALLS: Final = 128
"""As many tools as OpenAI lets a request offer."""

ECHOED_BLOCKS: Final = frozenset({"reasoning_details", "thinking_blocks"})
"""OpenRouter's (https://openrouter.ai/docs/use-cases/reasoning-tokens) and LiteLLM's lists of blocks of reasoning."""

_JOINED: Final = frozenset({"text", "summary", "data", "thinking"})
_MOST_BLOCKS: Final = 1_000
_LONGEST_IDENTITY: Final = 1_000
_MOST_NAMED: Final = 8
_LONGEST_NAME: Final = 64
"""As long as OpenAI allows."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: GatheredText = field(default_factory=GatheredText)
    provider_data: dict[str, Any] | None = None

    def whole(self) -> ToolCallPart:
        return ToolCallPart(
            wire_text(self.id), wire_text(self.name), wire_text(self.arguments.text), self.provider_data
        )


class EchoedReasoning:
    """What a provider wants back of its reasoning: the field its text came in, and blocks that may be signed.

    Blocks come in deltas: those of one ``index`` and ``type`` that follow each other are one, their texts joined.
    """

    def __init__(self) -> None:
        self.field: str | None = None
        self.item: Mapping[str, Any] | None = None
        """The whole of it, where it is an item of its own."""
        self._blocks: dict[str, list[dict[str, Any]]] = {}

    def read(self, content: Mapping[str, Any]) -> int:
        """Take the blocks of a delta and return how many characters they have."""
        taken = 0
        for name in ECHOED_BLOCKS & content.keys():
            listed, blocks = content[name], self._blocks.setdefault(name, [])
            for block in listed if isinstance(listed, list) else ():
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


class Remainder:
    """Half a character whose other half never came, a refusal, calls of tools, pictures, what the answer cites.

    ``request`` tells which tools were offered. ``held`` is how many characters came for the end.
    """

    def __init__(self, request: Request) -> None:
        self.joiner = SurrogateJoiner()
        self.media = AnswerMedia()
        self.citations = Citations()
        self.reasoning = EchoedReasoning()
        self._held = 0
        self._request = request
        self._refusal = GatheredText()
        self._calls: list[_Call] = []
        self._places: dict[object, _Call] = {}

    @property
    def held(self) -> int:
        return self._held + self.media.received

    @property
    def has_refused(self) -> bool:
        return bool(self._refusal)

    def refuse(self, text: str) -> None:
        """Take more of what the model says instead of an answer."""
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
        """Take a delta of the tool call at ``place``, or a whole one; ``None`` is the place of the newest.

        The deltas of a call may lack its name or repeat it. Gemini gives calls made at the same time one place, and
        an id each.
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

    def told(self) -> Iterator[TextDelta | Notice]:
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
        """Return ``completion`` with the parts of the reply that came beside its text."""
        echoed, refusal = self.reasoning.provider_data(), self._refused()
        parts = (
            *(() if echoed is None else (ReasoningPart("", echoed),)),
            *(() if refusal is None else (RefusalPart(refusal),)),
            *(call.whole() for call in self._calls),
        )
        return replace(completion, message=Message("assistant", parts), sources=self.citations.sources())

    def _refused(self) -> str | None:
        return wire_text(self._refusal.text).strip() or None


def tools_called(called: Iterable[str], request: Request) -> Notice:
    """Return what to say of calls of the tools with these names."""
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
    """Return the names of the tools that are offered, by ``-O tools=…`` or the older ``functions`` in either API's shape too."""
    extra, names = request.parameters.extra, {tool.name for tool in request.tools}
    for option in ("tools", "functions"):
        tools = extra.get(option)
        for tool in tools if isinstance(tools, list) else ():
            for shape in (tool, *(tool.values() if isinstance(tool, dict) else ())):
                if isinstance(shape, dict) and isinstance(name := shape.get("name"), str):
                    names.add(name)
    return names
