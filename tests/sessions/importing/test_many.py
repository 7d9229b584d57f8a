"""Years of conversations at once: duration and memory."""

from __future__ import annotations

import json
import tracemalloc
import zipfile

import pytest

from chatcli.sessions.importing.import_sources import recognize
from chatcli.sessions.importing.importer import Importer, Progress
from chatcli.sessions.store import SessionStore
from sessions.importing.exports import exchange, message, node


def write_conversations(stream, count, words=40):
    said = "as it was said " * words
    for number in range(count):
        own = f"c{number}"
        conversation = exchange(own, update_time=1_600_000_000 + number)
        conversation["mapping"][f"{own}-q2"] = node(f"{own}-q2", f"{own}-r", message("user", said))
        stream.write((b"," if number else b"[") + json.dumps(conversation).encode())
    stream.write(b"]")


def take_all(path, store):
    importer, progress = Importer(store), Progress()
    for item in recognize(path).read(path, progress, "chatcli 1.2.3"):
        importer.take(item)
    assert progress.done == progress.total
    return importer.summary


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_conversations_are_imported_once_each(tmp_path, many):
    path = tmp_path / "conversations.json"
    with path.open("wb") as stream:
        write_conversations(stream, many)
    store = SessionStore(tmp_path / "data")
    summary = take_all(path, store)
    assert (summary.imported, summary.here, summary.damaged) == (many, 0, 0)
    files = sorted(store.folder.iterdir(), key=lambda file: file.stat().st_mtime)
    assert [file.stem for file in files[:2]] == ["chatgpt-c0", "chatgpt-c1"]
    assert len(files) == many
    again = take_all(path, store)
    assert (again.imported, again.here, again.grown) == (0, many, [])


def test_memory_holds_a_few_conversations_however_many_there_are(tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("conversations.json", "w") as stream:
        write_conversations(stream, 1_000, words=1_200)
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.infolist()
    tracemalloc.start()
    try:
        summary = take_all(path, SessionStore(tmp_path / "data"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert summary.imported == 1_000
    assert peak_bytes < min(8_000_000, member.file_size / 2)
