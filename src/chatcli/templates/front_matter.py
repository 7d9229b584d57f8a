"""What stands above the words of a template: TOML between two lines of ``+++``.

TOML, as it is the language of config.toml: values have types, the standard library reads it, and what looks like
YAML would have to behave like it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import ConfigurationError
from chatcli.core.toml_mistakes import toml_hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SETTINGS: Final = ("model", "profile", "system", "temperature", "max_tokens")
"""Settings a template may make for the call that names it: what is asked for, never where to, or with which key."""

OUTPUTS: Final = ("text", "markdown", "json", "jsonl")

_KEYS: Final = ("description", *SETTINGS, "extract", "output", "defaults")
_FENCE: Final = "+++"
_MATTER: Final = re.compile(r"\+\+\+[ \t]*\n(?P<toml>.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_YAML: Final = re.compile(r"---[ \t]*\n(?:[\w-]+:.*\n)+---[ \t]*(?:\n|\Z)")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """``settings`` are not checked yet; ``defaults`` are texts by the name of their variable."""

    description: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    extract: bool = False
    output: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)


def split_front_matter(text: str, where: str) -> tuple[FrontMatter, str, int]:
    """Return the front matter, the words below it, and the number of their first line.

    Raise ``ConfigurationError``, telling ``where``, for one that cannot be read.
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
            raise ConfigurationError(f"{where}: unknown key {name!r}", hint=_nearest(name, _KEYS))
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
    return FrontMatter(
        description=" ".join(description.split()),
        settings={name: table[name] for name in SETTINGS if name in table},
        extract=extract,
        output=output,
        defaults=defaults,
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 -- only a mistake needs it

    known = list(known)
    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {found[0]}?" if found else f"keys: {', '.join(known)}"
