from __future__ import annotations

import gzip
import hashlib
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from threading import Barrier

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tiktoken.model import MODEL_TO_ENCODING
from tiktoken_ext import openai_public

from chatcli.conversation.counting import (
    CL100K_BASE,
    O200K_BASE,
    TOKENS_AROUND_MESSAGE,
    MessageTokens,
    TiktokenCounter,
    likely_tokens,
    load_encoding,
    vocabulary_for,
)
from chatcli.core.messages import Message, answer, question, system
from conversation.fakes import CharacterCounter

ANY_TEXT = st.text(st.characters())  # lone surrogates too: the default of text() has none


class WatchedVocabulary:
    """A vocabulary that counts how often it is loaded."""

    name, sha256, special_tokens = CL100K_BASE.name, CL100K_BASE.sha256, CL100K_BASE.special_tokens

    def __init__(self) -> None:
        self.loads = 0

    @property
    def pattern(self) -> str:
        self.loads += 1
        return CL100K_BASE.pattern


class TestTiktokenCounter:
    def test_loads_nothing_before_it_is_needed(self):
        vocabulary = WatchedVocabulary()
        counter = TiktokenCounter(vocabulary)
        assert not counter.loaded
        assert vocabulary.loads == 0

    def test_loads_once_however_many_threads_want_to_count(self):
        vocabulary = WatchedVocabulary()
        counter = TiktokenCounter(vocabulary)
        together = Barrier(4)

        def count_with_the_others(text):
            together.wait()
            return counter.count(text)

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(count_with_the_others, ["Hello, world!"] * 4)) == [4] * 4
        assert counter.loaded
        assert counter.load() is counter.load()
        assert vocabulary.loads == 1

    def test_counts_what_looks_like_a_special_token_as_plain_text(self, o200k_counter):
        assert o200k_counter.count("<|endoftext|>") == 7

    def test_counts_a_million_blanks_which_tiktoken_alone_cannot(self, o200k_counter):
        assert 8_000 < o200k_counter.count("begin" + " " * 1_100_000 + "end") < 9_000

    def test_counts_a_very_long_text_as_tiktoken_does_within_a_token_a_piece(self, o200k_counter):
        text = "The quick brown fox jumps over the lazy dog.\n" * 25_000
        whole = len(load_encoding(O200K_BASE).encode_ordinary(text))
        assert abs(o200k_counter.count(text) - whole) <= 4


class TestMessageTokens:
    def test_a_message_costs_its_text_and_what_the_chat_format_spends_around_it(self):
        assert MessageTokens(CharacterCounter())(question("12345")) == 5 + TOKENS_AROUND_MESSAGE

    def test_each_message_is_counted_once(self):
        counter = CharacterCounter()
        tokens = MessageTokens(counter)
        conversation = [system("Be brief."), question("Hi"), answer("Hello"), question("Bye")]
        for length in range(1, 5):
            for message in conversation[:length]:
                tokens(message)
        assert counter.counted == ["Be brief.", "Hi", "Hello", "Bye"]

    def test_an_equal_message_is_not_counted_again(self):
        counter = CharacterCounter()
        tokens = MessageTokens(counter)
        assert tokens(question("Hi")) == tokens(question("Hi"))
        assert tokens(Message("user", question("Hi").parts, {"id": [1]})) == tokens(question("Hi"))
        assert counter.counted == ["Hi", "Hi"]

    def test_says_whether_it_can_count_at_once(self):
        counter = CharacterCounter(loaded=False)
        tokens = MessageTokens(counter)
        assert not tokens.counter.loaded
        tokens(question("Hi"))
        assert tokens.counter.loaded

    def test_the_upper_bound_needs_no_vocabulary(self):
        counter = CharacterCounter(loaded=False)
        assert MessageTokens(counter).upper_bound(question("天")) == 3 + TOKENS_AROUND_MESSAGE
        assert not counter.counted

    @given(text=ANY_TEXT, documents=st.lists(ANY_TEXT, max_size=2))
    def test_no_text_has_more_tokens_than_its_upper_bound(self, o200k_counter, text, documents):
        tokens = MessageTokens(o200k_counter)
        message = question(text, *documents)
        assert tokens(message) <= tokens.upper_bound(message)

    def test_an_answer_is_counted_where_that_is_quick_and_else_estimated(self):
        assert MessageTokens(CharacterCounter()).estimate_text("12345") == 5
        unloaded = CharacterCounter(loaded=False)
        tokens = MessageTokens(unloaded)
        assert [tokens.estimate_text(text) for text in ("", "1", "1234", "12345", "\ud83d")] == [
            0,
            1,
            1,
            2,
            1,
        ]
        assert not unloaded.counted

    def test_estimates_at_once_until_the_vocabulary_is_loaded(self):
        counter = CharacterCounter(loaded=False)
        tokens = MessageTokens(counter)
        assert tokens.at_once()(question("12345")) == 2 + TOKENS_AROUND_MESSAGE
        assert tokens.at_once() is tokens.at_once()
        assert not counter.counted
        tokens(question("Hi"))
        assert tokens.at_once() is tokens


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
    """Return tiktoken's own encoding of the files it would download, found in its cache."""
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


TEXTS = {
    "prose": "The rule is held against the vocabulary; whoever writes sees about what will be counted. ",
    "lines": "line 4711 of the paste\n",
    "log": "2026-11-29T11:03:07.123Z INFO worker-17 request id=9f3b2c4d5e6f7081 took 8231 ms\n",
    "csv": "8123,0.519374,Rome\n",
    "code": "    def __init__(self, text: str) -> None:\n        self._held = text[at : at + 1]\n",
    "json": '{"name": "gpt-5-mini", "input": 0.25, "output": 2, "window": 400000},\n',
    "chinese": "我能吞下玻璃而不伤身体，请把下面的文章翻译成英文。",
    "japanese": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "russian": "Завтра мы поедем за город и будем гулять по лесу до вечера. ",
    "emoji": "😀🎉👍 ",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_the_rule_says_no_less_than_the_vocabulary_and_not_much_more(kind):
    text = TEXTS[kind] * 1_000
    counted = len(load_encoding(O200K_BASE).encode_ordinary(text))
    assert 0.95 * counted <= likely_tokens(text) <= 1.6 * counted


def test_nothing_is_no_token():
    assert likely_tokens("") == 0
