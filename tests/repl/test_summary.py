"""``/summary``: shown, changed, taken away; and that older turns are summed up between two questions."""

from __future__ import annotations

from repl.test_talk import completions, messages
from repl.test_talk import talking as talking  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, json_answer, serving

LONG = Answer(event_stream("word " * 300))
SUMMARY = Answer(event_stream("They spoke of words."))


async def test_older_turns_are_summed_up_between_two_questions(talking):
    async with serving(LONG, LONG, LONG, LONG, SUMMARY, LONG) as server:
        talk = talking(server, context_window=2000, context="summarize")
        for number in range(4):
            await talk.take(f"question {number}")
        await talk.between_turns.settle()
        await talk.take("/summary")
        assert "They spoke of words." in talk.surface.text
        assert "/summary edit changes it" in talk.surface.text
        await talk.take("one more")
        assert [text for _, text in messages(server)][:2] == [
            "Sum up what we said before.",
            "They spoke of words.",
        ]
        await talk.between_turns.stop()
        await talk.connection.close()


async def test_it_is_edited_in_the_composer_changed_and_taken_away(talking):
    async with serving(LONG, LONG, LONG, LONG, SUMMARY) as server:
        talk = talking(server, context_window=2000, context="summarize")
        for number in range(4):
            await talk.take(f"question {number}")
        await talk.between_turns.settle()
        await talk.take("/summary edit")
        assert talk.surface.drafted == "/summary They spoke of words."
        await talk.take("/summary Of many words.")
        assert talk.chat.summaries.current.text == "Of many words."
        assert await completions(talk, "/summary ") == [
            ("edit", "edit it in the composer"),
            ("none", "remove it"),
        ]
        await talk.take("/summary none")
        assert talk.chat.summaries.current is None
        await talk.between_turns.stop()
        await talk.connection.close()


async def test_without_one_it_tells_how_there_can_be_one(talking):
    async with serving(LONG) as server:
        talk = talking(server, context_window=2000)
        await talk.take("/summary")
        assert "/context use summarize" in talk.surface.said[-1]
        await talk.take("/summary edit")
        assert "there is no summary to edit" in talk.surface.text
        await talk.take("/summary x")
        assert "no summary yet" in talk.surface.text
        await talk.connection.close()


async def test_compact_sums_up_all_but_the_newest_turn_now_and_that_is_sent(talking):
    async with serving(LONG, LONG, LONG, SUMMARY, LONG) as server:
        talk = talking(server, context_window=32_768)
        for number in range(3):
            await talk.take(f"question {number}")
        await talk.take("/compact")
        assert talk.settings.context == "summarize"
        assert "summed up 2 turns: ~" in talk.surface.said[-1]
        await talk.take("one more")
        sent = [text for _, text in messages(server)]
        assert sent[:3] == ["Sum up what we said before.", "They spoke of words.", "question 2"]
        assert sent[-1] == "one more"
        await talk.take("/summary none")
        await talk.take("and another")
        assert next(text for _, text in messages(server)) == "question 0"
        await talk.between_turns.stop()
        await talk.connection.close()


async def test_what_was_compacted_is_compacted_on_resuming_and_goes_on(talking):
    async with serving(LONG, LONG, LONG, SUMMARY, LONG, Answer(event_stream("More words."))) as server:
        talk = talking(server, context_window=32_768, context="summarize")
        for number in range(3):
            await talk.take(f"question {number}")
        await talk.take("/compact")
        name = talk.chat.opened.name
        await talk.take("/new")
        await talk.take(f"/session {name}")
        assert talk.chat.summaries.current.is_wanted
        assert talk.chat.summaries.current.turns == 2
        await talk.take("one more")
        assert [text for _, text in messages(server)][1] == "They spoke of words."
        await talk.take("/compact")
        assert "summed up 1 turn: " in talk.surface.said[-1]
        assert talk.chat.summaries.current.text == "More words."
        await talk.take("/compact")
        assert talk.surface.said[-1] == "nothing more to sum up: the newest turn stays as it is"
        await talk.between_turns.stop()
        await talk.connection.close()


async def test_a_long_conversation_is_compacted_in_steps(talking):
    async with serving(*[LONG] * 6, SUMMARY) as server:
        talk = talking(server, context_window=4000)
        for number in range(6):
            await talk.take(f"question {number}")
        await talk.take("/compact")
        assert "summing up 1-" in talk.surface.text
        assert talk.chat.summaries.current.turns == 5
        await talk.connection.close()


async def test_compacting_that_fails_changes_nothing(talking):
    async with serving(LONG, LONG, json_answer({"error": {"message": "no"}}, status=400)) as server:
        talk = talking(server, context_window=32_768, context="summarize")
        await talk.take("/compact")
        assert "error: /compact: there are no older turns yet" in talk.surface.text
        for number in range(2):
            await talk.take(f"question {number}")
        await talk.take("/compact")
        assert any(line.startswith("error: ") and "400" in line for line in talk.surface.said)
        assert talk.chat.summaries.current is None
        await talk.between_turns.stop()
        await talk.connection.close()
