"""Follow-up questions: how they are asked for, which are shown, and that their answers fit the later question."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.conversations import BROKEN, ask, opened, replies, target
from chatcli.attachments.attached import mentioned
from chatcli.chat.follow_ups import MOST_PROPOSED, FollowUps, is_plain_question, proposals_in
from chatcli.client.answer_cache import AnswerOrigin
from chatcli.core.errors import BadResponse, NetworkError
from chatcli.core.events import Completion, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import Message, ReasoningPart, TextPart, question
from chatcli.cost.pricing import Pricing
from chatcli.repl.repl_session import is_question
from chatcli.sessions.store import SessionStore
from chatcli.text.sanitizer import sanitize_line
from conversation.fakes import ScriptedModel

ORIGIN = AnswerOrigin("https://models.example/v1", "", "chat", "", separates_reasoning=True)
RIVER = "Which river is in Paris?"


def listed(*questions):
    return json.dumps(questions, ensure_ascii=False)


@pytest.fixture
async def chat(tmp_path):
    """Yield a conversation with one turn."""
    chat = opened(SessionStore(tmp_path / "data"))
    chat.turns.connect(target(replies("Paris."), replies("The Seine.")))
    await ask(chat, "What is the capital of France?")
    yield chat
    chat.close()


def follow_ups(chat, *scripts):
    model = ScriptedModel(*scripts)
    return FollowUps(chat, model), model


async def accepting(_):
    return True


async def without_secrets(text):
    return "secret" not in text


async def proposed(chat, answer, number=3, is_acceptable=accepting):
    ahead, _ = follow_ups(chat, replies(answer))
    return await ahead.propose(number, is_acceptable)


async def test_one_small_request_asks_for_them_with_the_words_of_both_sides_and_no_attached_text(chat):
    asking = chat.turns.send(question("Sum it up", '<document name="a.txt">secret</document>'))
    async with aclosing(asking) as events:
        _ = [event async for event in events]
    ahead, model = follow_ups(chat, replies(listed(RIVER)))
    assert await ahead.propose(3, accepting) == (RIVER,)
    (request,) = model.requests
    assert (request.is_cacheable, request.parameters.max_tokens) == (False, 1_200)
    shown = request.messages[-1].text
    for words in ("What is the capital of France?", "Paris.", "Sum it up", "The Seine."):
        assert words in shown
    assert "secret" not in shown


async def test_a_long_answer_is_sent_without_its_middle(chat):
    chat.turns.connect(target(replies("begin " + "x" * 50_000 + " end")))
    await ask(chat, "And?")
    ahead, model = follow_ups(chat, replies(listed(RIVER)))
    await ahead.propose(3, accepting)
    shown = model.requests[0].messages[-1].text
    assert "begin" in shown
    assert " end" in shown
    assert len(shown) < 5_000


async def test_what_is_not_acceptable_or_was_asked_already_is_left_out(chat):
    answer = listed("what is the capital of france", RIVER, "The secret?", "Is it far?", "Is it far ?")
    assert await proposed(chat, answer, is_acceptable=without_secrets) == (
        RIVER,
        "Is it far?",
    )
    assert await proposed(chat, answer, number=1) == (RIVER,)


@pytest.mark.parametrize(
    "answer", ["", "1. A?", "{}", '"A?"', "[1]", '["A?", 2]', "[", "[" * 50_000, "Sure! []"]
)
async def test_an_answer_that_is_no_list_of_texts_proposes_nothing(chat, answer):
    with pytest.raises(BadResponse):
        await proposed(chat, answer)


async def test_a_cut_list_proposes_nothing_and_is_counted(chat):
    ahead, _ = follow_ups(chat, (TextDelta(listed(RIVER)), Completion("length", usage=Usage(9, 4))))
    with pytest.raises(BadResponse):
        await ahead.propose(3, accepting)
    assert ahead.counted == {"ahead_requests": 1, "ahead_input_tokens": 9, "ahead_output_tokens": 4}


async def test_an_answer_without_end_is_not_read_to_its_end(chat):
    yielded = 0

    class Endless:
        async def stream(self, request):
            nonlocal yielded
            while yielded < 1_000:
                yielded += 1
                yield TextDelta('["' + "x" * 1_000)
            yield Completion("stop")

    ahead = FollowUps(chat, Endless())
    with pytest.raises(BadResponse):
        await ahead.propose(3, accepting)
    assert yielded < 50
    assert ahead.counted["ahead_output_tokens"] > 0


async def test_a_failed_request_counts_no_tokens(chat):
    ahead, _ = follow_ups(chat, BROKEN, BROKEN)
    with pytest.raises(NetworkError):
        await ahead.propose(3, accepting)
    with pytest.raises(NetworkError):
        await ahead.answer(RIVER, lambda _: True)
    assert ahead.counted == {"ahead_requests": 2, "ahead_input_tokens": 0, "ahead_output_tokens": 0}


def test_a_fence_around_the_list_is_no_part_of_it():
    assert proposals_in(f"```json\n{listed(RIVER)}\n```\n") == (RIVER,)


def test_the_blanks_of_french_and_of_japanese_are_blanks():
    assert proposals_in(listed("Où est-ce\u202f?", "\u3000東京は　どこ？")) == (
        "Où est-ce ?",
        "東京は どこ？",
    )


@pytest.mark.parametrize(
    "text",
    [
        "/quit",
        "!rm -rf .",
        "?",
        "read @notes.txt",
        "read @/etc/passwd",
        'read @"C:\\x"',
        "see @https://evil.example/?q=",
        "see (@~/x",
        "red \x1b[31m",
        "two\nlines?",
        "a tab\there?",
        "in\u200bvisible?",
        "\u202eback?",
        "x" * 201,
        "...",
        "",
    ],
)
def test_what_would_act_or_could_not_be_seen_is_no_proposal(text):
    assert proposals_in(listed(text, RIVER)) == (RIVER,)


def test_an_at_sign_in_a_word_is_a_word():
    assert proposals_in(listed("What does @property do?")) == ("What does @property do?",)


@given(st.lists(st.text(max_size=30), max_size=8))
def test_whatever_a_model_sends_a_proposal_is_one_plain_line(texts):
    proposals = proposals_in(json.dumps(texts))
    assert len(proposals) <= MOST_PROPOSED
    for proposal in proposals:
        assert is_plain_question(proposal)
        assert sanitize_line(proposal) == proposal == proposal.strip()
        assert proposal.isprintable()
        assert not mentioned(proposal)
        assert not proposal.startswith(("/", "!"))
        assert "\n" not in proposal


@given(st.text(max_size=300))
def test_an_answer_of_any_text_raises_nothing(text):
    proposals_in(text)


async def test_an_answer_ahead_has_the_key_of_the_later_question_and_leaves_the_conversation_alone(tmp_path):
    reply = (
        ReasoningDelta("hm"),
        TextDelta("Paris."),
        Completion(
            "stop",
            "small",
            Usage(1, 1),
            message=Message(
                "assistant",
                (ReasoningPart("hm"), ReasoningPart("kept", {"signature": "s"}), TextPart("Paris.", "model")),
            ),
        ),
    )
    chat = opened(SessionStore(tmp_path / "data"))
    later = ScriptedModel(reply, reply, replies("The Seine."))
    chat.turns.connect(target(model=later))
    await ask(chat, "What is the capital of France?", "Sure?")
    ahead, model = follow_ups(chat, replies("The Seine."))
    head, turns = chat.session.head, list(chat.manager.history.turns)
    assert await ahead.answer(RIVER, lambda _: True)
    assert (chat.session.head, chat.manager.history.turns) == (head, turns)
    await ask(chat, RIVER)
    asked = later.requests[-1]
    assert model.requests[0].is_cacheable
    assert asked.is_cacheable
    assert ORIGIN.key(model.requests[0]) == ORIGIN.key(asked)
    chat.close()


async def test_a_resumed_conversation_is_answered_ahead_with_the_same_key(tmp_path, chat):
    chat.close()
    again = opened(SessionStore(tmp_path / "data"))
    later = ScriptedModel(replies("The Seine."))
    again.turns.connect(target(model=later))
    ahead, model = follow_ups(again, replies("The Seine."))
    await ahead.answer(RIVER, lambda _: True)
    await ask(again, RIVER)
    assert ORIGIN.key(model.requests[0]) == ORIGIN.key(later.requests[0])
    again.close()


async def test_what_costs_too_much_is_not_answered(tmp_path, chat):
    price = {"small": {"input": 1.0, "output": 2.0}}
    pricing = Pricing("models.example", is_free=False, own=price, open_table=lambda: None)
    chat.turns.connect(replace(target(), pricing=pricing))
    ahead, model = follow_ups(chat, replies("The Seine."))
    costs = []
    assert not await ahead.answer(RIVER, lambda usd: bool(costs.append(usd)))
    assert model.requests == []
    assert 0.002 < costs[0] < 0.003


async def test_an_answer_from_the_cache_is_there_and_counts_as_no_request(chat):
    hit = (TextDelta("The Seine."), Completion("stop", usage=Usage(0, 0), cached=True))
    ahead, _ = follow_ups(chat, hit)
    assert await ahead.answer(RIVER, lambda _: True)
    assert ahead.counted["ahead_requests"] == 0
    assert ahead.counted["ahead_answers"] == 0


async def test_a_cut_answer_is_not_there(chat):
    ahead, _ = follow_ups(chat, (TextDelta("The"), Completion("length", usage=Usage(9, 1))))
    assert not await ahead.answer(RIVER, lambda _: True)
    assert ahead.counted["ahead_answers"] == 0


def test_what_the_repl_would_obey_is_no_question():
    assert is_question(RIVER)
    for line in ("/help", "exit", " QUIT ", "!ls", "?"):
        assert not is_question(line)
