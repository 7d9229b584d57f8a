"""A template: reading one, and making a question of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.messages import Message, TextPart
from chatcli.templates.front_matter import FrontMatter, split_front_matter
from chatcli.templates.places import INPUT, Placeholder, read_places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatcli.templates.places import Segment


@dataclass(frozen=True, slots=True)
class Filling:
    """What a template is filled in with.

    ``words`` are taken by the numbered places, ``values`` by the places of those names. ``typed`` is what else the
    person wrote; ``documents`` are the framed texts they handed over.
    """

    words: Sequence[str] = ()
    typed: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    documents: Sequence[str] = ()

    def with_answers(self, answers: Mapping[str, str]) -> Filling:
        """Return it with texts for what was missing, by the names of the places."""
        return replace(self, typed=answers.get(INPUT, self.typed), values={**self.values, **answers})


@dataclass(frozen=True, slots=True)
class Template:
    """The words of a question with their places; ``matter`` is what stands above them."""

    name: str
    matter: FrontMatter
    segments: tuple[Segment, ...]

    @property
    def places(self) -> tuple[Placeholder, ...]:
        """The places, each name once, in the order of the text."""
        first: dict[str, Placeholder] = {}
        for segment in self.segments:
            if isinstance(segment, Placeholder):
                first.setdefault(segment.name, segment)
        return tuple(first.values())

    @property
    def takes_input(self) -> bool:
        return any(place.name == INPUT for place in self.places)

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(place.name for place in self.places if place.name != INPUT and place.position is None)

    @property
    def words_taken(self) -> int:
        """How many of the typed words the numbered places take."""
        return max((place.position or 0 for place in self.places), default=0)

    def missing(self, filling: Filling) -> tuple[str, ...]:
        """Return the names of the places there is nothing for."""
        return tuple(place.name for place in self.places if self._value(place, filling) is None)

    def question(self, filling: Filling) -> Message:
        """Return the person's message; nothing may be missing.

        What was handed over stands where ``{{ input }}`` does, or else at the end, and is marked as a document: the
        words around it stay the person's own. What was typed takes that place where nothing was handed over, and else
        follows the template's words. Raise ``UsageError`` where all of it together is nothing.
        """
        parts: list[TextPart] = []
        own = ""
        for segment in self.segments:
            if isinstance(segment, str):
                own += segment
            elif segment.name == INPUT and filling.documents:
                parts += [*_own_part(own.rstrip()), *_document_parts(filling)]
                own = ""
            else:
                own += self._value(segment, filling) or ""
        if parts:
            own = own.lstrip()
        if filling.typed and (filling.documents or not self.takes_input):
            own = f"{own}\n\n{filling.typed}" if own.strip() else filling.typed
        parts += _own_part(own)
        if not self.takes_input:
            parts += _document_parts(filling)
        if not parts:
            raise UsageError(
                f"the template {self.name} is empty once filled in",
                hint="give its variables a value",
            )
        return Message("user", tuple(parts))

    def _value(self, place: Placeholder, filling: Filling) -> str | None:
        """Return what stands in a place, ``None`` where there is nothing for it."""
        found = filling.values.get(place.name)
        if place.name == INPUT:
            found = filling.typed or ("" if filling.documents else found)
        elif found is None and place.position is not None and place.position <= len(filling.words):
            found = filling.words[place.position - 1]
        if found is not None:
            return found
        # The default may stand at another occurrence of the name, or above the text.
        beside = (
            each.default
            for each in self.segments
            if isinstance(each, Placeholder) and each.name == place.name
        )
        return next(
            (default for default in beside if default is not None), self.matter.defaults.get(place.name)
        )


def read_template(name: str, text: str, where: str) -> Template:
    """Read the text of a template. Raise ``ConfigurationError``, telling ``where``, for one that is none."""
    matter, body, first_line = split_front_matter(text, where)
    first_line += len(body) - len(body.lstrip("\n"))
    template = Template(name, matter, read_places(body.strip("\n"), where, first_line=first_line))
    if not body.strip():
        raise ConfigurationError(f"{where} is empty", hint="write the prompt below its front matter")
    known = [place.name for place in template.places]
    for variable in matter.defaults:
        if variable not in known:
            raise ConfigurationError(
                f"{where}: a default for {variable}, which the text does not use",
                hint=f"variables in the text: {', '.join(known) or 'none'}",
            )
    return template


def _own_part(text: str) -> list[TextPart]:
    return [TextPart(text)] if text.strip() else []


def _document_parts(filling: Filling) -> list[TextPart]:
    return [TextPart(document, "document") for document in filling.documents]
