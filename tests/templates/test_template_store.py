from __future__ import annotations

import os
import sys
import threading

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.templates.template_store import TemplateStore

SHIPPED = ["commit", "explain", "fix", "review", "shell", "summarize", "tests", "translate"]


@pytest.fixture
def store(tmp_path) -> TemplateStore:
    return TemplateStore(tmp_path / "templates")


def test_some_come_with_the_program_and_all_can_be_used(store):
    assert [entry.name for entry in store.entries()] == SHIPPED
    for entry in store.entries():
        template = entry.template()
        assert entry.is_shipped
        assert template.takes_input
        # They need only piped input: everything else has a default.
        assert (
            template.missing(type("Given", (), {"typed": "", "documents": ["x"], "words": (), "values": {}}))
            == ()
        )
        assert 0 < len(template.matter.description) < 80


def test_a_file_of_the_persons_own_comes_before_the_shipped_one(store):
    store.save("review", "Look at this.")
    entry = store.find("review")
    assert (entry.is_shipped, entry.overrides) == (False, True)
    assert entry.template().segments == ("Look at this.",)
    store.remove("review")
    assert store.find("review").is_shipped


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights there")
def test_a_link_to_where_a_person_keeps_such_files_is_followed(store, tmp_path):
    kept = tmp_path / "kept.md"
    kept.write_text("Before.", encoding="utf-8")
    store.folder.mkdir()
    (store.folder / "mine.md").symlink_to(kept)
    store.save("mine", "After.")
    assert kept.read_text("utf-8") == "After."
    assert store.remove("mine").is_symlink() is False
    assert kept.exists()


def test_templates_are_markdown_or_text(store):
    store.folder.mkdir()
    for name in ("a.md", "a.txt", "b.txt", "c.toml", ".d.md"):
        (store.folder / name).write_text(name, encoding="utf-8")
    own = {entry.name: entry.path.name for entry in store.entries() if not entry.is_shipped}
    assert own == {"a": "a.md", "b": "b.txt"}
    assert store.path_for("b").name == "b.txt"
    assert store.path_for("new").name == "new.md"


def test_saving_one_does_not_look_at_all_others(store, monkeypatch):
    store.save("a", "Hello")

    def scandir(_):
        raise AssertionError

    monkeypatch.setattr("os.scandir", scandir)
    store.save("a", "Hello again")
    store.save("b", "Hello")


def test_a_path_names_a_template_too(store, tmp_path):
    (tmp_path / "letter.md").write_bytes(b"\xef\xbb\xbfDear {{ name }}\r\n")
    template = store.find(str(tmp_path / "letter.md")).template()
    assert (template.name, template.variables) == ("letter", ("name",))


def test_an_unknown_name_names_the_nearest(store):
    with pytest.raises(UsageError, match="there is no template reveiw") as caught:
        store.find("reveiw")
    assert caught.value.hint == "did you mean review?"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "x.md", "-x", "a b", "x" * 101])
def test_what_would_leave_the_folder_cannot_name_a_template(store, name):
    with pytest.raises(UsageError, match="is not a template name"):
        store.save(name, "Hello")


def test_only_templates_of_the_persons_own_are_removed(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    letter = tmp_path / "letter.md"
    letter.write_text("Dear all", encoding="utf-8")
    for name in ("review", "letter.md", "./letter.md", "letter"):
        with pytest.raises(UsageError):
            store.remove(name)
    assert letter.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\xff", "is not UTF-8"),
        (b"x" * 1_000_001, "is too long"),
        (b"{{ oops", "line 1: cannot read {{ oops"),
        (None, "cannot read the template"),
    ],
)
def test_one_that_cannot_be_used_says_why_and_hides_no_other(store, content, message):
    store.folder.mkdir()
    if content is not None:
        (store.folder / "odd.md").write_bytes(content)
        (entry,) = [entry for entry in store.entries() if not entry.is_shipped]
        assert message in entry.summary()
    with pytest.raises(LocalIOError if content is None else ConfigurationError) as caught:
        store.find(str(store.folder / "odd.md")).template()
    assert message in caught.value.message
    assert caught.value.hint


def test_a_pipe_is_a_template_only_where_it_is_named(store, tmp_path):
    store.folder.mkdir(exist_ok=True, parents=True)
    os.mkfifo(store.folder / "own.md")
    with pytest.raises(UsageError, match="there is no template own"):
        store.find("own")
    writer = threading.Thread(target=(store.folder / "own.md").write_text, args=("Say hello.",))
    writer.start()
    assert store.find(str(store.folder / "own.md")).text() == "Say hello."
    writer.join()


def test_a_template_includes_others_of_the_folder_and_shipped_ones(store, tmp_path):
    store.save("rules", "Be brief.")
    store.save("mine", "{{> rules }} {{> explain }}")
    assert store.find("mine").template().segments[0] == "Be brief."
    (tmp_path / "elsewhere.md").write_text("{{> rules }}", encoding="utf-8")
    assert store.find(str(tmp_path / "elsewhere.md")).template().segments == ("Be brief.",)
    store.save("mine", "{{> ruels }}")
    with pytest.raises(ConfigurationError, match=r"mine\.md, line 1: there is no template ruels") as raised:
        store.find("mine").template()
    assert raised.value.hint == "did you mean rules?"
    assert store.find("mine").summary().startswith("cannot be used: ")


def test_several_are_named_with_a_plus_between(store):
    store.save("mine", "Hello")
    assert [entry.name for entry in store.find_all(["mine+review", "fix"])] == ["mine", "review", "fix"]
    with pytest.raises(UsageError, match="no template was named"):
        store.find_all(["mine+"])
