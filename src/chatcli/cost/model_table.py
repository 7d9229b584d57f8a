"""Facts about models by host: window, prices, abilities. One file, read on demand.

``models.jsonl`` is text in UTF-8. Its first line is an object, the header::

    {"format": 1, "date": "2026-11-29", "crc32": ..., "sources": [{"name", "as_of", "urls", "license"}],
     "providers": {"openai": {"name": "OpenAI", "hosts": ["api.openai.com"], "vendor": true}}}

Every other line is ``[name, {provider: [window, abilities, prices, source]}]``, in the order of its bytes, so that a name
is found without reading the others. ``name`` is spelled as by ``model_names.spelled``. ``window`` is in tokens, 0 if
unknown; ``abilities`` are letters of ``ABILITIES``, or null; ``prices`` are tables for ``Price.of``, each from the
day ``from`` on, or null; ``source`` is the index of the source in the header. The provider ``*`` means any.
``crc32`` is that of all lines but the first.

``scripts/model_table.py`` makes the file. A newer one may be in the data folder (``chatcli models --update``).
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_left
from collections import Counter
from datetime import date
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.frozen import frozen
from chatcli.core.json_values import as_object
from chatcli.cost.model_names import LONGEST_NAME, is_same_base, names_of_base, priced_names, spelled
from chatcli.cost.price import KINDS, Price
from chatcli.storage.private_files import read_regular, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORMAT: Final = 1
FILE_NAME: Final = "models.jsonl"
SHIPPED_FILE: Final = Path(__file__).with_name(FILE_NAME)
MOST_BYTES: Final = 8 * 1024 * 1024
"""A larger file is not a model table."""

ABILITIES: Final = {"p": "pictures", "a": "audio", "t": "tools", "r": "reasoning", "s": "structured"}
"""Abilities of models beyond reading and writing text: the letter in the table, and the word for it."""

_ANYBODY: Final = "*"
_LARGEST_WINDOW: Final = 1_000_000_000
_HIGHEST_PRICE: Final = 1_000_000


class DamagedTable(ValueError):
    """An invalid model table; the message completes a sentence."""


@frozen
class Listed:
    """A price of the table: what ``provider`` charges, as known on the day ``as_of``."""

    price: Price
    provider: str
    as_of: date


@frozen
class _Provider:
    name: str
    hosts: tuple[str, ...]
    is_vendor: bool


@frozen
class _Row:
    """The facts of one provider about one model. ``prices`` are ordered by their first day."""

    window_tokens: int | None
    abilities: frozenset[str] | None
    prices: tuple[tuple[date, Price], ...]
    as_of: date | None


class ModelTable:
    """The shipped table, or the one at ``kept`` if that is valid and not older.

    Nothing is read before the first lookup. ``on`` is the day whose prices apply.
    """

    def __init__(self, kept: Path | None = None, *, on: date | None = None) -> None:
        self._kept = kept
        self._on = on
        self._read: _Content | None = None

    @property
    def date(self) -> date:
        """The day the table was made."""
        return self._content.date

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of the table, by name."""
        return self._content.sources

    @property
    def is_shipped(self) -> bool:
        return self._content is _shipped()

    def window_tokens(self, host: str, model: str) -> int | None:
        """Return the context window of ``model`` at ``host``; for an unknown host the smallest at any provider."""
        for name, rows in self._lines_of(model):
            own = rows.get(self._content.provider_at(host) or "")
            if own is not None and own.window_tokens:
                return own.window_tokens
            if not _is_specific(name):
                continue
            known = [row.window_tokens for row in rows.values() if row.window_tokens]
            if known:
                return min(known)
        return None

    def abilities(self, host: str, model: str) -> frozenset[str] | None:
        """Return the abilities of ``model`` at ``host``, in words of ``ABILITIES``.

        For an unknown host those at most providers.

        ``None`` if unknown.
        """
        for name, rows in self._lines_of(model):
            own = rows.get(self._content.provider_at(host) or "")
            if own is not None and own.abilities is not None:
                return own.abilities
            if not _is_specific(name):
                continue
            known = [row.abilities for row in rows.values() if row.abilities is not None]
            if known:
                counted = Counter(ability for abilities in known for ability in abilities)
                return frozenset(ability for ability, times in counted.items() if times * 2 > len(known))
        return None

    def price(self, host: str, model: str) -> Listed | None:
        """Return the price of ``model`` at ``host``, ``None`` if the table has none."""
        provider = self._content.provider_at(host)
        return None if provider is None else self._listed(provider, _names(model))

    def passed_on_price(self, host: str, model: str) -> Listed | None:
        """Return the price at the only vendor of a model named ``model``, which a gateway at ``host`` may pass on.

        ``None`` if ``host`` is in the table, which would have the price.
        """
        if self._content.provider_at(host) is not None:
            return None
        vendors = [name for name, provider in self._content.providers.items() if provider.is_vendor]
        names = _names(model)
        listed = [found for vendor in vendors if (found := self._listed(vendor, names)) is not None]
        return listed[0] if len(listed) == 1 else None

    def knows_host(self, host: str) -> bool:
        return self._content.provider_at(host) is not None

    def _listed(self, provider: str, names: Sequence[str]) -> Listed | None:
        for name in names:
            row = self._content.rows(name).get(provider)
            if row is None or not row.prices or row.as_of is None:
                continue
            on = self._on or date.today()  # noqa: DTZ011 - a price changes with the person's own day
            in_force = [price for start, price in row.prices if start <= on]
            if in_force:
                return Listed(in_force[-1], self._content.providers[provider].name, row.as_of)
        return None

    def _lines_of(self, model: str) -> Iterator[tuple[str, Mapping[str, _Row]]]:
        """Yield the names of the model with each provider's facts, the nearest name first."""
        if len(model) > LONGEST_NAME:
            return
        names = list(names_of_base(model))
        for name in names:
            if rows := self._content.rows(name):
                yield name, rows
        for name in filter(_has_digit, names):
            if rows := self._content.rows_of_base(name):
                yield name, rows
        # For gpt-5-mini-for-us: the longest known name, but not a family's, which says nothing about the
        # size.
        own = names[0] if names else ""
        while _has_digit(own := own.rpartition("-")[0]):
            if rows := self._content.rows(own):
                yield own, rows

    @property
    def _content(self) -> _Content:
        if self._read is None:
            self._read = _newest(self._kept)
        return self._read


class _Content:
    """The bytes of a table; raises ``DamagedTable``. Only requested lines are parsed."""

    def __init__(self, content: bytes) -> None:
        if len(content) > MOST_BYTES:
            raise DamagedTable(f"it is larger than {MOST_BYTES:,} bytes")
        first, _, rest = content.partition(b"\n")
        header = _object(first)
        if header.get("format") != FORMAT:
            raise DamagedTable("it is not a table of models of this version")
        if header.get("crc32") != zlib.crc32(rest):
            raise DamagedTable("it is damaged: its checksum is another one")
        try:
            self.date = date.fromisoformat(header["date"])
            self._as_of = [date.fromisoformat(source["as_of"]) for source in header["sources"]]
            self.sources = tuple(str(source["name"]) for source in header["sources"])
            self.providers = {
                str(provider): _Provider(
                    str(about["name"]), tuple(map(str, about["hosts"])), about["vendor"] is True
                )
                for provider, about in header["providers"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedTable("its first line does not say what it has to") from error
        self._lines = rest.splitlines()
        self._at_host = {host: name for name, provider in self.providers.items() for host in provider.hosts}
        self._regions = [(host, name) for host, name in self._at_host.items() if "*" in host]
        self._rows: dict[str, Mapping[str, _Row]] = {}

    def provider_at(self, host: str) -> str | None:
        own = self._at_host.get(host)
        return own or next((name for pattern, name in self._regions if fnmatchcase(host, pattern)), None)

    def rows(self, name: str) -> Mapping[str, _Row]:
        """Return each provider's facts about the model spelled ``name``."""
        if name not in self._rows:
            beginning = f"[{json.dumps(name)},".encode()
            at = bisect_left(self._lines, beginning)
            is_there = at < len(self._lines) and self._lines[at].startswith(beginning)
            self._rows[name] = self._read(self._lines[at])[1] if is_there else {}
        return self._rows[name]

    def rows_of_base(self, base: str) -> Mapping[str, _Row]:
        """Return the smallest values among the dated snapshots and releases of ``base``."""
        beginning = f"[{json.dumps(base)[:-1]}".encode()
        at = bisect_left(self._lines, beginning)
        found: dict[str, _Row] = {}
        while at < len(self._lines) and self._lines[at].startswith(beginning):
            name, rows = self._read(self._lines[at])
            at += 1
            if is_same_base(name, base):
                for provider, row in rows.items():
                    kept = found.setdefault(provider, row)
                    if (row.window_tokens or _LARGEST_WINDOW) < (kept.window_tokens or _LARGEST_WINDOW):
                        found[provider] = row
        return found

    def check(self) -> None:
        """Raise ``DamagedTable`` if any part of the table is invalid."""
        if self._lines != sorted(set(self._lines)) or not self._lines:
            raise DamagedTable("its lines are not in their order")
        for at, line in enumerate(self._lines, 2):
            try:
                _, rows = self._parsed(line)
            except DamagedTable as error:
                raise DamagedTable(f"line {at}: {error}") from error
            if not rows or not set(rows) <= {*self.providers, _ANYBODY}:
                raise DamagedTable(f"line {at}: it names nobody, or somebody the first line does not name")

    def _read(self, line: bytes) -> tuple[str, Mapping[str, _Row]]:
        try:
            return self._parsed(line)
        except DamagedTable:
            # The table was checked before it was stored; no answer fails for want of a price.
            return "", {}

    def _parsed(self, line: bytes) -> tuple[str, Mapping[str, _Row]]:
        match _json(line):
            case [str(name), dict(rows)] if 0 < len(name) <= LONGEST_NAME and name == spelled(name):
                return name, {str(provider): self._row(row) for provider, row in rows.items()}
        raise DamagedTable("it is not a name with its rows")

    def _row(self, row: object) -> _Row:
        match row:
            case [int(window), str() | None as letters, list() | None as prices, int() | None as source]:
                pass
            case _:
                raise DamagedTable("a row is not a window, abilities, prices and a source")
        if not 0 <= window <= _LARGEST_WINDOW or isinstance(window, bool):
            raise DamagedTable(f"a window of {window} tokens")
        if letters is not None and not set(letters) <= set(ABILITIES):
            raise DamagedTable(f"abilities nobody knows: {letters[:20]!r}")
        if prices and (source is None or not 0 <= source < len(self._as_of)):
            raise DamagedTable("a price without a source")
        return _Row(
            window or None,
            None if letters is None else frozenset(ABILITIES[letter] for letter in letters),
            tuple((_begins(price), _price(price)) for price in prices or ()),
            self._as_of[source] if prices and source is not None else None,
        )


def _names(model: str) -> tuple[str, ...]:
    """Return the names under which a model's price may be listed."""
    return () if len(model) > LONGEST_NAME else tuple(priced_names(model))


def _is_specific(name: str) -> bool:
    """Return whether a name denotes the same model everywhere, unlike ``auto`` or ``small``."""
    return "-" in name or _has_digit(name)


def _has_digit(name: str) -> bool:
    return any(letter.isdigit() for letter in name)


def check_table(content: bytes) -> date:
    """Return the day ``content`` was made; raise ``DamagedTable`` if any part of it is invalid."""
    read = _Content(content)
    read.check()
    return read.date


def keep_table(path: Path, content: bytes) -> date:
    """Store a newer table at ``path`` and return its day.

    Change nothing if it is damaged or older than the shipped one.

    Raise ``DamagedTable``, or ``OSError`` if it cannot be written.
    """
    made_on, shipped_on = check_table(content), _shipped().date
    if made_on < shipped_on:
        raise DamagedTable(f"it is of {made_on}, older than the one that came with chatcli, of {shipped_on}")
    replace(path, content, durably=True)
    return made_on


def table_bytes(header: Mapping[str, Any], rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> bytes:
    """Return the file for ``rows``, by name and provider: ``window``, ``abilities`` in words, ``price``, ``source``."""
    letters = {word: letter for letter, word in ABILITIES.items()}
    lines = []
    for name, providers in rows.items():
        line = {}
        for provider, row in providers.items():
            able = (
                None if row.get("abilities") is None else "".join(letters[word] for word in row["abilities"])
            )
            line[provider] = [row.get("window", 0), able, row.get("price"), row.get("source")]
        lines.append(_compact([name, line]))
    rest = b"".join(line + b"\n" for line in sorted(lines))
    return _compact({**header, "crc32": zlib.crc32(rest)}) + b"\n" + rest


@cache
def _shipped() -> _Content:
    return _Content(SHIPPED_FILE.read_bytes())


def _newest(kept: Path | None) -> _Content:
    shipped = _shipped()
    if kept is None:
        return shipped
    try:
        content = _Content(read_regular(kept, most_bytes=MOST_BYTES))
    except (OSError, DamagedTable):
        # It is written atomically; a damaged file counts as none.
        return shipped
    # A program updated since may ship a newer table.
    return content if content.date >= shipped.date else shipped


def _begins(price: object) -> date:
    start = as_object(price).get("from")
    if start is None:
        return date.min
    try:
        return date.fromisoformat(start)
    except (TypeError, ValueError) as error:
        raise DamagedTable("a price from a day that is none") from error


def _price(price: object, depth: int = 0) -> Price:
    if not isinstance(price, dict) or not {"input", "output"} <= set(price) or depth > 4:  # noqa: PLR2004
        raise DamagedTable("a price that is none")
    numbers = [price[kind] for kind in KINDS if kind in price]
    beyond, up_to_tokens = price.get("beyond"), price.get("up_to_tokens")
    try:
        if not all(type(number) in (int, float) and 0 <= number <= _HIGHEST_PRICE for number in numbers):
            raise DamagedTable("a price that is no amount")
        if up_to_tokens is not None and (type(up_to_tokens) is not int or up_to_tokens <= 0):
            raise DamagedTable("a price up to a number of tokens that is none")
        if beyond is not None:
            _price(beyond, depth + 1)
        return Price.of(price)
    except (InvalidOperation, TypeError) as error:
        raise DamagedTable("a price that is no amount") from error


def _object(line: bytes) -> dict[str, Any]:
    found = _json(line)
    if not isinstance(found, dict):
        raise DamagedTable("it is not a table of models")
    return found


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedTable("it is not JSON") from error


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_number).encode()


def _number(value: object) -> int | float:
    exact = Decimal(str(value))
    return int(exact) if exact == exact.to_integral_value() else float(exact)
