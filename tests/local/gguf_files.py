"""Small GGUF files: a header, and nothing behind it."""

from __future__ import annotations

import struct

CHAT_MODEL = {
    "general.architecture": "llama",
    "general.license": "mit",
    "llama.context_length": 32_768,
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "tokenizer.ggml.tokens": ["<s>", "hello", "世界"],
    "tokenizer.ggml.token_type": [1, 2, 3],
    "tokenizer.chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}",
}


def gguf(entries=CHAT_MODEL, *, version=3, tensors=()):
    """Return the bytes of a GGUF file with these entries; ``tensors`` are where each begins behind the header."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    head += b"".join(text(key) + value(item) for key, item in entries.items())
    return head + b"".join(
        text(f"blk.{at}") + struct.pack("<IQQIQ", 2, 8, 4, 0, offset) for at, offset in enumerate(tensors)
    )


def text(content):
    return struct.pack("<Q", len(content.encode())) + content.encode()


def value(item):
    match item:
        case bool():
            return struct.pack("<I?", 7, item)
        case int():
            return struct.pack("<IQ", 10, item)
        case float():
            return struct.pack("<Id", 12, item)
        case str():
            return struct.pack("<I", 8) + text(item)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(map(text, item))
        case _:
            return struct.pack("<IIQ", 9, 4, len(item)) + struct.pack(f"<{len(item)}I", *item)
