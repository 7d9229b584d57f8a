"""What an answer cites, in every shape providers send it.

``url_citation`` annotations: https://platform.openai.com/docs/guides/tools-web-search (chat completions have the fields
in an object of that name, Responses beside the type); OpenRouter sends the former for every model. Lists beside the
answer: ``citations`` and ``search_results`` of Perplexity (https://docs.perplexity.ai/api-reference), ``citations`` of
xAI; LiteLLM passes Gemini's grounding on as ``vertex_ai_grounding_metadata``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.events import CitedSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE_LISTS: Final = frozenset(
    {"citations", "search_results", "annotations", "vertex_ai_grounding_metadata"}
)
"""The fields that may list sources, beside an answer or in its message."""

_MOST_SOURCES: Final = 100
_LONGEST_ADDRESS: Final = 2_048
_LONGEST_TITLE: Final = 300


@dataclass(slots=True)
class _Cited:
    title: str
    is_file: bool
    number: int | None


class Citations:
    """Gathers sources, each once, at most 100 of them.

    Perplexity's answers name a source by its place in the list, so a place in a list is its number; the others are
    numbered behind those, in the order they came.
    """

    def __init__(self) -> None:
        self._cited: dict[str, _Cited] = {}
        self._last: dict[str, object] = {}

    def read(self, data: Mapping[str, Any]) -> None:
        """Take what the ``SOURCE_LISTS`` of ``data`` hold; lists that repeat what the last had cost next to nothing."""
        for name in SOURCE_LISTS & data.keys():
            listed = data[name]
            if isinstance(listed, list) and listed and listed != self._last.get(name):
                self._last[name] = listed
                if name == "annotations":
                    self.annotate(listed)
                elif name == "vertex_ai_grounding_metadata":
                    self._number(list(_grounding_chunks(listed)))
                # The places of ``citations`` are those the answer names, whatever else is listed.
                elif name == "citations" or "citations" not in self._last.keys() | data.keys():
                    self._number(listed)
                else:
                    self._entitle(listed)

    def annotate(self, annotations: object) -> None:
        """Take the annotations of a message or of a part of one, or a single one."""
        for each in annotations if isinstance(annotations, list) else [annotations]:
            if not isinstance(each, dict):
                continue
            kind, inner = each.get("type"), each.get("url_citation")
            if kind == "url_citation":
                self._cite(inner if isinstance(inner, dict) else each)
            elif kind in ("file_citation", "container_file_citation"):
                self._cite_file(each.get("filename"))

    def reference(self, part: Mapping[str, Any]) -> None:
        """Take a part of the content that is a reference (``tool_reference`` of Mistral's connectors)."""
        self._cite(part)

    def sources(self) -> tuple[CitedSource, ...]:
        highest = max((cited.number or 0 for cited in self._cited.values()), default=0)
        told = []
        for place, cited in self._cited.items():
            number = cited.number
            if number is None:
                number = highest = highest + 1
            url, path = (None, place) if cited.is_file else (place, None)
            told.append(CitedSource(number, cited.title, url, path))
        return tuple(sorted(told, key=lambda source: source.n))

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
        is_address = isinstance(url, str) and url[:8].lower().startswith(("http://", "https://"))
        return self._add(url, title) if is_address else None

    def _cite_file(self, name: object) -> None:
        if isinstance(name, str) and name:
            self._add(name, name, is_file=True)

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
        chunks = each.get("groundingChunks") if isinstance(each, dict) else None
        for chunk in chunks if isinstance(chunks, list) else ():
            yield chunk.get("web") if isinstance(chunk, dict) else None
