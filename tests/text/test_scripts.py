from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.text.scripts import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今天天气很好，我们去公园吧。", "zh-Hans"),
        ("這個問題很難回答。", "zh-Hant"),
        ("你好", "zh-Hans"),
        ("重要なのは「安全性」であり、東京では…", "ja"),
        ("カタカナ", "ja"),
        ("안녕하세요, 만나서 반갑습니다 (漢字).", "ko"),
        ("What does 北京 mean in Chinese?", "en"),
        ("用 Python 写一个排序函数，返回 list。", "zh-Hans"),
        ("这样写：\n```python\nfor each in sorted(everything_there_is, key=str.casefold):\n    print(each)\n```", "zh-Hans"),
        ("见 https://example.com/a/very/long/address/indeed/that/has/letters", "zh-Hans"),
        ("日语的「の」是助词，用法很多，例如所属关系。", "zh-Hans"),
        ("Привет, как дела?", ""),
        ("Où est la gare ?", "en"),
        ("12 + 3", "en"),
        ("", "en"),
    ],
)  # fmt: skip
def test_the_language_of_a_text_is_reported_by_its_script(text, language):
    assert language_of(text) == language


@given(st.text())
def test_any_text_has_one_of_six_languages(text):
    assert language_of(text) in {"zh-Hans", "zh-Hant", "ja", "ko", "en", ""}
