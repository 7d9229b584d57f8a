from __future__ import annotations

import re
import sqlite3
import unicodedata
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatcli.text.search_text import (
    QUERY_CHARACTERS,
    TOKENIZER,
    Term,
    beginnings,
    folded,
    indexed,
    is_beginning,
    locate,
    match,
    terms,
)

texts = st.text(max_size=80)
queries = st.one_of(st.text(max_size=40), st.text("ab\"'*+-^:(){}. 天气한かNEARORTD", max_size=40))
# Letters that every SQLite with FTS5 knows.
han = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)
kana = st.characters(min_codepoint=0x3041, max_codepoint=0x3094)
hangul = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
thai = st.characters(min_codepoint=0x0E01, max_codepoint=0x0E2E)
unspaced_words = st.one_of(*(st.text(script, min_size=1, max_size=6) for script in (han, kana, hangul, thai)))
latin = st.text(st.sampled_from("abcxyzABCéüßñøŁ0123"), min_size=1, max_size=8)


def finds(text: str, query: str, *, options: str = "") -> bool:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, tokenize='{TOKENIZER}'{options})")
        database.execute("INSERT INTO words VALUES(?)", [indexed(text)])
        if not (expression := match(query)):
            return False
        return database.execute(
            "SELECT count(*) FROM words WHERE words MATCH ?", [expression]
        ).fetchone() == (1,)


def is_located(text: str, query: str) -> bool:
    wanted = terms(query)
    return bool(wanted) and all(locate(text, term) for term in wanted)


@given(texts, queries)
@example("\0", "\0a")
@example("\ud800", "\ud800")
@example("a", '"')
@example("AND", "AND OR NOT NEAR(")
def test_whatever_was_said_and_whatever_is_typed_it_can_be_looked_for(text, query):
    finds(text, query)


@given(queries)
def test_a_long_query_is_no_error_either(query):
    finds("a", query * QUERY_CHARACTERS)


@given(texts, unspaced_words, texts)
def test_a_word_of_a_script_without_spaces_is_found_anywhere(before, word, after):
    text = f"{before} x{word}x {after}"
    assert finds(text, word)


@given(st.text(han, min_size=2, max_size=12), st.data())
def test_every_two_chinese_characters_side_by_side_are_a_word(text, data):
    start = data.draw(st.integers(0, len(text) - 2))
    assert finds(text, text[start : start + 2])
    assert finds(text, text[start])


@given(st.lists(latin, min_size=1, max_size=5), st.data())
def test_a_word_is_found_by_each_of_its_beginnings(words, data):
    word = data.draw(st.sampled_from(words))
    for end in range(1, len(word) + 1):
        assert finds(" ".join(words), word[:end])


@pytest.mark.parametrize(
    ("text", "is_one"), [("ab", True), ("abc", True), ("abcd", False), ("éa", True), ("éab", False)]
)
def test_only_a_short_word_may_be_a_beginning_and_a_shorter_one_outside_of_ascii(text, is_one):
    assert is_beginning(Term(text, is_prefix=True, is_run=False)) is is_one


@given(st.lists(latin, min_size=1, max_size=5), st.data())
def test_a_short_beginning_is_found_among_the_beginnings(words, data):
    (term,) = terms(data.draw(st.sampled_from(words))[:3])
    kept = beginnings(indexed(" ".join(words)))
    if is_beginning(term):
        assert any(word.startswith(term.text) for word in kept.split())


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("今天天气很好", "天气"),
        ("我去北京。", "北京"),
        ("東京タワー", "タワー"),
        ("ﾀﾜｰ", "タワー"),
        ("서울의 밤", "서울"),
        ("ภาษาไทยดี", "ไทย"),
        ("ភាសាខ្មែរ", "ខ្មែរ"),
        ("call snake_case(1)", "snake_case"),
        ("in C++ or C#", "C++"),
        ("Café Zürich", "cafe zur"),
        ("Cafe\u0301", "café"),
        ("STRASSE", "straße"),
        ("Rome and Paris", "paris rome"),
        ("Python3.11 release", "python3.11"),
        ("用Python写", "Python"),
        ("用Python写", "写"),
        ("ﬁle", "file"),
    ],
)
def test_it_is_found_and_located(text, query):
    assert finds(text, query)
    assert is_located(text, query)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("今天很好，气温高", "天气"),
        ("Romeo", "rome "),
        ("Romeo and", "rome and"),
        ("snake in a case", "snake_case"),
        ("Rome", "paris"),
        ("Rome", "rome paris"),
        ("anything", "+++"),
        ("anything", ""),
        ("anything", " \t"),
        ("AND", "x AND y"),
    ],
)
def test_it_is_not_found(text, query):
    assert not finds(text, query)
    assert not is_located(text, query)


def test_the_last_word_may_be_unfinished_until_a_space_follows():
    assert match("new yo") == '"new" AND "yo" *'
    assert match("new yo ") == '"new" AND "yo"'


def test_characters_are_searched_as_pairs_and_one_alone_as_a_beginning():
    assert match("北京") == '"北京"'
    assert match("北京玩") == '"北京 京玩"'
    assert match("北") == '"北" *'
    assert indexed("去北京玩 today").split() == ["去北", "北京", "京玩", "玩", "today"]


@pytest.mark.parametrize(
    ("text", "query", "place"),
    [
        ("Cafe\u0301 Zürich", "café", (0, 5)),
        ("ﬁle", "f", (0, 1)),
        ("die Straße.", "strass", (4, 9)),
        ("今天气温高", "天气", (1, 3)),
    ],
)
def test_a_place_takes_in_whole_characters_with_their_marks(text, query, place):
    (term,) = terms(query)
    assert locate(text, term) == place


def test_quotes_of_the_person_stay_within_the_quotes():
    assert match('say "hi"') == '"say" AND """hi"""'


@given(texts)
def test_folding_twice_is_folding_once(text):
    assert folded(folded(text)) == folded(text)


@given(latin, texts, texts)
def test_a_place_is_where_the_word_stands_as_it_was_written(word, before, after):
    text = f"{before} {word} {after}"
    for term in terms(f"{word} "):
        start, end = locate(text, term)
        # The index passes over accents.
        found, sought = (unicodedata.normalize("NFD", folded(each)) for each in (text[start:end], term.text))
        assert re.sub(r"[\W_]", "", found).startswith(sought[:1])


@given(st.text("aé天気 .ß", max_size=30), st.text("aé天気 ", max_size=4))
def test_what_the_index_finds_is_located(text, query):
    assert finds(text, query) == is_located(text, query)
