"""One turn, from the question to the stored reply."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from decimal import Decimal

import pytest

from chatcli.conversation.context import ContextUsage, LeftOut, Window
from chatcli.conversation.counting import MessageTokens
from chatcli.conversation.history import Entry, History, Summary, Turn
from chatcli.conversation.manager import REFITS, ConversationManager
from chatcli.conversation.play import play
from chatcli.conversation.strategies.strategy import STRATEGIES, Truncate
from chatcli.core.errors import (
    BadResponse,
    BudgetReached,
    ContextOverflow,
    IncompleteAnswer,
    InputTooLong,
    KeyRefused,
    LocalIOError,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    UsageError,
)
from chatcli.core.events import (
    CitedSource,
    Completion,
    ContextFitted,
    Notice,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
    Waiting,
)
from chatcli.core.messages import (
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    answer,
    question,
    system,
)
from chatcli.core.request import CheckedAnswer, Parameters, Request, ResponseFormat
from conversation.fakes import CharacterCounter, ManualClock, ScriptedJournal, ScriptedModel, Stall
from noted_events import NotedEvents

DONE = Completion("stop", "small-2026", Usage(12, 3))
PARIS = (TextDelta("Par"), TextDelta("is"), DONE)
ASKED = question("Capital of France?")


def conversation(
    *scripts,
    history=None,
    journal=None,
    window_tokens=4000,
    parameters=None,
    counter=None,
    clock=None,
    happened=None,
    strategy=None,
    screen=None,
    model=None,
):
    """Return a manager with a fake model and a fake journal."""
    happened = [] if happened is None else happened
    model = model or ScriptedModel(*scripts, happened=happened)
    journal = journal or ScriptedJournal(happened=happened)
    manager = ConversationManager(
        model=model,
        model_name="small",
        history=history or History(),
        journal=journal,
        tokens=MessageTokens(counter or CharacterCounter()),
        window=Window.of(window_tokens, parameters and parameters.max_tokens),
        parameters=parameters,
        clock=clock or ManualClock(),
        strategy=strategy or Truncate(),
        screen=screen,
    )
    return manager, model, journal


async def turn(manager, asked=ASKED, *, stored_id=None):
    async with aclosing(manager.send(asked, stored_id=stored_id)) as events:
        return [event async for event in events]


def history_of(count, *, length=100):
    """Return a history of ``count`` turns, each of twice ``length`` characters."""
    entries = []
    for number in range(count):
        entries.append(Entry(f"q{number}", question(f"{number}?".ljust(length))))
        entries.append(Entry(f"a{number}", answer(f"{number}!".ljust(length))))
    return History(entries)


class TestTextThatTurnsOutToBeReasoning:
    THOUGHT = (TextDelta("hm, "), TextDelta("hm"), TextReclassified("hm, hm"))

    async def test_is_no_part_of_the_reply_that_is_stored_and_told(self):
        manager, _, journal = conversation((*self.THOUGHT, *PARIS))
        *_, end = await turn(manager)
        (reply,) = journal.replies
        assert (reply.texts, end.result.text) == (["", "Par", "is"], "Paris")
        assert manager.history.turns[-1].messages[-1] == answer("Paris")

    async def test_alone_is_no_answer(self):
        manager, _, journal = conversation((*self.THOUGHT, DONE))
        *_, notice, end = await turn(manager)
        assert notice == Notice("empty_answer", "the model sent reasoning but no answer")
        assert (end.result.text, journal.replies[0].finished) == ("", [])

    async def test_is_no_part_of_what_came_before_a_failure(self):
        manager, _, _ = conversation((*self.THOUGHT, TextDelta("Par"), NetworkError("gone")))
        *_, end = await turn(manager)
        assert (end.result.text, end.result.finish_reason) == ("Par", "interrupted")

    async def test_leaves_the_answer_that_it_was_to_go_on_with(self):
        manager, _, journal = conversation((*self.THOUGHT, *PARIS))
        async with aclosing(manager.send(ASKED, partial_answer="It is ")) as events:
            *_, end = [event async for event in events]
        assert end.result.text == "It is Paris"
        assert journal.replies[0].texts == ["It is ", "Par", "is"]


class TestATurn:
    async def test_tells_its_events_in_order_and_how_it_ended_last(self):
        manager, _, _ = conversation(
            (
                Waiting(1.0, "loading"),
                Retrying(2, 0.5, "429"),
                ReasoningDelta("hm"),
                Notice("n", "m"),
                *PARIS,
            )
        )
        *progress, end = await turn(manager)
        assert progress == [
            TurnStarted("small", "trip"),
            ContextFitted(sent_tokens=25, budget_tokens=3000, dropped_turns=0),
            Waiting(1.0, "loading"),
            Retrying(2, 0.5, "429"),
            ReasoningDelta("hm"),
            Notice("n", "m"),
            TextDelta("Par"),
            TextDelta("is"),
        ]
        assert isinstance(end, TurnFinished)
        assert (end.result.text, end.result.finish_reason) == ("Paris", "stop")

    async def test_stores_the_question_before_the_model_is_asked_and_the_reply_before_telling_of_it(self):
        happened = []
        manager, _, _ = conversation(PARIS, happened=happened)

        async def observe(event):
            if isinstance(event, TurnFinished):
                happened.append("end told")

        await play(manager.send(ASKED), observe)
        assert happened == ["user stored", "model asked", "model closed", "reply stored", "end told"]

    async def test_stores_the_text_as_it_comes_and_the_reply_with_its_result(self):
        manager, _, journal = conversation((ReasoningDelta("hm"), *PARIS))
        end = (await turn(manager))[-1]
        (reply,) = journal.replies
        assert reply.texts == ["Par", "is"]
        assert reply.finished == [(answer("Paris"), end.result)]

    async def test_asks_for_the_system_prompt_the_turns_before_and_the_question(self):
        history = History(
            [Entry("1", system("Be brief.")), Entry("2", question("Hi")), Entry("3", answer("Hello"))]
        )
        parameters = Parameters(temperature=0.0, max_tokens=16)
        manager, model, _ = conversation(PARIS, history=history, parameters=parameters)
        await turn(manager)
        assert model.requests == [
            Request("small", (system("Be brief."), question("Hi"), answer("Hello"), ASKED), parameters)
        ]

    async def test_sends_what_prepare_shows_which_itself_sends_and_stores_nothing(self):
        manager, model, journal = conversation(PARIS, history=history_of(20))
        request, plan = manager.prepare(ASKED)
        assert (model.requests, journal.messages, manager.history.head) == ([], [], "a19")
        events = await turn(manager)
        assert model.requests == [request]
        assert events[1] == plan

    async def test_leaves_room_for_the_answer_it_asks_for(self):
        manager, _, _ = conversation(PARIS, window_tokens=1024, parameters=Parameters(max_tokens=16))
        assert (await turn(manager))[1].budget_tokens == 1008

    async def test_leaves_out_older_turns_and_tells_how_many_but_forgets_none(self):
        manager, model, _ = conversation(PARIS, history=history_of(5), window_tokens=1000)
        events = await turn(manager)
        assert events[1] == ContextFitted(sent_tokens=25 + 2 * 208, budget_tokens=750, dropped_turns=3)
        assert model.requests[0].messages[0].text.startswith("3?")
        assert len(manager.history.turns) == 6

    async def test_a_cut_off_answer_is_an_end_of_its_own_and_kept(self):
        manager, _, journal = conversation((TextDelta("Par"), Completion("length")))
        end = (await turn(manager))[-1]
        assert isinstance(end, TurnFinished)
        assert (end.result.text, end.result.finish_reason) == ("Par", "length")
        assert journal.replies[0].finished == [(answer("Par"), end.result)]

    async def test_an_empty_answer_is_reported_and_not_kept(self):
        manager, _, journal = conversation((DONE,))
        *_, notice, end = await turn(manager)
        assert notice == Notice("empty_answer", "the model sent an empty answer")
        assert isinstance(end, TurnFinished)
        assert journal.replies[0].finished == []
        assert manager.history.head == "message 1"

    async def test_an_answer_of_tool_calls_is_called_empty_only_where_nothing_else_was_reported_of_it(self):
        for code in ("tool_calls", "refusal", "media_not_shown"):
            manager, _, _ = conversation((Notice(code, "said"), Completion("tool_calls")))
            assert [event.code for event in await turn(manager) if isinstance(event, Notice)] == [code]
        manager, _, _ = conversation((Completion("tool_calls"),))
        assert [event.code for event in await turn(manager) if isinstance(event, Notice)] == ["empty_answer"]

    @pytest.mark.parametrize("text", ["", "Well, "])
    async def test_a_refusal_is_kept_as_one_and_the_model_knows_of_it(self, text):
        deltas, refused = ((TextDelta(text),) if text else ()), Completion("stop", message=answer("", "No."))
        manager, model, journal = conversation((*deltas, refused), PARIS)
        end = (await turn(manager))[-1]
        assert (end.result.text, end.result.refusal) == (text, "No.")
        kept = answer(text, "No.")
        assert journal.replies[0].finished == [(kept, end.result)]
        assert (kept.refusal, kept.answer) == ("No.", text)
        await turn(manager, question("Why?"))
        assert [message.text for message in model.requests[1].messages][1:] == [
            f"{text}\n\nNo." if text else "No.",
            "Why?",
        ]

    async def test_what_came_beside_the_text_is_in_the_result(self):
        calls, sources = (ToolCallPart("1", "f", "{}"),), (CitedSource(1, "Paris", "https://example.com"),)
        manager, _, _ = conversation(
            (TextDelta("Paris"), Completion("stop", message=Message("assistant", calls), sources=sources))
        )
        result = (await turn(manager))[-1].result
        assert (result.refusal, result.tool_calls, result.sources) == (None, calls, sources)

    async def test_a_reply_of_tool_calls_alone_is_kept_and_not_sent_again(self):
        calls = Message("assistant", (ToolCallPart("1", "f", "{}"),))
        manager, model, journal = conversation((Completion("tool_calls", message=calls),), PARIS)
        await turn(manager)
        assert [message for message, _ in journal.replies[0].finished] == [calls]
        await turn(manager, question("And?"))
        (asked,) = model.requests[1].messages
        assert asked.text.endswith("\n\nAnd?")

    async def test_reasoning_is_kept_where_an_endpoint_wants_it_back(self):
        mine, theirs = ReasoningPart("hm"), ReasoningPart("hm", {"endpoint": "a.example"})
        for reasoning, kept in ((mine, ()), (theirs, (theirs,))):
            message = Message("assistant", (reasoning, TextPart("Paris", "model")))
            done = Completion("stop", message=message)
            manager, model, journal = conversation((TextDelta("Paris"), done), PARIS)
            await turn(manager)
            assert journal.replies[0].finished[0][0].parts == (*kept, TextPart("Paris", "model"))
            await turn(manager, question("And?"))
            assert model.requests[1].messages[-2] == message

    async def test_an_answer_from_the_cache_says_so(self):
        manager, _, _ = conversation((TextDelta("Paris"), Completion("stop", cached=True)))
        assert (await turn(manager))[-1].result.cached


class TestTheResult:
    async def test_names_the_model_that_answered_and_the_session(self):
        manager, _, _ = conversation(PARIS)
        result = (await turn(manager))[-1].result
        assert (result.model, result.session, result.usage) == ("small-2026", "trip", Usage(12, 3))

    async def test_names_the_model_that_was_asked_where_the_endpoint_does_not_say(self):
        manager, _, _ = conversation((TextDelta("Paris"), Completion("stop")))
        assert (await turn(manager))[-1].result.model == "small"

    async def test_counts_the_tokens_itself_where_the_endpoint_did_not(self):
        manager, _, _ = conversation((TextDelta("Paris"), Completion("stop")))
        assert (await turn(manager))[-1].result.usage == Usage(25, 5, estimated=True)

    @pytest.mark.parametrize(
        ("reported", "usage"),
        [
            (Usage(None, None, 4), Usage(25, 5, 4, estimated=True)),
            (Usage(12, None), Usage(12, 5, estimated=True)),
        ],
    )
    async def test_counts_the_tokens_that_the_endpoint_left_out(self, reported, usage):
        manager, _, _ = conversation((TextDelta("Paris"), Completion("stop", None, reported)))
        assert (await turn(manager))[-1].result.usage == usage

    async def test_counts_the_tokens_of_an_answer_that_was_cut_as_well(self):
        cut = (TextDelta("Paris"), Completion("length"), BudgetReached("cut"))
        manager, _, _ = conversation(cut)
        result = (await turn(manager))[-1].result
        assert (result.usage, result.error.code) == (Usage(25, 5, estimated=True), "budget_reached")

    async def test_of_an_answer_that_broke_off_has_the_cost_that_was_booked(self):
        class Charging(ScriptedModel):
            async def stream(self, request):
                try:
                    async with aclosing(super().stream(request)) as events:
                        async for event in events:
                            yield event
                finally:
                    request.receipt.costs_usd += [Decimal("0.25"), None, Decimal("0.5")]

        broken = (TextDelta("Par"), NetworkError("gone"))
        manager, _, journal = conversation(model=Charging(broken, PARIS))
        assert (await turn(manager))[-1].result.cost_usd == 0.75
        assert journal.replies[0].finished[0][1].cost_usd == 0.75
        assert (await turn(manager))[-1].result.cost_usd is None

    async def test_counts_no_tokens_of_an_answer_that_failed(self):
        manager, _, _ = conversation((TextDelta("Par"), NetworkError("gone")))
        assert (await turn(manager))[-1].result.usage == Usage()

    async def test_measures_the_time_to_the_end_and_to_the_first_delta(self):
        clock = ManualClock()
        script = (
            clock.passing(0.5),
            Waiting(0.5, "x"),
            TextDelta("P"),
            clock.passing(2),
            TextDelta("aris"),
            DONE,
        )
        manager, _, _ = conversation(script, clock=clock)
        result = (await turn(manager))[-1].result
        assert (result.ttft_s, result.latency_s) == (0.5, 2.5)

    async def test_takes_the_first_thought_for_the_first_delta(self):
        clock = ManualClock()
        script = (clock.passing(0.25), ReasoningDelta("hm"), clock.passing(1), *PARIS)
        manager, _, _ = conversation(script, clock=clock)
        assert (await turn(manager))[-1].result.ttft_s == 0.25

    async def test_has_no_time_to_the_first_delta_where_none_came(self):
        manager, _, _ = conversation((NetworkError("gone"),))
        assert (await turn(manager))[-1].result.ttft_s is None

    async def test_counts_the_attempts_of_the_layers_below(self):
        manager, _, _ = conversation((Retrying(2, 0.1, "503"), Retrying(3, 0.2, "503"), *PARIS), PARIS)
        assert (await turn(manager))[-1].result.attempts == 3
        assert (await turn(manager))[-1].result.attempts == 1

    async def test_counts_an_answer_that_did_not_fit_where_the_next_one_breaks_off(self):
        manager, _, _ = conversation((TextDelta("{}"), Notice("schema_repair", "again"), NetworkError("cut")))
        assert (await turn(manager))[-1].result.attempts == 2


class TestAFailedTurn:
    async def test_keeps_what_had_come_as_interrupted(self):
        error = IncompleteAnswer("the stream ended early", hint="ask again")
        manager, _, journal = conversation((TextDelta("Par"), error))
        end = (await turn(manager))[-1]
        assert isinstance(end, TurnFailed)
        assert (end.result.text, end.result.finish_reason) == ("Par", "interrupted")
        assert end.result.error is error
        assert journal.replies[0].finished == [(answer("Par"), end.result)]
        assert manager.history.head == "reply 1"

    async def test_without_any_text_keeps_the_question_alone(self):
        manager, _, journal = conversation((KeyRefused("401", status=401),))
        end = (await turn(manager))[-1]
        assert (end.result.text, end.result.finish_reason) == ("", None)
        assert journal.replies[0].finished == []
        assert [found.messages for found in manager.history.turns] == [(ASKED,)]
        assert manager.history.head == "message 1"

    async def test_does_not_stand_in_the_way_of_the_next(self):
        manager, model, _ = conversation((NetworkError("gone"),), PARIS)
        await turn(manager)
        end = (await turn(manager, question("And now?")))[-1]
        assert isinstance(end, TurnFinished)
        (sent,) = model.requests[1].messages
        assert (sent.role, sent.text) == ("user", "Capital of France?\n\nAnd now?")
        assert [found.messages for found in manager.history.turns] == [
            (ASKED,),
            (question("And now?"), answer("Paris")),
        ]

    @pytest.mark.parametrize(
        "error",
        [
            RequestRefused("bad", status=400),
            RequestRefused("moderated", status=403),
            RequestRefused("too large", status=413),
            RequestRefused("bad", status=422),
            RequestRefused("bad, says the body", status=200),
            ContextOverflow("too long", status=429),
            BadResponse("filtered", status=200, provider_code="content_filter"),
        ],
    )
    async def test_by_a_question_that_is_refused_for_what_it_is_leaves_it_out_from_then_on(self, error):
        manager, model, journal = conversation(*[(error,)] * (REFITS + 1), PARIS, history=history_of(1))
        end = (await turn(manager))[-1]
        while len(model.requests) < REFITS + 1:  # what overflows was asked again
            await turn(manager, question("Of Spain?"))
        assert end.result.error is error
        assert journal.refusals[0] == ("message 1", error.message)
        assert len(manager.history.turns) == 1
        await turn(manager, question("And now?"))
        assert [message.text.strip() for message in model.requests[-1].messages] == ["0?", "0!", "And now?"]
        assert journal.messages[-1][1] == journal.messages[-2][0]

    @pytest.mark.parametrize(
        "error",
        [
            KeyRefused("wrong key", status=401),
            QuotaExceeded("pay", status=402),
            QuotaExceeded("pay", status=403),
            RequestRefused("no such model", status=404),
            RateLimited("later", status=429),
            ServerFailed("down", status=503),
            NetworkError("gone"),
            BadResponse("not JSON", status=200),
            IncompleteAnswer("the stream ended early"),
        ],
    )
    async def test_by_anything_else_is_asked_about_together_with_the_next_question(self, error):
        manager, model, journal = conversation((error,), PARIS)
        await turn(manager)
        await turn(manager, question("And now?"))
        assert [message.text for message in model.requests[1].messages] == ["Capital of France?\n\nAnd now?"]
        assert journal.refusals == []

    async def test_after_the_first_word_keeps_the_turn_whatever_the_error(self):
        manager, _, journal = conversation((TextDelta("Par"), RequestRefused("no more", status=400)))
        await turn(manager)
        assert journal.refusals == []
        assert [found.messages for found in manager.history.turns] == [(ASKED, answer("Par"))]

    @pytest.mark.parametrize("deltas", [(), (ReasoningDelta("hm"),)])
    async def test_of_which_the_content_filter_leaves_no_word_is_a_question_refused(self, deltas):
        manager, _, journal = conversation((*deltas, Completion("content_filter")))
        assert isinstance((await turn(manager))[-1], TurnFinished)
        assert journal.refusals == [("message 1", "the content filter blocked the answer")]
        assert manager.history.turns == []

    async def test_that_is_filtered_after_some_words_is_kept_with_them(self):
        manager, _, journal = conversation((TextDelta("Par"), Completion("content_filter")))
        await turn(manager)
        assert journal.refusals == []
        assert [found.messages for found in manager.history.turns] == [(ASKED, answer("Par"))]

    async def test_fails_with_its_own_error_where_its_refusal_cannot_be_stored(self):
        error = RequestRefused("bad", status=400)
        manager, _, _ = conversation((error,), journal=ScriptedJournal(failing=("refused",)))
        assert (await turn(manager))[-1].result.error is error
        assert (manager.history.turns, manager.history.head) == ([], "message 1")

    async def test_that_fails_by_a_bug_hides_nothing(self):
        manager, _, _ = conversation((ZeroDivisionError("a bug"),))
        with pytest.raises(ZeroDivisionError):
            await turn(manager)


class TestAQuestionThatIsTooLong:
    async def test_is_refused_and_neither_stored_nor_sent(self):
        manager, model, journal = conversation(PARIS, window_tokens=20)
        started, end = await turn(manager)
        assert started == TurnStarted("small", "trip")
        assert isinstance(end, TurnFailed)
        assert isinstance(end.result.error, InputTooLong)
        assert (model.requests, journal.messages, journal.replies) == ([], [], [])
        assert (manager.history.turns, manager.history.head) == ([], None)

    async def test_is_reported_by_prepare_as_an_error(self):
        manager, _, _ = conversation(window_tokens=20)
        with pytest.raises(InputTooLong):
            manager.prepare(ASKED)

    async def test_does_not_stand_in_the_way_of_a_shorter_one(self):
        manager, _, _ = conversation(PARIS, window_tokens=24)
        assert isinstance((await turn(manager))[-1], TurnFailed)
        assert isinstance((await turn(manager, question("Paris?")))[-1], TurnFinished)


class TestAnEndpointThatCountsMoreTokens:
    OVERFLOW = ContextOverflow("the prompt is too long", hint="shorten it")

    async def test_is_asked_again_with_less_of_the_older_turns_and_that_is_reported(self):
        manager, model, _ = conversation((self.OVERFLOW,), PARIS, history=history_of(4))
        _, first, notice, second, *_, end = await turn(manager)
        assert notice == Notice("context_overflow", "the prompt is too long; retrying with fewer older turns")
        assert (first.sent_tokens, first.dropped_turns) == (25 + 4 * 208, 0)
        assert (second.sent_tokens, second.dropped_turns) == (25 + 2 * 208, 2)
        assert second.budget_tokens == int(first.sent_tokens * 0.75)
        assert [len(request.messages) for request in model.requests] == [9, 5]
        assert isinstance(end, TurnFinished)

    async def test_costs_one_question_and_one_reply_in_the_journal(self):
        manager, _, journal = conversation((self.OVERFLOW,), (self.OVERFLOW,), PARIS, history=history_of(8))
        await turn(manager)
        assert len(journal.messages) == 1
        assert [reply.texts for reply in journal.replies] == [["Par", "is"]]

    async def test_fails_with_its_own_words_when_nothing_can_be_left_out(self):
        manager, model, _ = conversation((self.OVERFLOW,))
        end = (await turn(manager))[-1]
        assert end.result.error is self.OVERFLOW
        assert len(model.requests) == 1

    async def test_never_makes_the_system_prompt_or_a_pin_go(self):
        history = History([Entry("1", system("Be brief.")), Entry("2", question("Mind me"), pinned=True)])
        for entry in (Entry("3", question("x" * 100)), Entry("4", answer("y" * 100))):
            history.append(entry)
        manager, model, _ = conversation((self.OVERFLOW,), (self.OVERFLOW,), history=history)
        end = (await turn(manager))[-1]
        assert end.result.error is self.OVERFLOW
        assert [message.text for message in model.requests[-1].messages] == [
            "Be brief.",
            "Mind me\n\nCapital of France?",
        ]

    async def test_is_not_asked_for_ever(self):
        manager, model, _ = conversation(*[(self.OVERFLOW,)] * 10, history=history_of(12))
        events = await turn(manager)
        assert events[-1].result.error is self.OVERFLOW
        assert len(model.requests) == REFITS + 1
        assert len([event for event in events if isinstance(event, Notice)]) == REFITS
        lengths = [len(request.messages) for request in model.requests]
        assert lengths == sorted(set(lengths), reverse=True)

    @pytest.mark.parametrize("delta", [TextDelta("Par"), ReasoningDelta("hm")])
    async def test_is_not_asked_again_once_something_of_the_answer_was_shown(self, delta):
        manager, model, _ = conversation((delta, self.OVERFLOW), PARIS, history=history_of(4))
        events = await turn(manager)
        assert events[-2] == delta
        assert events[-1].result.error is self.OVERFLOW
        assert len(model.requests) == 1

    async def test_is_asked_again_when_nothing_had_been_counted_yet(self):
        manager, model, _ = conversation(
            (self.OVERFLOW,), PARIS, history=history_of(4), counter=CharacterCounter(loaded=False)
        )
        _, first, _, second, *_, end = await turn(manager)
        assert (first.estimated, second.estimated) == (True, False)
        assert second.sent_tokens <= first.sent_tokens * 0.75
        assert len(model.requests[1].messages) < len(model.requests[0].messages)
        assert isinstance(end, TurnFinished)


class TestACancelledTurn:
    @staticmethod
    async def stopped_midway(manager, stall):
        """Cancel the turn once it stalls, and return the events until then."""
        received = []

        async def consume():
            async with aclosing(manager.send(ASKED)) as events:
                async for event in events:
                    received.append(event)  # noqa: PERF401 - the events before the cancellation are needed

        task = asyncio.create_task(consume())
        await stall.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return received

    async def test_stores_the_partial_closes_the_model_and_goes_on(self):
        stall, happened = Stall(), []
        manager, _, journal = conversation((TextDelta("Par"), stall), happened=happened)
        events = await self.stopped_midway(manager, stall)
        assert events[-1] == TextDelta("Par")
        assert happened == ["user stored", "model asked", "model closed", "reply stored"]
        ((message, result),) = journal.replies[0].finished
        assert (message, result.finish_reason) == (answer("Par"), "interrupted")
        assert manager.history.head == "reply 1"

    async def test_before_the_first_word_stores_the_question_alone(self):
        stall = Stall()
        manager, _, journal = conversation((stall,))
        await self.stopped_midway(manager, stall)
        assert journal.replies[0].finished == []
        assert manager.history.head == "message 1"

    async def test_stays_cancelled_when_the_partial_cannot_be_stored(self):
        stall = Stall()
        manager, _, _ = conversation((TextDelta("Par"), stall), journal=ScriptedJournal(failing=("finish",)))
        await self.stopped_midway(manager, stall)
        assert [found.messages for found in manager.history.turns] == [(ASKED, answer("Par"))]

    async def test_is_stored_as_well_when_the_consumer_just_leaves(self):
        happened = []
        manager, _, journal = conversation((*PARIS,), happened=happened)
        async with aclosing(manager.send(ASKED)) as events:
            async for event in events:
                if event == TextDelta("Par"):
                    break
        assert happened == ["user stored", "model asked", "model closed", "reply stored"]
        ((message, result),) = journal.replies[0].finished
        assert (message, result.finish_reason) == (answer("Par"), "interrupted")

    async def test_that_never_began_stores_nothing(self):
        manager, model, journal = conversation(PARIS)
        async with aclosing(manager.send(ASKED)) as events:
            assert await anext(events) == TurnStarted("small", "trip")
        assert (journal.messages, model.requests, manager.history.turns) == ([], [], [])

    async def test_while_a_slow_observer_awaits_is_closed_and_stored_before_it_is_reported(self):
        reached, happened = asyncio.Event(), []
        manager, _, _ = conversation(PARIS, happened=happened)

        async def slow(event):
            if isinstance(event, TextDelta):
                reached.set()
                await asyncio.Event().wait()
            if isinstance(event, TurnCancelled):
                happened.append(f"told of {event.result.text!r}")

        task = asyncio.create_task(play(manager.send(ASKED), slow))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert happened == ["user stored", "model asked", "model closed", "reply stored", "told of 'Par'"]


class TestAJournalThatFails:
    async def test_on_the_question_fails_the_turn_and_nothing_is_sent(self):
        manager, model, _ = conversation(PARIS, journal=ScriptedJournal(failing=("message",)))
        _, end = await turn(manager)
        assert isinstance(end, TurnFailed)
        assert isinstance(end.result.error, LocalIOError)
        assert (model.requests, manager.history.turns, manager.history.head) == ([], [], None)

    async def test_on_the_reply_fails_the_turn_with_the_whole_text(self):
        manager, _, _ = conversation(PARIS, journal=ScriptedJournal(failing=("finish",)))
        end = (await turn(manager))[-1]
        assert isinstance(end, TurnFailed)
        assert isinstance(end.result.error, LocalIOError)
        assert (end.result.text, end.result.finish_reason) == ("Paris", "stop")

    async def test_on_the_reply_leaves_no_gap_in_what_is_stored(self):
        journal = ScriptedJournal(failing=("finish",))
        manager, model, _ = conversation(PARIS, PARIS, journal=journal)
        await turn(manager)
        journal.failing.clear()
        await turn(manager, question("And of Spain?"))
        assert [parent for _, parent, _ in journal.messages] == [None, "message 1"]
        assert model.requests[1].messages == (ASKED, answer("Paris"), question("And of Spain?"))

    async def test_while_the_reply_arrives_fails_the_turn_with_what_had_come(self):
        happened = []
        journal = ScriptedJournal(failing=("extend", "finish"), happened=happened)
        manager, _, _ = conversation(PARIS, journal=journal, happened=happened)
        end = (await turn(manager))[-1]
        assert isinstance(end.result.error, LocalIOError)
        assert end.result.text == "Par"
        assert happened == ["user stored", "model asked", "model closed"]


class TestAConversation:
    async def test_continues_from_the_stored_ids_as_a_chain(self):
        history = History([Entry("system 1", system("Be brief."))])
        manager, model, journal = conversation(PARIS, PARIS, history=history)
        await turn(manager)
        await turn(manager, question("And of Spain?"))
        assert [(identity, parent) for identity, parent, _ in journal.messages] == [
            ("message 1", "system 1"),
            ("message 2", "reply 1"),
        ]
        assert [(reply.id, reply.parent) for reply in journal.replies] == [
            ("reply 1", "message 1"),
            ("reply 2", "message 2"),
        ]
        assert manager.history.head == "reply 2"
        assert [message.text for message in model.requests[1].messages] == [
            "Be brief.",
            "Capital of France?",
            "Paris",
            "And of Spain?",
        ]

    async def test_continues_from_the_head_it_was_resumed_at(self):
        manager, _, journal = conversation(PARIS, history=history_of(1))
        await turn(manager)
        assert journal.messages == [("message 1", "a0", ASKED)]

    async def test_goes_on_from_another_history(self):
        manager, model, journal = conversation(PARIS, history=history_of(3))
        manager.resume(history_of(1, length=3))
        await turn(manager)
        assert model.requests[0].messages == (question("0? "), answer("0! "), ASKED)
        assert journal.messages == [("message 1", "a0", ASKED)]

    async def test_counts_each_message_once_however_long_it_grows(self):
        counter = CharacterCounter()
        manager, _, _ = conversation(*[PARIS] * 5, counter=counter)
        for number in range(5):
            await turn(manager, question(f"{number}?"))
        assert counter.counted == ["0?", "1?", "Paris", "2?", "3?", "4?"]


class TestAQuestionThatIsStoredAlready:
    async def test_is_not_stored_again_and_its_answer_follows_it(self):
        manager, model, journal = conversation(PARIS, history=history_of(1))
        await turn(manager, stored_id="q1")
        assert journal.messages == []
        assert [(reply.id, reply.parent) for reply in journal.replies] == [("reply 1", "q1")]
        assert model.requests[0].messages[-1] == ASKED
        assert manager.history.turns[-1].messages == (ASKED, answer("Paris"))
        assert manager.history.head == "reply 1"

    async def test_stands_alone_when_no_answer_comes(self):
        manager, _, journal = conversation((NetworkError("gone"),))
        await turn(manager, stored_id="q1")
        assert journal.messages == []
        assert manager.history.head == "q1"
        assert [found.messages for found in manager.history.turns] == [(ASKED,)]


class TestTheUsageOfTheContext:
    def test_tells_what_each_part_of_the_window_takes(self):
        history = history_of(5)
        history.system = system("Be brief.")
        manager, _, _ = conversation(history=history, window_tokens=1000)
        assert manager.context_usage() == ContextUsage(
            window_tokens=1000,
            budget_tokens=750,
            system_tokens=13,
            turns_tokens=2 * 208,
        )
        assert manager.context_usage().free_tokens == 750 - 13 - 2 * 208 - 4 - 3

    def test_of_an_empty_conversation_is_nothing(self):
        manager, _, _ = conversation(window_tokens=1000)
        usage = manager.context_usage()
        assert (usage.system_tokens, usage.turns_tokens) == (0, 0)

    def test_is_estimated_and_loads_no_vocabulary_before_there_is_one(self):
        counter = CharacterCounter(loaded=False)
        manager, _, _ = conversation(history=history_of(5), window_tokens=1000, counter=counter)
        usage = manager.context_usage()
        assert usage.estimated
        assert usage.turns_tokens == 5 * 2 * (100 // 4 + 4)
        assert (counter.loaded, counter.counted) == (False, [])

    def test_counts_each_message_once_however_often_it_is_asked(self):
        counter = CharacterCounter()
        manager, _, _ = conversation(history=history_of(3), counter=counter)
        for _ in range(3):
            manager.context_usage()
        assert len(counter.counted) == len(set(counter.counted))

    async def test_is_what_the_next_turn_sends_without_its_question(self):
        manager, _, _ = conversation(PARIS, history=history_of(9), window_tokens=1500)
        usage = manager.context_usage()
        _, plan = manager.prepare(question(""))
        assert plan.sent_tokens == usage.turns_tokens + 4 + 3
        assert plan.dropped_turns == 6

    def test_is_reported_where_the_pins_alone_are_too_long(self):
        history = History([Entry("1", question("x" * 1000), pinned=True), Entry("2", question("Hi"))])
        manager, _, _ = conversation(history=history, window_tokens=1000)
        usage = manager.context_usage()
        assert usage.turns_tokens == 1004
        assert usage.free_tokens == 0

    async def test_is_worked_out_once_until_something_changes(self):
        strategy = CountingStrategy()
        manager, _, _ = conversation(PARIS, history=history_of(3), strategy=strategy)
        first = manager.context_usage()
        assert manager.context_usage() is first
        assert strategy.plan == 1
        await turn(manager)
        asked = manager.context_usage()
        assert asked.turns_tokens > first.turns_tokens
        manager.resume(history_of(2))
        assert manager.context_usage().turns_tokens < asked.turns_tokens


class CountingStrategy(Truncate):
    """Counts how often it is called."""

    def __init__(self):
        super().__init__()
        self.plan = 0

    def fit(self, *situation):
        self.plan += 1
        return super().fit(*situation)


class TestTheContext:
    def test_is_reported_part_by_part_with_what_is_left_out_counted_roughly(self):
        history = history_of(5)
        history.system = system("Be brief.")
        plan = conversation(history=history, window_tokens=1000)[0].context()
        assert [(part.kind, part.turn) for part in plan.parts] == [
            ("system", None),
            ("turn", 4),
            ("turn", 5),
            ("question", None),
        ]
        assert plan.left_out == (LeftOut(1, 3, "does not fit", 3 * 2 * (100 // 4 + 4)),)

    def test_is_what_must_be_sent_where_even_that_is_too_long(self):
        history = History([Entry("1", question("x" * 1000), pinned=True), Entry("2", question("Hi"))])
        plan = conversation(history=history, window_tokens=1000)[0].context()
        assert [part.kind for part in plan.parts] == ["pinned", "question"]
        assert plan.sent_tokens > 750


class TestEveryStrategy:
    OVERFLOW = ContextOverflow("the prompt is too long", hint="shorten it")

    @pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "none"])
    async def test_sends_less_where_the_endpoint_counts_more(self, name):
        manager, model, _ = conversation(
            (self.OVERFLOW,), (self.OVERFLOW,), PARIS, history=history_of(9), strategy=STRATEGIES[name]()
        )
        events = await turn(manager)
        sent = [event.sent_tokens for event in events if isinstance(event, ContextFitted)]
        assert sent[0] > sent[1] > sent[2]
        assert isinstance(events[-1], TurnFinished)
        assert all(request.messages[-1] == ASKED for request in model.requests)

    async def test_that_leaves_nothing_out_lets_the_endpoint_have_the_last_word(self):
        manager, model, _ = conversation(
            (self.OVERFLOW,), history=history_of(9), strategy=STRATEGIES["none"]()
        )
        end = (await turn(manager))[-1]
        assert isinstance(end, TurnFailed)
        assert end.result.error is self.OVERFLOW
        assert len(model.requests) == 1

    async def test_that_leaves_nothing_out_refuses_what_does_not_fit_before_it_is_stored(self):
        manager, model, journal = conversation(
            history=history_of(9), window_tokens=1500, strategy=STRATEGIES["none"]()
        )
        end = (await turn(manager))[-1]
        assert isinstance(end.result.error, InputTooLong)
        assert (model.requests, journal.messages) == ([], [])

    async def test_does_not_tell_of_turns_that_a_summary_stands_for(self):
        history = history_of(9)
        history.summary = Summary("what was said", 5, "q0", "a4")
        strategy = STRATEGIES["summarize"]()
        manager, model, _ = conversation(PARIS, history=history, window_tokens=1500, strategy=strategy)
        events = await turn(manager)
        assert events[1].dropped_turns == 0
        assert model.requests[0].messages[1].text == "what was said"

    async def test_that_calls_turns_back_tells_which(self):
        history = history_of(9)
        history.turns[0] = Turn((question("Paris is lovely."), answer("Indeed.")), ids=("q0", "a0"))
        manager, _, _ = conversation(
            PARIS, history=history, window_tokens=1500, strategy=STRATEGIES["recall"]()
        )
        events = await turn(manager, question("lovely?"))
        assert Notice("recalled", "back in the context: Paris is lovely.") in events


ATTACHED = question("What is it?", "a text")


class Watchful:
    """A screen that warns of each check, or refuses, and finds a link in every answer."""

    def __init__(self, happened=None, error=None):
        self.happened = [] if happened is None else happened
        self.error = error

    async def check(self, messages):
        self.happened.append(("checked", messages[-1].text))
        if self.error is not None:
            raise self.error
        return (Notice("injection", "a finding"),)

    async def links(self, answer, messages):
        return (Notice("outgoing_link", answer),)


class TestTheScreen:
    async def test_warns_before_the_question_is_stored_and_of_links_after_the_answer(self):
        happened = []
        manager, _, _ = conversation(PARIS, happened=happened, screen=Watchful(happened))
        events = await turn(manager, ATTACHED)
        assert happened[0] == ("checked", ATTACHED.text)
        codes = [event.code for event in events if isinstance(event, Notice)]
        assert codes == ["injection", "outgoing_link"]
        assert events[-2] == Notice("outgoing_link", "Paris")

    async def test_a_question_it_refuses_is_neither_sent_nor_stored(self):
        happened, error = [], UsageError("not sent", hint="look", code="injection")
        manager, model, _ = conversation(happened=happened, screen=Watchful(happened, error))
        *_, end = await turn(manager, ATTACHED)
        assert end.result.error is error
        assert happened == [("checked", ATTACHED.text)]
        assert not model.requests

    async def test_checks_no_question_without_text_of_others(self):
        happened = []
        manager, _, _ = conversation(PARIS, screen=Watchful(happened))
        await turn(manager)
        assert happened == []

    async def test_finds_links_in_what_came_before_a_failure(self):
        manager, _, _ = conversation((TextDelta("Par"), NetworkError("gone")), screen=Watchful())
        *_, notice, end = await turn(manager)
        assert notice == Notice("outgoing_link", "Par")
        assert isinstance(end, TurnFailed)


class TestAnAnswerThatIsToFitASchema:
    @staticmethod
    def fitting(text, words=""):
        def check(answered):
            return (
                CheckedAnswer({"is": answered}) if answered == text else CheckedAnswer(problem="it is wrong")
            )

        return ResponseFormat("it", {}, words=words, check=check)

    async def test_has_data(self):
        manager, model, _ = conversation(PARIS)
        manager.response_format = self.fitting("Paris")
        end = (await turn(manager))[-1]
        assert end.result.data == {"is": "Paris"}
        assert model.requests[0].response_format == manager.response_format

    async def test_is_a_failure_that_is_kept_if_it_does_not(self):
        manager, _, journal = conversation(PARIS)
        manager.response_format = self.fitting("Rome")
        end = (await turn(manager))[-1]
        assert isinstance(end, TurnFailed)
        assert (end.result.text, end.result.data, end.result.error.code) == ("Paris", None, "schema_mismatch")
        assert journal.replies[0].texts == ["Par", "is"]

    async def test_that_was_cut_has_no_data_and_no_error(self):
        manager, _, _ = conversation((*PARIS[:2], Completion("length")))
        manager.response_format = self.fitting("Rome")
        end = (await turn(manager))[-1]
        assert (end.result.error, end.result.data) == (None, None)

    async def test_that_replaced_one_counts_both(self):
        replaced = TextReclassified("Rome", is_reasoning=False)
        again = Completion("stop", answers=2)
        manager, _, _ = conversation((TextDelta("Rome"), replaced, TextDelta("Paris"), again))
        result = (await turn(manager))[-1].result
        once, _, _ = conversation((TextDelta("Paris"), Completion("stop")))
        before = (await turn(once))[-1].result.usage
        assert (result.text, result.attempts) == ("Paris", 2)
        assert result.usage.output_tokens == 2 * before.output_tokens
        assert result.usage.input_tokens == 2 * before.input_tokens + before.output_tokens

    async def test_leaves_room_for_the_schema(self):
        history = history_of(30)
        manager, model, _ = conversation(PARIS, PARIS, history=history)
        await turn(manager)
        manager.response_format = self.fitting("Paris", words="x" * 1_000)
        await turn(manager)
        first, second = (sum(len(each.text) for each in request.messages) for request in model.requests)
        assert first - second > 600


async def test_the_log_has_how_much_of_the_conversation_is_sent_and_none_of_it():
    manager, _, _ = conversation(PARIS, history=history_of(40), window_tokens=2_000)
    manager.log = NotedEvents()
    await turn(manager)
    (fitted,) = manager.log.facts("context")
    assert 0 < fitted["sent_tokens"] <= fitted["budget_tokens"]
    assert fitted["dropped_turns"] > 0
    assert "France" not in repr(manager.log.events)
