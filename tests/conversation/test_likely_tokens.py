"""The estimate shown while a question is typed, compared with the vocabulary."""

from __future__ import annotations

import pytest

from chatcli.conversation.counting import O200K_BASE, likely_tokens, load_encoding

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
