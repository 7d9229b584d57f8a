"""The text of the script for PowerShell, which is not run here."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.cli.shell_completion.grammar import ANYTHING, Level, Option, Values, read_levels
from chatcli.cli.shell_completion.powershell_script import powershell_script

BRANCH = re.compile(r"^ {12}('(?:[^']|'')*') \{ (.*); break \}$", re.MULTILINE)
TEXT = re.compile(r"'((?:[^'\u2018-\u201b]|(['\u2018-\u201b])\2)*)'")


def branches(script, function):
    """Return the cases of a lookup, as a person reads them: the place, and the texts behind it."""
    body = script.partition(f"function {function}(")[2].partition("\n    }\n")[0]
    read = {}
    for place, result in BRANCH.findall(body):
        assert place not in read
        texts = [found[1] for found in TEXT.finditer(result)]
        assert ", ".join(f"'{text}'" for text in texts) == result
        read[place[1:-1]] = [text.replace("''", "'") for text in texts]
    return read


@pytest.fixture(scope="module")
def script():
    return powershell_script(read_levels())


def test_every_level_has_its_options_with_their_help(script):
    found = branches(script, "Find-Options")
    for level in read_levels():
        expected = [f"{name} {option.help}" for option in level.options for name in option.names]
        assert found[level.path] == expected


def test_options_that_differ_in_case_alone_have_values_of_their_own(script):
    found = branches(script, "Find-OptionValues")
    assert (found[":-s"], found[":-S"]) == ([":sessions"], [":files after @"])
    assert found[":--output"] == ["text", "markdown", "json", "jsonl"]
    assert ":--plain" not in found
    assert script.count("switch ") == script.count("switch -CaseSensitive ") == 4


def test_words_are_found_by_their_place(script):
    found = branches(script, "Find-Words")
    assert "sessions the saved conversations" in " ".join(found[":0"])
    assert found["sessions show:*"] == [":sessions"]
    assert found["completion:0"] == ["bash", "zsh", "fish", "powershell"]
    assert branches(script, "Find-Level")["sessions:export"] == ["sessions export"]


def test_the_script_is_ascii_as_windows_reads_it_in_any_encoding(script):
    assert script.isascii()
    assert "@ENTER@" not in script


@given(st.text(st.sampled_from("ab '\"$`{};\u2019\u201b#")))
def test_no_help_leaves_its_quotes(text):
    level = Level("", (Option(("--x",), f"a{text}b", Values(ANYTHING)),), (), repeats_last=False)
    line = next(line for line in powershell_script([level]).splitlines() if "'--x a" in line)
    quoted = TEXT.search(line, line.index("'--x a"))
    assert quoted is not None
    assert re.sub(r"(['\u2018-\u201b])\1", r"\1", quoted[1]) == f"--x a{text}b"
    assert line.endswith(f"{quoted[0]}; break }}")
