from __future__ import annotations

import gzip
import hashlib
import inspect
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files

import pytest
import tiktoken
from tiktoken.model import MODEL_TO_ENCODING
from tiktoken_ext import openai_public

from chatcli.conversation.counting import CL100K_BASE, O200K_BASE, load_encoding, vocabulary_for

VOCABULARIES = (O200K_BASE, CL100K_BASE)

CORPUS = (
    "",
    "Hello, world! It's 12345678 o'clock.",
    "Grüße aus Köln, où est la bibliothèque ? ¿Dónde está?",
    "今天天气很好，我们去公园散步吧。東京は今日も雨です。서울의 날씨는?",
    "Привет, как дела? Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم. नमस्ते दुनिया",
    "👩‍👩‍👧‍👦 🇫🇷 👍🏽 ☺️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 e\u0301 Zalgo h̸̡̪̯ͨ͊̽",
    'def f(x: int) -> str:\n\treturn f"{x!r}"  # \\n\n\n\nfor i in range(10):\n        print(i)\n',
    '{"key": [1, 2.5e-10, null, true], "text": "a\\u0000b"}\r\n\r\n',
    "<|endoftext|><|endofprompt|><|fim_prefix|><|im_start|>system<|im_end|>",
    "   \t\t  \n \n\u3000\u00a0\u200b \x00\x1b[31m\x7f",
    "THE QUICK Brown fOX'S DON'T we'LL I'VE",
    "a lone \ud83d surrogate",
    "$%^&*()_+|~=`{}[]:\";'<>?,./ https://example.org/a/b?c=d#e",
    "Donaudampfschifffahrtsgesellschaftskapitän " * 20,
)


@pytest.fixture(scope="module")
def tiktokens_own(tmp_path_factory):
    """Return what tiktoken itself makes of the files it would download, found in its cache."""
    cache = tmp_path_factory.mktemp("tiktoken")
    for vocabulary in VOCABULARIES:
        url = f"https://openaipublic.blob.core.windows.net/encodings/{vocabulary.name}.tiktoken"
        (cache / hashlib.sha1(url.encode()).hexdigest()).write_bytes(unpacked(vocabulary))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        return {
            vocabulary.name: openai_public.ENCODING_CONSTRUCTORS[vocabulary.name]()
            for vocabulary in VOCABULARIES
        }


def unpacked(vocabulary):
    packed = files("chatcli.conversation").joinpath("vocabularies", f"{vocabulary.name}.tiktoken.gz")
    return gzip.decompress(packed.read_bytes())


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=lambda vocabulary: vocabulary.name)
class TestEachVocabulary:
    def test_is_the_file_tiktoken_would_download(self, vocabulary):
        assert hashlib.sha256(unpacked(vocabulary)).hexdigest() == vocabulary.sha256
        assert f'"{vocabulary.sha256}"' in inspect.getsource(getattr(openai_public, vocabulary.name))

    def test_has_the_pattern_and_the_special_tokens_of_tiktoken(self, vocabulary, tiktokens_own):
        own = tiktokens_own[vocabulary.name]
        assert vocabulary.pattern == own["pat_str"]
        assert dict(vocabulary.special_tokens) == own["special_tokens"]

    def test_makes_the_same_tokens_as_tiktoken_of_any_language(self, vocabulary, tiktokens_own):
        own, ours = tiktoken.Encoding(**tiktokens_own[vocabulary.name]), load_encoding(vocabulary)
        assert ours.name == own.name
        for text in CORPUS:
            assert ours.encode_ordinary(text) == own.encode_ordinary(text)

    def test_takes_what_looks_like_a_special_token_as_plain_text(self, vocabulary):
        tokens = load_encoding(vocabulary).encode_ordinary("<|endoftext|>")
        assert len(tokens) > 1
        assert dict(vocabulary.special_tokens)["<|endoftext|>"] not in tokens


def test_a_vocabulary_loads_without_the_network_and_without_a_cache(tmp_path):
    code = """
import sys

def refuse(event, arguments):
    if event.startswith("socket.") or (event == "open" and "w" in str(arguments[1])):
        raise RuntimeError(f"{event} {arguments}")

sys.dont_write_bytecode = True
sys.addaudithook(refuse)
from chatcli.conversation.counting import O200K_BASE, load_encoding
print(len(load_encoding(O200K_BASE).encode_ordinary("Hello, world!")))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("4\n", "")
    assert not any(tmp_path.iterdir())


def test_a_damaged_vocabulary_is_not_counted_with():
    with pytest.raises(ImportError, match="cl100k_base is damaged: install chatcli again"):
        load_encoding(replace(CL100K_BASE, sha256="00" * 32))


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4", CL100K_BASE),
        ("gpt-4-0613", CL100K_BASE),
        ("gpt-4-32k", CL100K_BASE),
        ("gpt-4-turbo", CL100K_BASE),
        ("openai/gpt-4-turbo", CL100K_BASE),
        ("ft:gpt-4-0613:acme::abc", CL100K_BASE),
        ("ft:gpt-4:acme::abc", CL100K_BASE),
        ("ft:gpt-3.5-turbo:acme", CL100K_BASE),
        ("gpt-3.5-turbo-0125", CL100K_BASE),
        ("gpt-35-turbo", CL100K_BASE),
        ("GPT-4", CL100K_BASE),
        ("text-embedding-3-small", CL100K_BASE),
        ("gpt-4o", O200K_BASE),
        ("gpt-4o-mini-2024-07-18", O200K_BASE),
        ("ft:gpt-4o-mini:acme::abc", O200K_BASE),
        ("gpt-4.1", O200K_BASE),
        ("gpt-4.5-preview", O200K_BASE),
        ("gpt-5-mini", O200K_BASE),
        ("o1", O200K_BASE),
        ("o4-mini", O200K_BASE),
        ("gpt-oss:20b", O200K_BASE),
        ("anthropic/claude-sonnet-4", O200K_BASE),
        ("llama3:8b", O200K_BASE),
        ("", O200K_BASE),
    ],
)
def test_a_model_is_counted_with_its_own_vocabulary_and_a_foreign_one_with_the_newest(model, vocabulary):
    assert vocabulary_for(model) is vocabulary


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (model, name)
        for model, name in MODEL_TO_ENCODING.items()
        if name in {"o200k_base", "cl100k_base"} and model not in {"davinci-002", "babbage-002"}
    ],
)
def test_chat_and_embedding_models_known_to_tiktoken_get_the_vocabulary_it_names(model, name):
    assert vocabulary_for(model).name == name
