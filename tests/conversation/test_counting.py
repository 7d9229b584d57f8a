from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.counting import (
    CL100K_BASE,
    O200K_BASE,
    TOKENS_AROUND_MESSAGE,
    MessageTokens,
    TiktokenCounter,
    load_encoding,
)
from chatcli.core.messages import Message, answer, question, system
from conversation.fakes import CharacterCounter

ANY_TEXT = st.text(st.characters())  # lone surrogates too: the default of text() has none


class WatchedVocabulary:
    """A vocabulary that notices how often it is loaded."""

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
