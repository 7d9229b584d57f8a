"""Code is coloured line by line as Pygments colours the whole of it."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import subprocess
import sys
import textwrap
import typing
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexer import Lexer, RegexLexer, default
from pygments.token import Comment, Text

from chatcli.render.code.closers import closers
from chatcli.render.code.highlighter import CodeHighlighter
from chatcli.render.code.languages import lexer_for
from chatcli.render.code.machine import LexerStuck, RegexLines
from chatcli.render.code.roles import Roles
from chatcli.render.code.tokens import WindowLines
from render.code.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLES = {
    "",
    "code.attribute",
    "code.builtin",
    "code.comment",
    "code.deleted",
    "code.error",
    "code.heading",
    "code.inserted",
    "code.keyword",
    "code.name",
    "code.number",
    "code.operator",
    "code.string",
    "code.tag",
    "code.type",
}


def highlighted(language: str, code: str) -> list[list[tuple[str, str]]]:
    highlighter = CodeHighlighter(language)
    return [highlighter.line(line) for line in code.split("\n")]


def shown(lines: list[list[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
    """Return each character with its role, without blanks, which have no colour."""
    return [
        [(role, character) for role, text in line for character in text if character.strip()]
        for line in lines
    ]


def highlighted_whole(language: str, code: str) -> list[list[tuple[str, str]]]:
    """Return the tokens of Pygments for all lines at once."""
    roles = Roles()
    lines: list[list[tuple[str, str]]] = [[]]
    for _, kind, value in lexer_for(language).get_tokens_unprocessed(code):
        first, *others = value.split("\n")
        lines[-1].append((roles[kind], first))
        lines.extend([(roles[kind], other)] for other in others)
    return lines


def roles_of(line: list[tuple[str, str]]) -> set[str]:
    return {role for role, text in line if text.strip()}


@pytest.mark.parametrize("language", SAMPLES)
def test_lines_are_coloured_as_pygments_colours_the_whole(language):
    code = SAMPLES[language].removeprefix("\n")
    assert shown(highlighted(language, code)) == shown(highlighted_whole(language, code))


@pytest.mark.parametrize("module", [argparse, dataclasses, inspect, textwrap, typing])
def test_modules_of_python_are_coloured_as_pygments_colours_the_whole(module):
    code = inspect.getsource(module)
    assert shown(highlighted("python", code)) == shown(highlighted_whole("python", code))


@pytest.mark.parametrize(
    ("language", "before", "opening", "closing", "role"),
    [
        ("bash", "", "x='", "'", "code.string"),
        ("bash", "", "cat <<'EOF'", "EOF", "code.string"),
        ("c", "", "int x; /* one", "*/", "code.comment"),
        ("c", "int f(void) {", "  x = 1; /* one", "*/", "code.comment"),
        ("cpp", "", 'auto x = R"name(', ')name";', "code.string"),
        ("css", "", "/* one", "*/", "code.comment"),
        ("css", "a {", "/* one", "*/", "code.comment"),
        ("go", "", "x := `one", "`", "code.string"),
        ("html", "", "<p>one <!-- two", "-->", "code.comment"),
        ("html", "<script>", "x = 1 /* two", "*/", "code.comment"),
        ("html", "<style>", "a { /* two", "*/ }", "code.comment"),
        ("java", "", '  String x = """', '""";', "code.string"),
        ("javascript", "", "x = `one", "`", "code.string"),
        ("lua", "", "x = [==[", "]==]", "code.string"),
        ("markdown", "```python", "x = '''", "'''", "code.string"),
        ("php", "", "$x = <<<'END'", "END;", "code.string"),
        ("php", "<?php", "/** one", "*/", "code.string"),
        ("powershell", "", "<# one", "#>", "code.comment"),
        ("python", "", '"""one', '"""', "code.string"),
        ("python", "def f():", "    r'''one", "'''", "code.string"),
        ("python", "", 'x = f("""', '""")', "code.string"),
        ("ruby", "", "=begin", "=end", "code.comment"),
        ("ruby", "", "x = <<~EOF", "EOF", "code.string"),
        ("rust", "", 'let x = r##"one', '"##;', "code.string"),
        ("rust", "", "/* one /* two */", "*/", "code.comment"),
        ("sql", "", "SELECT 'one", "';", "code.string"),
        ("toml", "", 'x = """', '"""', "code.string"),
        ("typescript", "", "let x: X; /* one", "*/", "code.comment"),
    ],
)
def test_every_line_of_a_long_comment_or_string_is_known_as_such(language, before, opening, closing, role):
    highlighter = CodeHighlighter(language)
    highlighter.line(before)
    highlighter.line(opening)
    for line in ["  class int def", "  it is (not) closed, = 1", "", *("  return true;" for _ in range(300))]:
        assert roles_of(highlighter.line(line)) <= {role}
    highlighter.line(closing)
    assert role not in roles_of(highlighter.line("x y"))


@pytest.mark.parametrize(
    ("language", "code", "line", "why"),
    [
        ("markdown", "Title\n=====\n", 0, "what underlines a title comes after it"),
        ("c", "void f\n(int x)\n{\n}\n", 0, "a name alone may be a function or the type of one"),
        ("javascript", "x = 1; /* never closed\ny\n", 1, "what is open is taken to be closed some time"),
        ("json", '{"key"\n: 1}\n', 0, "a string is a key for the colon after it"),
        ("restructuredtext", "So::\n\n  def f\n  x\n\n", 2, "a literal block is told by its end"),
        ("php", "function f() {}\n", 0, "without its opening tag, PHP is read as such nevertheless"),
    ],
)
def test_results_that_depend_on_lookahead_stay_different(language, code, line, why):
    assert shown(highlighted(language, code))[line] != shown(highlighted_whole(language, code))[line], why


def test_kinds_of_tokens_have_roles():
    assert highlighted("python", "@cached\ndef f(x): return 'a' + 1 if x in len(x) else None  # why") == [
        [("code.name", "@cached")],
        [
            ("code.keyword", "def"),
            ("", " "),
            ("code.name", "f"),
            ("", "(x): "),
            ("code.keyword", "return"),
            ("", " "),
            ("code.string", "'a'"),
            ("", " "),
            ("code.operator", "+"),
            ("", " "),
            ("code.number", "1"),
            ("", " "),
            ("code.keyword", "if"),
            ("", " x "),
            ("code.keyword", "in"),
            ("", " "),
            ("code.builtin", "len"),
            ("", "(x) "),
            ("code.keyword", "else"),
            ("", " "),
            ("code.keyword", "None"),
            ("", "  "),
            ("code.comment", "# why"),
        ],
    ]
    assert highlighted("diff", "-a\n+b\ndiff c") == [
        [("code.deleted", "-a")],
        [("code.inserted", "+b")],
        [("code.heading", "diff c")],
    ]
    assert highlighted("html", '<a href="x">') == [
        [
            ("", "<"),
            ("code.tag", "a"),
            ("", " "),
            ("code.attribute", "href"),
            ("code.operator", "="),
            ("code.string", '"x"'),
            ("", ">"),
        ]
    ]
    assert highlighted("c", "int x;")[0][0] == ("code.type", "int")


@pytest.mark.parametrize(
    ("info", "title"),
    [
        ("python", "Python"),
        ("Python3 title=x", "Python"),
        ("py title=x", "Python"),
        ("{.python .numbered}", "Python"),
        ("c++", "C++"),
        ("C", "C"),
        ("c#", "C#"),
        ("rust,ignore", "Rust"),
        ("js{1,3}", "JavaScript"),
        ("ts:src/main.ts", "TypeScript"),
        ("language-go", "Go"),
        ("html+jinja", "HTML+Django/Jinja"),
        ("jsonc", "JSON"),
        ("h", "C"),
    ],
)
def test_a_language_is_the_first_word_of_an_info_string(info, title):
    assert lexer_for(info).name == title


@pytest.mark.parametrize("info", ["", "  ", "no-such-language", "{}", "text", "\x00", "日本"])
def test_code_without_a_known_language_is_plain(info):
    assert highlighted(info, "\tdef f(): # x\n") == [[("", "\tdef f(): # x")], []]


def test_a_copy_continues_independently():
    for language, code in SAMPLES.items():
        lines = code.split("\n")
        expected = highlighted(language, code)
        highlighter = CodeHighlighter(language)
        for line, runs in zip(lines, expected, strict=True):
            provisional = highlighter.copy()
            for other in ('"""', "/* '", "<!-- }", line):
                provisional.line(other)
            assert highlighter.copy().line(line) == runs
            assert highlighter.line(line) == runs


_LANGUAGES = st.sampled_from([*SAMPLES, "", "tex", "erb", "vim", "rst", "clojure", "delphi", "nginx"])
_MARKS = st.sampled_from(
    ["/*", "*/", "'''", '"""', "'", '"', "`", "```", "#", "//", "--", "[[", "]]", "<!--", "-->"]
)
_TAGS = st.sampled_from(
    ["<script>", "</script>", "<style>", "<a", "<?php", "?>", "<<EOF", "EOF", "=begin", "=end"]
)
_WORDS = st.sampled_from(
    ["x", "x:", "$x", "@x", "1", "2.5", "def", "class", "int", "日", "\t", "\r", "\ufeff"]
)
_CODE = st.lists(
    st.text(max_size=20)
    | st.lists(_MARKS | _TAGS | _WORDS | st.sampled_from("(){};:=|&<>,.\\")).map(" ".join)
)


@given(_LANGUAGES, _CODE)
def test_whatever_the_code_is_all_of_it_is_there(language, lines):
    highlighter = CodeHighlighter(language)
    for line in lines:
        runs = highlighter.line(line)
        assert "".join(text for _, text in runs) == line
        assert {role for role, _ in runs} <= ROLES
        assert all(role != next_role for (role, _), (next_role, _) in pairwise(runs))
        assert all(text for _, text in runs)


def test_a_very_long_line_is_plain_and_changes_nothing():
    highlighter = CodeHighlighter("python")
    highlighter.line("x = '''")
    assert highlighter.line("'" * 5_000) == [("", "'" * 5_000)]
    assert highlighter.line("def") == [("code.string", "def")]


class Broken:
    def tokens(self, line: str) -> list[object]:
        raise RecursionError(line)


def test_a_lexer_that_fails_leaves_the_code_plain_from_there_on():
    highlighter = CodeHighlighter("python")
    highlighter._lines = Broken()
    assert highlighter.line("def f():") == [("", "def f():")]
    assert highlighter.copy().line("def f():") == [("", "def f():")]


class Sparse:
    """Leaves gaps, overlaps, and crosses the line at both ends."""

    def tokens(self, line: str) -> list[tuple[int, object, str]]:
        return [(-2, Comment, "xxa"), (2, Comment, "c"), (2, Text, "cd"), (6, Comment, "yy")]


def test_text_outside_all_tokens_is_plain():
    highlighter = CodeHighlighter("python")
    highlighter._lines = Sparse()
    assert highlighter.line("abcdef") == [
        ("code.comment", "a"),
        ("", "b"),
        ("code.comment", "c"),
        ("", "def"),
    ]
    assert highlighter.line("a") == [("code.comment", "a")]


class Turning(RegexLexer):
    tokens: ClassVar = {"root": [default("other")], "other": [default("#pop")]}


def test_a_lexer_that_takes_no_character_is_stopped():
    with pytest.raises(LexerStuck):
        RegexLines(Turning()).tokens("x")


class Counting(RegexLexer):
    """Counts the characters passed to it, mainly in a long comment."""

    lexed = 0

    def count(self, match) -> Iterator[tuple[int, object, str]]:
        Counting.lexed += len(match.string)
        yield match.start(), Comment, match.group()

    tokens: ClassVar = {"root": [(r"/\*(.|\n)*?\*/", count), (r".+", count), (r"\n", Text)]}


def test_the_cost_of_a_line_of_a_long_comment_is_bounded():
    lines = RegexLines(Counting())
    lines.tokens("/* one")
    for _ in range(2_000):
        before = Counting.lexed
        lines.tokens("two, of thirty characters, or so")
        assert Counting.lexed - before < 600
    lines.tokens("*/")
    before = Counting.lexed
    lines.tokens("x = y")
    assert Counting.lexed - before < 20


class CountingWhole(Lexer):
    lexed = 0

    def get_tokens_unprocessed(self, text):
        CountingWhole.lexed += len(text)
        yield 0, Text, text


def test_the_cost_of_a_line_is_bounded_for_a_lexer_that_wants_whole_texts():
    lines = WindowLines(CountingWhole())
    for _ in range(500):
        before = CountingWhole.lexed
        lines.tokens("of thirty characters, more or so")
        assert CountingWhole.lexed - before < 42 * 33


def test_json_is_lexed_once():
    lines = WindowLines(lexer_for("json"))
    for line in ["{", *('  "key": [1, 2],' for _ in range(100))]:
        lines.tokens(line)
        assert lines.window == ()


def test_closers_stand_on_lines_of_their_own_and_are_few():
    assert closers('/* "x" \'\n') == "*/\n\"\n'\n"
    assert closers("x = 1\n") == ""
    assert closers('cat <<-END r##"\n') == '\nEND\n"##\n'
    assert len(closers(" ".join(f"<<x{number}" for number in range(1_000)))) < 100


def test_pygments_is_not_imported_before_there_is_code():
    program = """
import sys
from chatcli.render.code.highlighter import CodeHighlighter
CodeHighlighter("").line("x")
assert "pygments" not in sys.modules
CodeHighlighter("go").line("x")
assert "pygments.lexers.go" in sys.modules
assert {name for name in sys.modules if name.startswith("pygments.lexers.")} <= {
    "pygments.lexers.go", "pygments.lexers._mapping"
}
"""
    subprocess.run([sys.executable, "-c", program], check=True)
