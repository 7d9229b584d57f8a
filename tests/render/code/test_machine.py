"""The parts of Pygments beyond its public names that the highlighter relies on."""

from __future__ import annotations

import re

import pytest
from pygments.lexer import RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token


@pytest.mark.parametrize(
    "language", ["bash", "c", "css", "go", "html", "java", "javascript", "python", "rust", "sql"]
)
def test_the_rules_of_a_lexer_are_where_the_highlighter_looks_for_them(language):
    lexer = get_lexer_by_name(language)
    assert isinstance(lexer, RegexLexer)
    rules = lexer._tokens
    assert "root" in rules
    for state in rules.values():
        for matches, action, new_state in state:
            assert callable(matches)
            assert action is None or action in Token or callable(action)
            assert new_state is None or isinstance(new_state, (tuple, str, int))


def test_a_rule_matches_as_a_compiled_expression_does():
    matches, action, _ = get_lexer_by_name("python")._tokens["root"][0]
    match = matches("\n", 0)
    assert isinstance(match, re.Match)
    assert action in Token or callable(action)
