"""The two vocabularies of OpenAI's models, from the package itself: counting works offline from the first start.

tiktoken would download them on first use. The files beside this module are the ones it would fetch, compressed;
their SHA-256 are those in ``tiktoken_ext/openai_public.py``, from which the split patterns and the special tokens
are taken too.
"""

from __future__ import annotations

import gzip
import hashlib
from binascii import a2b_base64
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding


@dataclass(frozen=True, slots=True)
class Vocabulary:
    name: str
    sha256: str
    pattern: str
    special_tokens: tuple[tuple[str, int], ...]


O200K_BASE = Vocabulary(
    name="o200k_base",
    sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    pattern="|".join(  # noqa: FLY002 - one alternative a line
        [
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        ]
    ),
    special_tokens=(("<|endoftext|>", 199999), ("<|endofprompt|>", 200018)),
)

CL100K_BASE = Vocabulary(
    name="cl100k_base",
    sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    pattern=(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
        r"|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    special_tokens=(
        ("<|endoftext|>", 100257),
        ("<|fim_prefix|>", 100258),
        ("<|fim_middle|>", 100259),
        ("<|fim_suffix|>", 100260),
        ("<|endofprompt|>", 100276),
    ),
)


def vocabulary_for(model: str) -> Vocabulary:
    """Return the vocabulary ``model`` counts with; newer and foreign models are counted with ``o200k_base``."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:").partition(":")[0]
    counts_with_cl100k = name == "gpt-4" or name.startswith(
        ("gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-")
    )
    return CL100K_BASE if counts_with_cl100k else O200K_BASE


@cache
def load_encoding(vocabulary: Vocabulary) -> Encoding:
    """Build the tokenizer, in about a quarter of a second of CPU and some megabytes: once a process."""
    # Imported here: nobody waits for a tokenizer, or for its vocabulary, before one is needed.
    from importlib.resources import files  # noqa: PLC0415

    from tiktoken import Encoding  # noqa: PLC0415

    packed = (
        files("chatcli.conversation").joinpath("vocabularies", f"{vocabulary.name}.tiktoken.gz").read_bytes()
    )
    content = gzip.decompress(packed)
    if hashlib.sha256(content).hexdigest() != vocabulary.sha256:
        raise ImportError(f"the packaged vocabulary {vocabulary.name} is damaged: install chatcli again")
    fields = content.split()
    ranks = dict(zip(map(a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True))
    return Encoding(
        vocabulary.name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=ranks,
        special_tokens=dict(vocabulary.special_tokens),
    )
