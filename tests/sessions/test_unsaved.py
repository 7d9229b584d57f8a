from __future__ import annotations

from chatcli.core.messages import answer, question
from chatcli.sessions.unsaved import UnsavedJournal
from sessions.world import RESULT


def test_it_takes_a_conversation_hands_out_ids_and_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = UnsavedJournal()
    asked = journal.message(question("Hi"), parent=None)
    reply = journal.begin_reply(parent=asked)
    reply.extend("Paris")
    reply.finish(answer("Paris"), RESULT)
    marked = journal.mark("title", "T", parent=reply.id)
    journal.close()
    assert len({asked, reply.id, marked}) == 3
    assert journal.name is None
    assert list(tmp_path.iterdir()) == []
