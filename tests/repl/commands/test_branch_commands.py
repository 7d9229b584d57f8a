"""The commands that go back in a conversation, and between its branches."""

from __future__ import annotations

import pytest

from repl.fakes import KeptFrontend
from repl.test_repl_session import MADRID, PARIS, messages, start_repl  # noqa: F401 - the fixture
from scripted_server import Answer, event_stream, json_answer, serving

ROME = Answer(event_stream("Rome."))


async def output_of(repl, *lines):
    """Return the output for ``lines``."""
    before = len(repl.frontend.output)
    for line in lines:
        await repl.take(line)
    return "\n".join(repl.frontend.output[before:])


async def test_an_edited_question_is_asked_in_place_of_the_old_and_flipped_back(start_repl):  # noqa: F811
    async with serving(PARIS, MADRID, ROME) as server:
        repl = start_repl(server, context_window=4096)
        await output_of(repl, "France?", "Spain?")
        await output_of(repl, "/edit 1")
        assert repl.frontend.drafted == "France?"
        await output_of(repl, "Italy?")
        assert messages(server) == [("user", "Italy?")]
        shown = await output_of(repl, "/alt")
        assert "answer 1 of 2 to question 1 · small · 1 later turn with it" in shown
        assert "> France?\nParis." in shown
        assert "> Spain?\nMadrid." in shown
        assert "answer 2 of 2 to question 1" in await output_of(repl, "/alt back")
        assert "there are 2 answers" in await output_of(repl, "/alt 3")
        await repl.connection.close()


async def test_a_model_is_called_as_it_was_asked_for_where_a_dated_version_answers(start_repl):  # noqa: F811
    dated = [Answer(event_stream(text, model="small-2026-08-07")) for text in ("Paris.", "Lutetia.")]
    async with serving(*dated) as server:
        repl = start_repl(server, context_window=4096)
        await output_of(repl, "France?", "/retry")
        assert "answer 1 of 2 to question 1 · small\n" in await output_of(repl, "/alt") + "\n"
        tree = await output_of(repl, "/tree")
        assert "[small]" in tree
        assert "small-2026" not in tree
        await repl.connection.close()


async def test_an_edit_offers_the_own_words_and_goes_further_back_each_time(start_repl):  # noqa: F811
    async with serving(PARIS, MADRID) as server:
        repl = start_repl(server, context_window=4096)
        await output_of(repl, "France?", "Spain?")
        for drafted in ("Spain?", "France?", "France?"):
            await output_of(repl, "/edit")
            assert repl.frontend.drafted == drafted
        repl.chat.branches.stop_editing()
        assert "takes the place" not in await output_of(repl, "/edit")
        assert repl.frontend.drafted == "Spain?"
        await repl.connection.close()


async def test_line_by_line_an_edit_says_what_the_next_question_does(start_repl):  # noqa: F811
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096, frontend=KeptFrontend(draws=False))
        await output_of(repl, "France?")
        assert "replaces question 1" in await output_of(repl, "/edit")
        await repl.connection.close()


async def test_another_model_is_asked_for_one_answer(start_repl):  # noqa: F811
    no_list = json_answer({}, status=404)
    async with serving(PARIS, no_list, MADRID, ROME) as server:
        repl = start_repl(server, context_window=4096)
        await output_of(repl, "France?")
        assert "Madrid." in await output_of(repl, "/retry large")
        assert server.requests[-1].json["model"] == "large"
        assert messages(server) == [("user", "France?")]
        await output_of(repl, "And?")
        assert server.requests[-1].json["model"] == "small"
        assert [text for _, text in messages(server)] == ["France?", "Madrid.", "And?"]
        await repl.connection.close()


async def test_the_tree_is_shown_and_gone_to_by_number(start_repl):  # noqa: F811
    async with serving(PARIS, MADRID) as server:
        repl = start_repl(server, context_window=4096)
        await output_of(repl, "France?", "Spain?")
        assert "2  ● ← here Spain? → Madrid." in await output_of(repl, "/tree")
        assert "> France?\nParis." in await output_of(repl, "/tree 1")
        assert len(repl.chat.session.questions) == 1
        assert "there is no number 7 in the tree" in await output_of(repl, "/tree 7")
        await repl.connection.close()


async def test_an_aside_is_answered_and_forgotten(start_repl):  # noqa: F811
    async with serving(PARIS, MADRID, ROME) as server:
        repl = start_repl(server, context_window=4096)
        await output_of(repl, "France?")
        shown = await output_of(repl, "/btw And Spain?")
        assert "Madrid." in shown
        assert "aside" in shown
        assert [text for _, text in messages(server)] == ["France?", "Paris.", "And Spain?"]
        await output_of(repl, "And Italy?")
        assert [text for _, text in messages(server)] == ["France?", "Paris.", "And Italy?"]
        assert "needs a question" in await output_of(repl, "/btw")
        await repl.connection.close()


async def test_a_fork_leaves_the_conversation_as_it_is(start_repl):  # noqa: F811
    async with serving(PARIS, MADRID) as server:
        repl = start_repl(server, context_window=4096)
        await output_of(repl, "France?", "/save trip")
        assert "now in trip-2, a copy; trip is unchanged" in await output_of(repl, "/fork")
        await output_of(repl, "Spain?", "/fork other")
        assert [
            summary.turns for summary in repl.chat.opened.store.summaries() if summary.name == "trip"
        ] == [1]
        assert repl.chat.opened.name == "other"
        await repl.connection.close()


@pytest.mark.parametrize("command", ["edit", "alt", "tree", "fork", "retry"])
async def test_commands_about_what_was_asked_say_so_before_anything_was(start_repl, command):  # noqa: F811
    repl = start_repl()
    assert f"error: /{command}: " in await output_of(repl, f"/{command}")
