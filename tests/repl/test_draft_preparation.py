"""What is done for a draft before it is sent: a connection, and the work of fitting it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from chat.conversations import EMBEDDED, ask, opened, replies, target
from chatcli.conversation.manager import ConversationManager
from chatcli.core.messages import question
from chatcli.repl.between_turns import BetweenTurns
from chatcli.repl.draft_preparation import Draft, DraftPreparation
from chatcli.repl.question_attachments import Attachments
from chatcli.repl.queue import Submission
from chatcli.sessions.store import SessionStore
from chatcli.text.redaction import Redactor
from conversation.fakes import ScriptedModel
from repl.fakes import KeptFrontend

KEY = "sk-proj-" + "a1B2" * 12


class Drafting:
    """A composer with one draft, and a conversation whose model records connections and requests."""

    def __init__(self, tmp_path, *scripts):
        self.text = ""
        self.is_busy = False
        self.connections = 0
        self.prefilled = []
        self.chat = opened(SessionStore(tmp_path / "data"))
        self.model = ScriptedModel(*scripts)
        self.resolved = replace(target(model=self.model), early=self)
        self.frontend = KeptFrontend()
        repl = SimpleNamespace(
            chat=self.chat,
            frontend=self.frontend,
            between_turns=BetweenTurns(self.frontend.remark),
            attachments=Attachments(self.read_page),
            context=SimpleNamespace(redactor=Redactor()),
        )
        draft = Draft(
            lambda: bool(self.text) and not self.text.startswith("/"), lambda: Submission.plain(self.text)
        )
        self.preparation = DraftPreparation(repl, draft, is_busy=lambda: self.is_busy, quiet_s=0)
        self.pages, self.encoded = [], []

    async def open_connection(self):
        self.connections += 1

    def encode(self, request):
        self.encoded.append([message.text for message in request.messages])

    async def prefill(self, request):
        self.prefilled.append([message.text for message in request.messages])

    async def read_page(self, address, hints):
        self.pages.append(address)
        raise AssertionError("a page was read before the question was sent")

    async def type(self, text):
        """Write the draft and wait until everything was done for it."""
        self.text = text
        self.preparation.changed()
        await until(lambda: self.plan_for(text) is not None)

    def plan_for(self, *texts):
        """Return the plan that was made ahead for a question of these texts, if there is one."""
        anticipated = self.chat.manager._anticipated if self.chat.resolved else None
        return anticipated and (anticipated.plan if anticipated.question == question(*texts) else None)


async def until(is_done):
    async with asyncio.timeout(20):
        while not is_done():  # noqa: ASYNC110 - there is nothing else to wait for
            await asyncio.sleep(0.001)


@pytest.fixture
async def drafting(tmp_path):
    drafting = Drafting(tmp_path, replies("Paris."), replies("Madrid."))
    drafting.chat.turns.connect(drafting.resolved)
    yield drafting
    await drafting.preparation.stop()
    drafting.chat.close()


async def test_the_first_key_opens_a_connection_and_sends_nothing(drafting):
    await drafting.type("W")
    assert drafting.connections >= 1
    assert drafting.model.requests == []


async def test_a_draft_is_fitted_while_it_stands(drafting):
    await drafting.type("What is the capital of France?")
    plan = drafting.plan_for("What is the capital of France?")
    assert [message.text for message in plan.messages] == ["What is the capital of France?"]
    await drafting.type("And of Spain?")
    assert drafting.plan_for("What is the capital of France?") is None


async def test_what_goes_before_a_draft_is_encoded_while_it_stands(drafting):
    await drafting.type("What is the capital of France?")
    await until(lambda: drafting.encoded)
    assert drafting.encoded[-1][-1] == "What is the capital of France?"
    assert drafting.model.requests == []


async def test_an_attached_file_is_read_with_the_draft(drafting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("the notes", "utf-8")
    drafting.text = "Sum up @notes.txt"
    drafting.preparation.changed()
    await until(lambda: drafting.chat.manager._anticipated is not None)
    assert "the notes" in drafting.chat.manager._anticipated.question.text


@pytest.mark.parametrize("text", ["/help", "", f"my key is {KEY}", "read @https://models.example/page"])
async def test_what_is_no_plain_question_is_not_fitted(drafting, text):
    drafting.text = text
    drafting.preparation.changed()
    await asyncio.sleep(0.05)
    assert drafting.chat.manager._anticipated is None
    assert drafting.pages == []


@pytest.mark.parametrize("text", ["/help", ""])
async def test_a_command_opens_no_connection(drafting, text):
    drafting.text = text
    drafting.preparation.changed()
    await asyncio.sleep(0.01)
    assert drafting.connections == 0


async def test_the_embedded_model_reads_the_conversation_ahead_and_no_other_endpoint_is_sent_it(drafting):
    await ask(drafting.chat, "What is the capital of France?")
    await drafting.type("And")
    assert drafting.prefilled == []
    drafting.chat.turns.connect(replace(drafting.resolved, endpoint=EMBEDDED))
    await drafting.type("And of Spain?")
    await until(lambda: drafting.prefilled)
    assert drafting.prefilled == [["What is the capital of France?", "Paris.", ""]]


async def test_nothing_is_done_while_a_turn_is_running(drafting):
    drafting.is_busy = True
    drafting.text = "And of Spain?"
    drafting.preparation.changed()
    await asyncio.sleep(0.01)
    assert drafting.connections == 0
    assert drafting.chat.manager._anticipated is None


async def test_a_draft_written_before_the_model_is_known_is_prepared_once_it_is(tmp_path):
    drafting = Drafting(tmp_path)
    drafting.text = "Early"
    drafting.preparation.changed()
    await asyncio.sleep(0.01)
    drafting.chat.turns.connect(drafting.resolved)
    await until(lambda: drafting.plan_for("Early") is not None)
    await drafting.preparation.stop()
    drafting.chat.close()


async def test_an_endpoint_that_cannot_be_reached_is_left_to_the_turn(drafting):
    class Unreachable:
        async def open_connection(self):
            raise OSError("no route to the host")

        def encode(self, request):
            pass

    drafting.chat.turns.connect(replace(drafting.resolved, early=Unreachable()))
    await drafting.type("Hi")
    assert drafting.frontend.output == []
    assert isinstance(drafting.chat.manager, ConversationManager)
