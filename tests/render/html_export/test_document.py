from __future__ import annotations

from html import escape, unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.render.html_export import to_html
from chatcli.sessions.exporting import Transcript, TranscriptPart, TranscriptTurn, transcript
from chatcli.text.sanitizer import sanitize
from render.html_export.html_reading import Looked, refuse_loose_ends
from render.markdown.specification import SECTIONS
from sessions.strategies import sessions

ATTACKS = (
    "<script>alert(1)</script>",
    "</div></section><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/)",
    "[x](relative.html)",
    "<javascript:alert(1)>",
    "[r]\n\n[r]: javascript:alert(1)",
    "![x](javascript:alert(1))",
    "![x](https://evil.example/track.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '[x](https://a.example/ "\\" onmouseover=alert(1) x=\\"")',
    '[x](https://a.example/"onmouseover=alert(1))',
    '```"><script>alert(1)</script>\nx\n```',
    '```py\n"</code></pre><script>alert(1)</script>"\n```',
    "    </code><script>alert(1)</script>",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "<!-- x",
    "\x00<script\x00>",
    "a\u202eb",
)
MARKDOWN_PARTS = (
    *(
        "- ",
        "> ",
        "1. ",
        "    ",
        "\n",
        "\n\n",
        "```md\n",
        "```\n",
        "$$\n",
        "\\[",
        "**",
        "*",
        "`",
        "~~",
        "[x]",
        "(y)",
        "[^1]",
    ),
    *(
        "|a|b|\n|-|-|\n",
        "| c ",
        "<div>\n",
        "<br>",
        "# ",
        "---\n",
        "[ ] ",
        "「あ」",
        "word ",
        "](https://a.example)",
        "&lt;",
    ),
)
ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "div", "dl", "dt", "dd"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "a", "pre", "code", "span", "strong", "em", "s", "br", "hr"),
    *("ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
}
ALLOWED_ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "dir",
        "href",
        "title",
        "rel",
        "open",
        "start",
    ),
    "style",
}


def page(*pieces, title="Trip", facts=("then",), speaker="Assistant"):
    return to_html(Transcript(title, (("Model", "small"),), (TranscriptTurn(speaker, facts, pieces),)))


def refuse_anything_active(html):
    looked = Looked(html)
    assert set(looked.tags) <= ALLOWED_TAGS
    assert {name for _, name, _ in looked.attributes} <= ALLOWED_ATTRIBUTES
    assert all(value.lower().startswith(("http://", "https://", "mailto:")) for value in looked.links)
    styles = {value for tag, name, value in looked.attributes if name == "style"}
    assert styles <= {"text-align:left", "text-align:right", "text-align:center"}
    assert looked.tags.count("style") == looked.tags.count("title") == 1


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["markdown", "words", "document", "tool", "attachment"])
def test_no_message_runs_or_fetches_anything(attack, kind):
    refuse_anything_active(page(TranscriptPart(kind, attack, attack), title=attack, facts=(attack,)))


def test_it_needs_nothing_beside_it_and_forbids_the_rest():
    html = page(TranscriptPart("markdown", "Hi"))
    assert html.startswith("<!DOCTYPE html>")
    looked = Looked(html)
    policy = next(
        value for _, name, value in looked.attributes if name == "content" and "default-src" in value
    )
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "script" not in looked.tags
    assert looked.links == []
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert "url(" not in html
    assert "@import" not in html


def test_an_answer_is_drawn_from_markdown():
    html = page(TranscriptPart("markdown", "# One\n\n**two** `three`\n\n| a |\n|---|\n| b |\n\n~~no~~"))
    for drawn in ("<h3>One</h3>", "<strong>two</strong>", "<code>three</code>", "<td>b</td>", "<s>no</s>"):
        assert drawn in html


def test_typed_text_is_shown_as_typed():
    assert ">a *b*\n  c &lt; d</div>" in page(TranscriptPart("words", "a *b*\n  c < d"))


def test_an_image_is_a_link_to_it():
    html = page(TranscriptPart("markdown", "![a *cat*](https://a.example/cat.png)"))
    assert '<a href="https://a.example/cat.png" rel="noopener noreferrer nofollow">Image: a cat</a>' in html
    assert "<img" not in html


def test_code_is_coloured_by_classes_that_have_a_colour_on_light_and_on_dark():
    html = page(TranscriptPart("markdown", "```python\nimport os  # x\n```"))
    assert '<span class="code-keyword">import</span>' in html
    assert html.count(".code-keyword {") == 2


def test_direction_characters_are_shown_even_where_the_parser_makes_them():
    html = page(TranscriptPart("markdown", "a\u202eb &#x202e; [x](https://a.example/&#x202e; '&#x202e;')"))
    assert "\u202e" not in unescape(html)


def test_a_turn_shows_its_speaker_and_facts():
    html = page(TranscriptPart("words", "Hi"), facts=("then", "interrupted"), speaker="You")
    assert '<section class="turn you">\n<h2>You</h2>\n<p class="facts">then · interrupted</p>' in html


def test_attached_text_is_folded_under_its_name():
    html = page(
        TranscriptPart("document", "one\n", "notes.md"), TranscriptPart("attachment", "", "a.png (image/png)")
    )
    assert "<summary>Attached: notes.md</summary>" in html
    assert "Attached, not in this file: a.png (image/png)" in html


def test_sources_are_text_and_no_link():
    html = page(TranscriptPart("sources", "[1] <b>Paris</b> · https://example.com/paris"))
    assert "[1] &lt;b&gt;Paris&lt;/b&gt; · https://example.com/paris</div>" in html
    assert 'href="https://example.com' not in html


@pytest.mark.parametrize(
    ("markdown", "drawn"),
    [
        ("$$\na \\\\ b\n*c* < d\n$$", '<pre class="formula">\n$$\na \\\\ b\n*c* &lt; d\n$$\n</pre>'),
        ("\\[\nx_1 * x_2\n\\]", '<pre class="formula">\n\\[\nx_1 * x_2\n\\]\n</pre>'),
        ("so $a_1*b_1*$ holds", "<p>so $a_1*b_1*$ holds</p>"),
        ("重要なのは**「安全性」**であり", "<p>重要なのは<strong>「安全性」</strong>であり</p>"),
        ("- [x] done\n- [ ] open", '<li class="task">☑ done\n</li>\n<li class="task">☐ open\n</li>'),
        ("a verse\nand another", "<p>a verse<br>\nand another</p>"),
        ("as said[^1]\n\n[^1]: by <b>whom</b>", "<p>as said[1]</p>\n<p>[1]: by &lt;b&gt;whom&lt;/b&gt;</p>"),
        ("[here](notes.md)", "<p>here (notes.md)</p>"),
        ("<div>\n*as it is*\n</div>", '<div class="words">&lt;div&gt;\n*as it is*\n&lt;/div&gt;</div>'),
        ("> - a\n>\n> - b", "<blockquote>\n<ul>\n<li><p>a</p>\n</li>\n<li><p>b</p>\n</li>\n</ul>\n</blockquote>"),
        ("3. c\n   - d", '<ol start="3">\n<li>c\n<ul>\n<li>d\n</li>\n</ul>\n</li>\n</ol>'),
        ("|a|b|\n|-|-:|\n|1|2|", '<tr><td>1</td><td style="text-align:right">2</td></tr>'),
        ("[bar]" + "\n\nmore" * 40 + "\n\n[bar]: https://a.example/", '<a href="https://a.example/"'),
    ],
)  # fmt: skip
def test_markdown_is_read_as_the_terminal_reads_it(markdown, drawn):
    assert drawn in page(TranscriptPart("markdown", markdown))


def test_a_fenced_block_of_markdown_may_hold_fences():
    html = page(TranscriptPart("markdown", "```markdown\n# Use\n```sh\nls\n```\nand so on\n```\n\nafter"))
    assert html.count('<pre class="code">') == 1
    assert "and so on" in html[: html.index("</pre>")]
    assert "<p>after</p>" in html


@pytest.mark.parametrize("section", SECTIONS)
def test_the_elements_of_every_example_are_nested_and_safe(section):
    for example in SECTIONS[section]:
        html = page(TranscriptPart("markdown", example.markdown))
        refuse_anything_active(html)
        refuse_loose_ends(html)


@given(st.lists(st.sampled_from(MARKDOWN_PARTS)).map("".join))
def test_the_elements_of_any_markdown_are_nested_and_safe(markdown):
    html = page(TranscriptPart("markdown", markdown))
    refuse_anything_active(html)
    refuse_loose_ends(html)


def test_the_document_is_in_the_language_of_most_of_it_and_a_message_in_its_own():
    html = page(TranscriptPart("words", "请翻译成日语和英语：安全很重要"), TranscriptPart("markdown", "安全性は重要です"), TranscriptPart("markdown", "Safety matters."), TranscriptPart("markdown", "这里的意思是一样的，没有区别，都在说安全很重要。"))  # fmt: skip
    assert '<html lang="zh-Hans">' in html
    assert '<div class="words" dir="auto">请翻译' in html
    assert '<div lang="ja" dir="auto">\n<p>安全性' in html
    assert '<div lang="en" dir="auto">\n<p>Safety' in html
    assert '<h2 lang="en">Assistant</h2>' in html
    assert '<h1 lang="en" dir="auto">Trip</h1>' in html


def test_an_english_document_names_its_language_once():
    html = page(TranscriptPart("words", "Hello"), TranscriptPart("markdown", "Hi"))
    assert html.count("lang=") == 1
    assert '<html lang="en">' in html


@given(sessions())
def test_any_message_is_safe_and_every_question_is_there(session):
    html = to_html(transcript(session, whole_tree=True))
    refuse_anything_active(html)
    for record in session.questions:
        for part in record.message.parts:
            if getattr(part, "origin", None) == "person":
                assert escape(sanitize(part.text)) in html
