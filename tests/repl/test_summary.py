"""``/summary``: shown, changed, taken away; and that older turns are summed up between two questions."""

from __future__ import annotations

from repl.test_talk import completions, messages
from repl.test_talk import talking as talking  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, serving

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
