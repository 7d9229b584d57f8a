"""``/summary``: shown, changed, removed; and summarizing between two questions."""

from __future__ import annotations

from repl.test_repl_session import completions, messages
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, json_answer, serving

LONG = Answer(event_stream("word " * 300))
SUMMARY = Answer(event_stream("They spoke of words."))


async def test_older_turns_are_summed_up_between_two_questions(start_repl):
    async with serving(LONG, LONG, LONG, LONG, SUMMARY, LONG) as server:
        repl = start_repl(server, context_window=2000, context="summarize")
        for number in range(4):
            await repl.take(f"question {number}")
        await repl.between_turns.settle()
        await repl.take("/summary")
        assert "They spoke of words." in repl.frontend.text
        assert "/summary edit changes it" in repl.frontend.text
        await repl.take("one more")
        assert [text for _, text in messages(server)][:2] == [
            "Sum up what we said before.",
            "They spoke of words.",
        ]
        await repl.between_turns.stop()
        await repl.connection.close()


async def test_it_is_edited_in_the_composer_changed_and_taken_away(start_repl):
    async with serving(LONG, LONG, LONG, LONG, SUMMARY) as server:
        repl = start_repl(server, context_window=2000, context="summarize")
        for number in range(4):
            await repl.take(f"question {number}")
        await repl.between_turns.settle()
        await repl.take("/summary edit")
        assert repl.frontend.drafted == "/summary They spoke of words."
        await repl.take("/summary Of many words.")
        assert repl.chat.summaries.current.text == "Of many words."
        assert await completions(repl, "/summary ") == [
            ("edit", "edit it in the composer"),
            ("none", "remove it"),
        ]
        await repl.take("/summary none")
        assert repl.chat.summaries.current is None
        await repl.between_turns.stop()
        await repl.connection.close()


async def test_without_one_it_tells_how_there_can_be_one(start_repl):
    async with serving(LONG) as server:
        repl = start_repl(server, context_window=2000)
        await repl.take("/summary")
        assert "/context use summarize" in repl.frontend.output[-1]
        await repl.take("/summary edit")
        assert "there is no summary to edit" in repl.frontend.text
        await repl.take("/summary x")
        assert "no summary yet" in repl.frontend.text
        await repl.connection.close()


async def test_compact_sums_up_all_but_the_newest_turn_now_and_that_is_sent(start_repl):
    async with serving(LONG, LONG, LONG, SUMMARY, LONG) as server:
        repl = start_repl(server, context_window=32_768)
        for number in range(3):
            await repl.take(f"question {number}")
        await repl.take("/compact")
        assert repl.settings.context == "summarize"
        assert "summed up 2 turns: ~" in repl.frontend.output[-1]
        await repl.take("one more")
        sent = [text for _, text in messages(server)]
        assert sent[:3] == ["Sum up what we said before.", "They spoke of words.", "question 2"]
        assert sent[-1] == "one more"
        await repl.take("/summary none")
        await repl.take("and another")
        assert next(text for _, text in messages(server)) == "question 0"
        await repl.between_turns.stop()
        await repl.connection.close()


async def test_what_was_compacted_is_compacted_on_resuming_and_goes_on(start_repl):
    async with serving(LONG, LONG, LONG, SUMMARY, LONG, Answer(event_stream("More words."))) as server:
        repl = start_repl(server, context_window=32_768, context="summarize")
        for number in range(3):
            await repl.take(f"question {number}")
        await repl.take("/compact")
        name = repl.chat.opened.name
        await repl.take("/new")
        await repl.take(f"/session {name}")
        assert repl.chat.summaries.current.is_wanted
        assert repl.chat.summaries.current.turns == 2
        await repl.take("one more")
        assert [text for _, text in messages(server)][1] == "They spoke of words."
        await repl.take("/compact")
        assert "summed up 1 turn: " in repl.frontend.output[-1]
        assert repl.chat.summaries.current.text == "More words."
        await repl.take("/compact")
        assert repl.frontend.output[-1] == "nothing more to sum up: the newest turn stays as it is"
        await repl.between_turns.stop()
        await repl.connection.close()


async def test_a_long_conversation_is_compacted_in_steps(start_repl):
    async with serving(*[LONG] * 6, SUMMARY) as server:
        repl = start_repl(server, context_window=4000)
        for number in range(6):
            await repl.take(f"question {number}")
        await repl.take("/compact")
        assert "summing up 1-" in repl.frontend.text
        assert repl.chat.summaries.current.turns == 5
        await repl.connection.close()


async def test_compacting_that_fails_changes_nothing(start_repl):
    async with serving(LONG, LONG, json_answer({"error": {"message": "no"}}, status=400)) as server:
        repl = start_repl(server, context_window=32_768, context="summarize")
        await repl.take("/compact")
        assert "error: /compact: there are no older turns yet" in repl.frontend.text
        for number in range(2):
            await repl.take(f"question {number}")
        await repl.take("/compact")
        assert any(line.startswith("error: ") and "400" in line for line in repl.frontend.output)
        assert repl.chat.summaries.current is None
        await repl.between_turns.stop()
        await repl.connection.close()
