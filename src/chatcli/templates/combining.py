"""Several templates as one: their texts in order, their settings merged.

System prompts are joined. Of every other setting, and of a default, the last template that has it decides; a
note says so where they differ. A variable of one name is one variable. Documents stand in the first place for
the input alone; typed text stands in each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.templates.template import INPUT, FrontMatter, Placeholder, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chatcli.templates.template import Segment

SEPARATOR: Final = "\n\n"
_SYSTEM: Final = "system"


def combined(templates: Sequence[Template], notify: Callable[[str], object]) -> Template:
    """Return one template for all of ``templates``; ``notify`` is given a line for each conflict.

    Raise ``UsageError`` if they cannot be combined.
    """
    if len(templates) == 1:
        return templates[0]
    name = " + ".join(template.name for template in templates)
    decided: dict[str, tuple[Template, object]] = {}
    for template in templates:
        for key, value in _settings(template):
            before = decided.get(key)
            if before is not None and before[1] != value:
                notify(f"{key} comes from the template {template.name}, not from {before[0].name}")
            decided[key] = template, value
    settings = {key: value for key, (_, value) in decided.items() if key not in _OF_THE_ANSWER}
    if prompts := [
        template.matter.settings[_SYSTEM] for template in templates if _SYSTEM in template.matter.settings
    ]:
        # Another type is refused where settings are validated.
        are_texts = all(isinstance(prompt, str) for prompt in prompts)
        settings[_SYSTEM] = SEPARATOR.join(map(str, prompts)) if are_texts else prompts[-1]
    by_schema = decided["schema"][0].matter if "schema" in decided else None
    extracting = next((template for template in templates if template.matter.extract), None)
    if extracting is not None and by_schema is not None:
        raise UsageError(
            f"{name}: extract of {extracting.name} and a schema cannot be combined", hint="use one of them"
        )
    matter = FrontMatter(
        settings=settings,
        extract=extracting is not None,
        output=None if "output" not in decided else decided["output"][0].matter.output,
        schema=None if by_schema is None else by_schema.schema,
        is_schema_of_items=by_schema is not None and by_schema.is_schema_of_items,
        defaults=_defaults(templates),
    )
    return Template(name, matter, tuple(_segments(templates)))


def in_conversation(template: Template) -> Template:
    """Return ``template`` with its system prompt above its text: a conversation keeps its own."""
    settings = dict(template.matter.settings)
    system = settings.pop(_SYSTEM, None)
    if not isinstance(system, str) or not system.strip():
        return template
    matter = replace(template.matter, settings=settings)
    return replace(template, matter=matter, segments=(system.strip(), SEPARATOR, *template.segments))


_OF_THE_ANSWER: Final = frozenset({"output", "schema"})


def _settings(template: Template) -> Iterable[tuple[str, object]]:
    matter = template.matter
    yield from ((key, value) for key, value in matter.settings.items() if key != _SYSTEM)
    if matter.output is not None:
        yield "output", matter.output
    if matter.schema is not None:
        yield "schema", (matter.schema, matter.is_schema_of_items)


def _defaults(templates: Iterable[Template]) -> dict[str, str]:
    found = (
        (place.name, template.default(place.name)) for template in templates for place in template.places
    )
    return {name: default for name, default in found if default is not None}


def _segments(templates: Sequence[Template]) -> Iterable[Segment]:
    takes_input = False
    for at, template in enumerate(templates):
        if at:
            yield SEPARATOR
        for segment in template.segments:
            if isinstance(segment, Placeholder):
                # The defaults of all are in the front matter.
                yield replace(segment, default=None, is_further=takes_input and segment.name == INPUT)
            else:
                yield segment
        takes_input = takes_input or template.takes_input
