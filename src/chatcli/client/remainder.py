"""What of an answer can only be told at its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from chatcli.client.answer_media import AnswerMedia
from chatcli.client.citations import Citations
from chatcli.client.wire_text import SurrogateJoiner, wire_text
from chatcli.core.events import Notice, TextDelta, ToolCall
from chatcli.core.gathered_text import GatheredText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatcli.core.events import Completion
    from chatcli.core.request import Request

MOST_CALLS: Final = 128
"""As many tools as OpenAI lets a request offer."""

_LONGEST_IDENTITY: Final = 1_000
_MOST_NAMED: Final = 8
_LONGEST_NAME: Final = 64
"""As long as OpenAI allows."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: GatheredText = field(default_factory=GatheredText)

    def whole(self) -> ToolCall:
        return ToolCall(wire_text(self.id), wire_text(self.name), wire_text(self.arguments.text))


class Remainder:
    """Half a character whose other half never came, a refusal, calls of tools, pictures, what the answer cites.

    ``request`` tells which tools were offered. ``held`` is how many characters came for the end.
    """

    def __init__(self, request: Request) -> None:
        self.joiner = SurrogateJoiner()
        self.media = AnswerMedia()
        self.citations = Citations()
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

    def call(
        self, place: object, *, identity: object = None, name: object = None, arguments: object = None
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
        """Return ``completion`` with what came beside the text."""
        calls, sources = tuple(call.whole() for call in self._calls), self.citations.sources()
        return replace(completion, refusal=self._refused(), tool_calls=calls, sources=sources)

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
    """Return the names of the tools that ``-O tools=…`` offers, or the older ``functions``, in either API's shape."""
    extra, names = request.parameters.extra, set()
    for option in ("tools", "functions"):
        tools = extra.get(option)
        for tool in tools if isinstance(tools, list) else ():
            for shape in (tool, *(tool.values() if isinstance(tool, dict) else ())):
                if isinstance(shape, dict) and isinstance(name := shape.get("name"), str):
                    names.add(name)
    return names
