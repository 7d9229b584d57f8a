from __future__ import annotations

import json

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.sessions.exporting import to_document
from chatcli.sessions.importing.import_sources import SOURCES_BY_NAME, recognize
from chatcli.sessions.importing.importer import Damaged, ImportedConversation, Progress
from chatcli.sessions.session import Session
from sessions.importing.exports import LLM_RESPONSES, exchange, make_database, write_json, write_zip


def read(path, source=None):
    progress = Progress()
    row = SOURCES_BY_NAME[source] if source else recognize(path)
    return list(row.read(path, progress, "chatcli 1.2.3")), progress


def names(path):
    return [item.name for item in read(path)[0]]


def test_a_source_is_known_by_what_is_in_the_file(tmp_path):
    session = Session.replay([])
    files = {
        "chatgpt": write_json(tmp_path / "a", [exchange()]),
        "llm": make_database(tmp_path / "b", LLM_RESPONSES),
        "chatcli": write_json(tmp_path / "c", to_document(session, "x")),
    }
    assert {name: recognize(path).name for name, path in files.items()} == {name: name for name in files}
    assert recognize(write_zip(tmp_path / "d", {"conversations.json": [exchange()]})).name == "chatgpt"


def test_one_conversation_alone_is_one_as_well(tmp_path):
    assert names(write_json(tmp_path / "a.json", exchange("x"))) == ["chatgpt-x"]


def test_a_zip_is_read_as_it_is_and_in_the_order_of_its_parts(tmp_path):
    path = write_zip(
        tmp_path / "export.zip",
        {
            "deep/conversations-001.json": [exchange("c")],
            "deep/conversations-000.json": [exchange("a"), exchange("b")],
            "shared_conversations.json": [{"id": "not this"}],
            "chat.html": "<html>",
        },
    )
    assert names(path) == ["chatgpt-a", "chatgpt-b", "chatgpt-c"]
    progress = read(path)[1]
    assert progress.done == progress.total > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["export.zip"]


def test_an_entry_that_is_none_is_passed_over_with_its_reason(tmp_path):
    items, _ = read(write_json(tmp_path / "a.json", [exchange("a"), 7, {"mapping": 3}, exchange("b")]))
    assert [type(item) for item in items] == [ImportedConversation, Damaged, Damaged, ImportedConversation]
    assert items[1] == Damaged("entry 2", "it is not a JSON object")
    assert items[2].reason == "it has no messages"


def test_a_file_that_breaks_off_gives_what_it_has(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([exchange("a"), exchange("b")])[:-40])
    items, _ = read(path)
    assert isinstance(items[0], ImportedConversation)
    assert items[1].where == "entry 2 of a.json"
    assert "nothing after it can be read" in items[1].reason


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"[]", b"[1]", b'{"a": 1}', b"PK\x03\x04nonsense", b"\x89PNG\r\n", b'[{"mapping": 7}]'],
)
def test_a_file_from_elsewhere_is_refused_with_a_hint(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        recognize(path)
    assert "conversations.json" in caught.value.hint


def test_a_zip_of_something_else_or_with_a_broken_part_is_reported(tmp_path):
    other = write_zip(tmp_path / "a.zip", {"readme.txt": "hello"})
    with pytest.raises(ConfigurationError, match="zip without conversations"):
        read(other, "chatgpt")
    broken = write_zip(
        tmp_path / "b.zip", {"conversations.json": json.dumps([exchange(str(n)) for n in range(2000)])}
    )
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 0xFF
    broken.write_bytes(content)
    items, _ = read(broken, "chatgpt")
    assert isinstance(items[-1], Damaged)


def test_a_source_that_is_named_and_is_not_it_is_refused(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n")
    for source in SOURCES_BY_NAME:
        with pytest.raises(ConfigurationError):
            read(picture, source)


def test_a_file_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(LocalIOError, match="cannot read"):
        recognize(tmp_path / "nowhere.json")
    with pytest.raises(LocalIOError, match="cannot read"):
        recognize(tmp_path)


def test_a_document_of_a_newer_chatcli_is_passed_over_with_the_reason(tmp_path):
    items, _ = read(write_json(tmp_path / "a.json", {**to_document(Session.replay([]), "x"), "version": 99}))
    assert "newer chatcli" in items[0].reason
