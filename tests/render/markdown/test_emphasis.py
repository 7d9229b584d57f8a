"""Emphasis next to wide scripts; all other emphasis follows the specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatcli.render.markdown.emphasis import with_cjk_emphasis

CJK = with_cjk_emphasis(MarkdownIt("commonmark")).enable("strikethrough")
PLAIN = MarkdownIt("commonmark").enable("strikethrough")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("重要なのは**「安全性」**であり、**速度。**次に来ます。", "重要なのは<b>「安全性」</b>であり、<b>速度。</b>次に来ます。"),
        ("**具体：**与其说“树”，不如说“彩虹树”。", "<b>具体：</b>与其说“树”，不如说“彩虹树”。"),
        ("他说**“树”**是树。", "他说<b>“树”</b>是树。"),
        ("**テスト（test）**です", "<b>テスト（test）</b>です"),
        ("**C#**は言語、**F(x)**也是", "<b>C#</b>は言語、<b>F(x)</b>也是"),
        ("これは*（強調）*です", "これは<i>（強調）</i>です"),
        ("**한국어(Korean)**는 언어", "<b>한국어(Korean)</b>는 언어"),
        ("旧~~《书》~~新", "旧<s>《书》</s>新"),
        ("**中文** **中文**", "<b>中文</b> <b>中文</b>"),
        ("2 * 3 * 4 = 二十四", "2 * 3 * 4 = 二十四"),
        ("文件_名字_里", "文件_名字_里"),
        ('a**"b"**c', "a**&quot;b&quot;**c"),
    ],
)  # fmt: skip
def test_is_read_as_its_author_meant_it(text, html):
    shown = CJK.renderInline(text).replace("strong>", "b>").replace("em>", "i>")
    assert shown == html


@given(st.text("ab *_~.,(\"'é—“”\n", max_size=40))
def test_of_other_scripts_follows_the_specification(text):
    assert CJK.renderInline(text) == PLAIN.renderInline(text)
