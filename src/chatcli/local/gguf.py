"""The header of a GGUF file: what its model is, without reading the weights.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.frozen import frozen
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import IO

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_NUMBERS: Final = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
"""The number types and how ``struct`` reads them."""
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES: Final = 100_000
_MOST_ITEMS: Final = 10_000_000
_MOST_DIMENSIONS: Final = 16
"""The format has 4 at present."""
_LONGEST_KEY: Final = 65_535
_LONGEST_TEXT: Final = 4 << 20
"""Chat templates have some 10,000 characters."""
_LONGEST_LICENSE: Final = 40
"""It stands in a column of a table."""
_NOT_FOR_CHAT: Final = frozenset(
    {
        *("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3"),
        *("gemma-embedding", "t5encoder", "clip", "wavtokenizer-dec", "llama-embed"),
    }
)
"""Architectures of models that make vectors or sounds, or read pictures for another model."""


class NotUsable(ValueError):
    """The file is not a model to chat with; the message follows its path."""


@frozen
class GgufModel:
    """What the header says; numbers are 0 and texts empty where it says nothing.

    ``cache_bytes_per_token`` is what one token of the context takes in memory.
    """

    architecture: str
    license: str = ""
    context_tokens: int = 0
    cache_bytes_per_token: int = 0
    has_template: bool = False


def read_gguf(path: Path) -> GgufModel:
    """Read the header of the file.

    :raises NotUsable: it is no GGUF file, a damaged one, or not a model to chat with
    :raises OSError: it cannot be read
    """
    with path.open("rb") as file:
        reader = _HeaderReader(file, path.stat().st_size)
        try:
            tensors, entries = _entries(reader)
            found = dict(entries)
            last_bytes = _last_tensor_bytes(reader, tensors)
        except (struct.error, EOFError) as error:
            raise NotUsable("ends in the middle of its header: the download may be unfinished") from error
        if last_bytes >= reader.left_bytes:
            raise NotUsable("ends before its weights do: the download may be unfinished")
    architecture = found.get("general.architecture")
    if not isinstance(architecture, str):
        raise NotUsable("does not say which kind of model it is")
    kind = found.get("general.type", "model")
    if architecture in _NOT_FOR_CHAT or kind != "model":
        raise NotUsable(f"is no model to chat with ({architecture if kind == 'model' else kind})")
    if _number(found, "split.no"):
        raise NotUsable("is a later part of a model in several files; name the first one")
    return GgufModel(
        architecture=architecture,
        license=shortened(" ".join(_text(found, "general.license").split()), _LONGEST_LICENSE),
        context_tokens=_number(found, f"{architecture}.context_length"),
        cache_bytes_per_token=_cache_bytes(found, architecture),
        has_template="tokenizer.chat_template" in found,
    )


def _cache_bytes(found: Mapping[str, Any], architecture: str) -> int:
    """Return the size of keys and values of one token, with 16 bits a number as the engine keeps them."""
    heads = _number(found, f"{architecture}.attention.head_count")
    if not heads:
        return 0
    head_size = _number(found, f"{architecture}.embedding_length") // heads
    sizes = [
        _number(found, f"{architecture}.attention.{kind}_length") or head_size for kind in ("key", "value")
    ]
    shared_heads = _number(found, f"{architecture}.attention.head_count_kv") or heads
    return _number(found, f"{architecture}.block_count") * shared_heads * sum(sizes) * 2


def _number(found: Mapping[str, Any], key: str) -> int:
    value = found.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""


def _last_tensor_bytes(reader: _HeaderReader, count: int) -> int:
    """Read the list of tensors; return where the last one begins behind it, ``-1`` if there is none."""
    last_bytes = -1
    for _ in range(count):
        reader.text(_LONGEST_KEY)
        dimensions = reader.number(4)
        if dimensions > _MOST_DIMENSIONS:
            raise NotUsable("has a damaged header")
        reader.take(dimensions * struct.calcsize("<Q"))
        reader.number(4)
        last_bytes = max(last_bytes, reader.number(10))
    return last_bytes


def _entries(reader: _HeaderReader) -> tuple[int, list[tuple[str, Any]]]:
    """Return the number of tensors, and the entries."""
    if reader.take(4) != _MAGIC:
        raise NotUsable("is no GGUF file")
    version = reader.number(4)
    if version not in _VERSIONS:
        raise NotUsable(f"has version {version} of GGUF, which chatcli cannot read")
    tensors, count = reader.number(10), reader.number(10)
    if max(tensors, count) > _MOST_ENTRIES:
        raise NotUsable("has a damaged header")
    return tensors, [(reader.text(_LONGEST_KEY), reader.value(reader.number(4))) for _ in range(count)]


class _HeaderReader:
    """Reads values of a file with ``size_bytes``; lengths beyond its end are damage, and nothing is made of them."""

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        self.left_bytes = size_bytes

    def take(self, size_bytes: int) -> bytes:
        self._count(size_bytes)
        taken = self._file.read(size_bytes)
        if len(taken) < size_bytes:
            raise EOFError
        return taken

    def number(self, kind: int) -> Any:
        pattern = _NUMBERS[kind]
        return struct.unpack(pattern, self.take(struct.calcsize(pattern)))[0]

    def text(self, longest: int) -> str:
        length = self.number(10)
        if length > longest:
            self._skip(length)
            return ""
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """Return a value; arrays, which hold the vocabulary, are skipped and ``None``."""
        if kind == _STRING:
            return self.text(_LONGEST_TEXT)
        if kind in _NUMBERS:
            return self.number(kind)
        if kind != _ARRAY:
            raise NotUsable("has a damaged header")
        items, length = self.number(4), self.number(10)
        if length > _MOST_ITEMS:
            raise NotUsable("has a damaged header")
        if items == _STRING:
            for _ in range(length):
                self._skip(self.number(10))
        elif items in _NUMBERS:
            self._skip(length * struct.calcsize(_NUMBERS[items]))
        else:
            raise NotUsable("has a damaged header")
        return None

    def _skip(self, size_bytes: int) -> None:
        self._count(size_bytes)
        self._file.seek(size_bytes, 1)

    def _count(self, size_bytes: int) -> None:
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise EOFError
