"""Prompt templates: front matter, placeholders, and the question they make.

The front matter is TOML between two lines of ``+++``, the language of config.toml. The places::

    {{ input }}            what was piped or attached, or what was typed
    {{ name }}             a variable
    {{ name = "text" }}    a variable with a default
    {{ 1 }}                the first of the words that were typed
    {{ "{{" }}             text as it stands between the quotes
    {{> name }}            the text of another template

There is nothing else: no expressions, no code. Inserted values are never parsed again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.messages import Message, TextPart
from chatcli.text.hints import did_you_mean, nearest, toml_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


SETTINGS: Final = (
    "model",
    "profile",
    "system",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "reasoning",
    "verbosity",
    "web_search",
)
"""Settings a template may make for its call: how to ask, but never which endpoint or key."""
OUTPUTS: Final = ("text", "markdown", "json", "jsonl")
_KEYS: Final = ("description", *SETTINGS, "extract", "output", "schema", "schema_multi", "defaults")
_FENCE: Final = "+++"
_MATTER: Final = re.compile(r"\+\+\+[ \t]*\n(?P<toml>.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_YAML: Final = re.compile(r"---[ \t]*\n(?:[\w-]+:.*\n)+---[ \t]*(?:\n|\Z)")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """``settings`` and ``schema`` are not validated yet; ``defaults`` are texts by variable.

    ``is_schema_of_items``: the answer is a list of what ``schema`` describes.
    """

    description: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    extract: bool = False
    output: str | None = None
    schema: str | None = None
    is_schema_of_items: bool = False
    defaults: Mapping[str, str] = field(default_factory=dict)


def split_front_matter(text: str, where: str) -> tuple[FrontMatter, str, int]:
    """Split into front matter, text, and the number of the text's first line.

    Raise ``ConfigurationError``, mentioning ``where``, if the front matter is invalid.
    """
    match = _MATTER.match(text)
    if match is None:
        if text.partition("\n")[0].rstrip() == _FENCE:
            raise ConfigurationError(
                f"{where}: its front matter is not closed", hint="end it with a line of +++"
            )
        if _YAML.match(text):
            raise ConfigurationError(
                f"{where}: its front matter stands between lines of ---",
                hint='write TOML between lines of +++, like description = "Review a change"',
            )
        return FrontMatter(), text, 1
    matter = _read(_parsed(match["toml"], where), where)
    return matter, text[match.end() :], text.count("\n", 0, match.end()) + 1


def _parsed(toml: str, where: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 -- 5 ms that a template without front matter does not need

    try:
        return tomllib.loads(toml)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{where}: its front matter is not valid TOML: {error}",
            hint=toml_hint(toml, error) or "Texts stand in quotes.",
        ) from error


def _read(table: Mapping[str, Any], where: str) -> FrontMatter:
    for name in table:
        if name not in _KEYS:
            raise ConfigurationError(
                f"{where}: unknown key {name!r}", hint=nearest(name, _KEYS) or f"keys: {', '.join(_KEYS)}"
            )
    defaults = table.get("defaults", {})
    if not isinstance(defaults, dict) or not all(isinstance(value, str) for value in defaults.values()):
        raise ConfigurationError(
            f"{where}: defaults must be a table of texts", hint='write it as [defaults] and to = "English"'
        )
    description, output = table.get("description", ""), table.get("output")
    extract = table.get("extract", False)
    if not isinstance(description, str):
        raise ConfigurationError(f"{where}: description must be a text", hint="put it in quotes")
    if not isinstance(extract, bool):
        raise ConfigurationError(f"{where}: extract must be true or false", hint="leave the quotes out")
    if output is not None and output not in OUTPUTS:
        raise ConfigurationError(f"{where}: unknown output {output!r}", hint=f"outputs: {', '.join(OUTPUTS)}")
    schema, is_of_items = _schema(table, where)
    if extract and schema:
        raise ConfigurationError(
            f"{where}: extract and a schema cannot be combined", hint="leave extract out: the answer is JSON"
        )
    return FrontMatter(
        description=" ".join(description.split()),
        settings={name: table[name] for name in SETTINGS if name in table},
        extract=extract,
        output=output,
        schema=schema,
        is_schema_of_items=is_of_items,
        defaults=defaults,
    )


def _schema(table: Mapping[str, Any], where: str) -> tuple[str | None, bool]:
    """Return the schema of a template, and whether a list of what it describes is wanted."""
    given = {name: table[name] for name in ("schema", "schema_multi") if name in table}
    if not all(isinstance(each, str) for each in given.values()):
        raise ConfigurationError(
            f"{where}: a schema must be a text", hint="give its name, its path or its fields"
        )
    if len(given) > 1:
        raise ConfigurationError(
            f"{where}: schema and schema_multi cannot be combined", hint="use one of them"
        )
    return next(iter(given.values()), None), "schema_multi" in given


INPUT: Final = "input"
NAME: Final = r"\w(?:[\w.-]{0,98}\w)?"
"""The pattern of a template's name."""
_OPENING: Final = "{{"
_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*"'
_PLACE: Final = re.compile(
    rf"\{{\{{\s*(?:>\s*(?P<include>{NAME})|(?P<name>[^\W\d][\w-]*|[1-9][0-9]?)(?:\s*=\s*(?P<default>{_QUOTED}))?|(?P<text>{_QUOTED}))\s*\}}\}}"
)
_LONGEST_SHOWN: Final = 30
_HOW: Final = (
    'a place is {{ input }}, {{ name }}, {{ name = "default" }}, {{ 1 }} or {{> template }}; '
    '{{ "{{" }} writes the braces'
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder: ``input``, a variable, or the number of a word.

    ``is_further``: an earlier template has a place for the input, so documents are not attached here again.
    """

    name: str
    default: str | None = None
    is_further: bool = False

    @property
    def position(self) -> int | None:
        """The typed word it takes, the first being 1."""
        return int(self.name) if self.name.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Include:
    """The place of another template's text; ``line`` is where it stands."""

    name: str
    line: int


Segment: TypeAlias = str | Placeholder


def read_places(text: str, where: str, *, first_line: int = 1) -> tuple[Segment | Include, ...]:
    """Split ``text`` into segments.

    Raise ``ConfigurationError``, mentioning ``where``, for an invalid placeholder.
    """
    return tuple(_segments(text, where, first_line))


def _segments(text: str, where: str, first_line: int) -> Iterator[Segment | Include]:
    at = 0
    while (opening := text.find(_OPENING, at)) >= 0:
        if opening > at:
            yield text[at:opening]
        match = _PLACE.match(text, opening)
        line = first_line + text.count("\n", 0, opening)
        segment = None if match is None else _segment(match, line)
        if match is None or segment is None:
            shown = text[opening:].partition("\n")[0][:_LONGEST_SHOWN]
            raise ConfigurationError(f"{where}, line {line}: cannot read {shown}", hint=_HOW)
        yield segment
        at = match.end()
    if at < len(text):
        yield text[at:]


def _segment(match: re.Match[str], line: int) -> Segment | Include | None:
    """Return the segment, ``None`` if a quoted text is not valid JSON."""
    if match["include"] is not None:
        return Include(match["include"], line)
    try:
        if match["name"] is None:
            return str(json.loads(match["text"]))
        return Placeholder(match["name"], None if match["default"] is None else json.loads(match["default"]))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Filling:
    """The values for a template's placeholders.

    ``words`` are for numbered placeholders, ``values`` for named ones. ``typed`` is the rest of what the
    person wrote; ``documents`` are framed texts of attachments.
    """

    words: Sequence[str] = ()
    typed: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    documents: Sequence[str] = ()

    def with_answers(self, answers: Mapping[str, str]) -> Filling:
        """Return the filling with values for missing placeholders, by name."""
        return replace(self, typed=answers.get(INPUT, self.typed), values={**self.values, **answers})


@dataclass(frozen=True, slots=True)
class Template:
    """A question's text with placeholders; ``matter`` is its front matter."""

    name: str
    matter: FrontMatter
    segments: tuple[Segment, ...]

    @property
    def places(self) -> tuple[Placeholder, ...]:
        """The placeholders, each name once, in order of appearance."""
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
        """The number of typed words the numbered placeholders take."""
        return max((place.position or 0 for place in self.places), default=0)

    def refuse_unknown(self, names: Iterable[str]) -> None:
        """Raise ``UsageError`` for a name that no variable has."""
        for name in names:
            if name not in self.variables:
                raise UsageError(
                    f"the template {self.name} has no variable {name}",
                    hint=did_you_mean(name, self.variables, "variables"),
                )

    def missing(self, filling: Filling) -> tuple[str, ...]:
        """Return the names of the placeholders without a value."""
        return tuple(place.name for place in self.places if self._value(place, filling) is None)

    def question(self, filling: Filling) -> Message:
        """Return the person's message; nothing may be missing.

        Documents replace ``{{ input }}``, or else are appended, marked as documents: the words around them
        stay the person's own. Typed text replaces ``{{ input }}`` if there are no documents, and else follows
        the template's text. Raise ``UsageError`` if the result is empty.
        """
        parts: list[TextPart] = []
        own = ""
        for segment in self.segments:
            if isinstance(segment, str):
                own += segment
            elif segment.name == INPUT and filling.documents and segment.is_further:
                own = own.rstrip()
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
        """Return the value of a placeholder, ``None`` without one."""
        found = filling.values.get(place.name)
        if place.name == INPUT:
            found = filling.typed or ("" if filling.documents else found)
        elif found is None and place.position is not None and place.position <= len(filling.words):
            found = filling.words[place.position - 1]
        return self.default(place.name) if found is None else found

    def default(self, name: str) -> str | None:
        """Return the default of a placeholder, beside any occurrence of its name or in the front matter."""
        beside = (
            each.default for each in self.segments if isinstance(each, Placeholder) and each.name == name
        )
        return next((default for default in beside if default is not None), self.matter.defaults.get(name))


class TemplateText(NamedTuple):
    """The file of a template: its name, its text, and its path for messages."""

    name: str
    text: str
    where: str


def _no_others(name: str) -> TemplateText:
    raise UsageError(f"there is no template {name}", hint="only stored templates can be included")


def read_template(
    name: str, text: str, where: str, *, find: Callable[[str], TemplateText] = _no_others
) -> Template:
    """Parse a template, with the texts it includes, which ``find`` returns by name.

    An included template brings its text and its defaults; its other settings do not count. Raise
    ``ConfigurationError``, mentioning ``where``, if it or an included one is invalid.
    """
    reader = _IncludingReader(find)
    matter, segments = reader.read(TemplateText(name, text, where), ())
    template = Template(name, replace(matter, defaults=reader.defaults), segments)
    known = [place.name for place in template.places]
    for variable in matter.defaults:
        if variable not in known:
            raise ConfigurationError(
                f"{where}: a default for {variable}, which the text does not use",
                hint=f"variables in the text: {', '.join(known) or 'none'}",
            )
    return template


_MOST_INCLUDES: Final = 50
_DEEPEST: Final = 8
_MOST_CHARACTERS: Final = 1_000_000


class _IncludingReader:
    """Reads one template with what it includes; ``defaults`` are those of all, the outermost first."""

    def __init__(self, find: Callable[[str], TemplateText]) -> None:
        self._find = find
        self._included = 0
        self._characters = 0
        self.defaults: dict[str, str] = {}

    def read(
        self, source: TemplateText, above: tuple[TemplateText, ...]
    ) -> tuple[FrontMatter, tuple[Segment, ...]]:
        """Return front matter and segments of ``source``, which is included by the last of ``above``."""
        matter, body, first_line = split_front_matter(source.text, source.where)
        self.defaults = {**matter.defaults, **self.defaults}
        first_line += len(body) - len(body.lstrip("\n"))
        segments: list[Segment] = []
        for segment in read_places(body.strip("\n"), source.where, first_line=first_line):
            if isinstance(segment, Include):
                segments += self._included_by((*above, source), segment)
            else:
                segments.append(segment)
        if not body.strip():
            raise ConfigurationError(
                f"{source.where} is empty", hint="write the prompt below its front matter"
            )
        return matter, tuple(segments)

    def _included_by(self, above: tuple[TemplateText, ...], include: Include) -> tuple[Segment, ...]:
        place = f"{above[-1].where}, line {include.line}"
        try:
            source = self._find(include.name)
        except UsageError as error:
            raise ConfigurationError(f"{place}: {error.message}", hint=error.hint) from error
        if any(source.where == each.where for each in above):
            chain = " includes ".join([*(each.name for each in above), source.name])
            raise ConfigurationError(f"{place}: templates include each other: {chain}", hint="remove one")
        self._included += 1
        self._characters += len(source.text)
        if len(above) > _DEEPEST:
            raise ConfigurationError(
                f"{place}: more than {_DEEPEST} templates inside each other", hint="include fewer"
            )
        if self._included > _MOST_INCLUDES or self._characters > _MOST_CHARACTERS:
            raise ConfigurationError(
                f"{place}: it includes more than {_MOST_INCLUDES} templates or {_MOST_CHARACTERS:,} characters",
                hint="attach what is to be read: -f PATH",
            )
        return self.read(source, above)[1]


def _own_part(text: str) -> list[TextPart]:
    return [TextPart(text)] if text.strip() else []


def _document_parts(filling: Filling) -> list[TextPart]:
    return [TextPart(document, "document") for document in filling.documents]
