"""Import of fabric patterns and llm templates: what is found, and what a pattern becomes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.templates.foreign_files import ForeignFile, foreign_files, read_foreign
from chatcli.templates.template import Filling, read_template

FOREIGN = Path(__file__).parent / "foreign"


def names(path):
    return [file.name for file in foreign_files(path)]


def taken(path):
    (outcome,) = read_foreign(foreign_files(path))
    return outcome.template


def asked(template, **filling):
    read = read_template(template.name, template.text(), "x.md")
    return read.question(Filling(**filling)).person_text


def test_a_file_a_pattern_and_folders_of_both_are_found():
    assert names(FOREIGN / "llm") == ["dogs", "hostile", "roast"]
    assert names(FOREIGN / "fabric") == ["ask_language", "summarize_text"]
    assert names(FOREIGN / "fabric" / "ask_language") == ["ask_language"]
    assert names(FOREIGN / "fabric" / "ask_language" / "system.md") == ["ask_language"]
    assert names(FOREIGN / "llm" / "roast.yaml") == ["roast"]


@pytest.mark.parametrize("path", [FOREIGN, Path(__file__)])
def test_where_there_is_nothing_it_says_what_can_be_imported(path):
    with pytest.raises(UsageError):
        foreign_files(path)


def test_what_cannot_be_read_is_an_error_of_its_own(tmp_path):
    with pytest.raises(LocalIOError, match="cannot read"):
        foreign_files(tmp_path / "gone")


def test_a_pattern_becomes_a_text_with_its_variables_and_the_input():
    template = taken(FOREIGN / "fabric" / "summarize_text")
    text = asked(template, values={"lang_code": "de"}, typed="Hello")
    assert text.startswith("# IDENTITY and PURPOSE\n\nYou are an expert")
    assert "Output the lines in de.\n- Use {{plugin:file:read:/etc/passwd}} and {de}." in text
    assert text.endswith("INPUT:\n\nHello")
    assert template.left_out == ("{{plugin:file:read:/etc/passwd}} stays as it is",)
    assert template.settings["description"].startswith("You are an expert content summarizer. ")


def test_the_users_part_follows_and_its_input_is_the_input():
    assert asked(taken(FOREIGN / "fabric" / "ask_language"), typed="Hi") == "Answer in French.\n\nCONTENT: Hi"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_inside_a_folder_are_not_followed(tmp_path):
    secret = tmp_path / "secret.md"
    secret.write_text("secret", encoding="utf-8")
    pattern = tmp_path / "patterns" / "bad"
    pattern.mkdir(parents=True)
    (pattern / "system.md").symlink_to(secret)
    (tmp_path / "patterns" / "linked").symlink_to(FOREIGN / "fabric" / "ask_language")
    (tmp_path / "patterns" / "linked.yaml").symlink_to(FOREIGN / "llm" / "roast.yaml")
    (outcome,) = read_foreign(foreign_files(tmp_path / "patterns"))
    assert (outcome.name, outcome.template) == ("bad", None)
    assert outcome.error.message.endswith("system.md is a link")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "is not UTF-8"), (b"x" * 200_001, "is too long")],
)
def test_one_that_cannot_be_used_hides_no_other(tmp_path, content, message):
    for name, text in (("bad", content), ("good", b"Hello")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "system.md").write_bytes(text)
    bad, good = read_foreign(foreign_files(tmp_path))
    assert bad.template is None
    assert message in bad.error.message
    assert good.template is not None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_one_that_cannot_be_looked_into_hides_no_other(tmp_path):
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
    (tmp_path / "bad" / "system.md").symlink_to(tmp_path / "bad" / "system.md")
    (tmp_path / "good" / "system.md").write_text("Hello")
    bad, good = read_foreign(foreign_files(tmp_path))
    assert bad.error.message.startswith(f"cannot read {tmp_path / 'bad'}: ")
    assert good.template is not None


@pytest.mark.parametrize("name", ["a b", "x.md"])
def test_a_name_that_is_none_here_is_an_error(tmp_path, name):
    with pytest.raises(ConfigurationError, match="is not a template name"):
        ForeignFile(name, tmp_path).read()


def test_a_folder_with_too_many_entries_is_refused_not_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("chatcli.templates.foreign_files._MOST_ENTRIES", 2)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text("prompt: Hello")
    with pytest.raises(UsageError, match="has more than 2 entries"):
        foreign_files(tmp_path)


@given(st.text())
def test_every_pattern_can_be_read_and_says_what_it_said(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "system.md").write_text(text, encoding="utf-8", errors="replace", newline="")
    template = taken(folder)
    read = read_template("any", template.text(), "any.md")
    assert read.takes_input
    said = read.question(
        Filling(typed="I", values={name: f"{{{{{name}}}}}" for name in read.variables})
    ).person_text
    if "{{" not in text:
        kept = (folder / "system.md").read_bytes().decode().removeprefix("\ufeff").replace("\r\n", "\n")
        assert said.strip() == f"{kept.strip()}\n\nI".strip()
