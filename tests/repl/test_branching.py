"""The commands that go back in a conversation and across."""

from __future__ import annotations

import pytest

from repl.fakes import KeptSurface
from repl.test_talk import MADRID, PARIS, messages, talking  # noqa: F401 - the fixture
from scripted_server import Answer, event_stream, serving

ROME = Answer(event_stream("Rome."))


async def told(talk, *lines):
    """Return what is shown for ``lines``."""
    before = len(talk.surface.said)
    for line in lines:
        await talk.take(line)
    return "\n".join(talk.surface.said[before:])


async def test_an_edited_question_is_asked_in_place_of_the_old_and_flipped_back(talking):  # noqa: F811
    async with serving(PARIS, MADRID, ROME) as server:
        talk = talking(server, context_window=4096)
        await told(talk, "France?", "Spain?")
        await told(talk, "/edit 1")
        assert talk.surface.drafted == "France?"
        await told(talk, "Italy?")
        assert messages(server) == [("user", "Italy?")]
        shown = await told(talk, "/alt")
        assert "answer 1 of 2 to question 1 · small · 1 later turn with it" in shown
        assert "> France?\nParis." in shown
        assert "> Spain?\nMadrid." in shown
        assert "answer 2 of 2 to question 1" in await told(talk, "/alt back")
        assert "there are 2 answers" in await told(talk, "/alt 3")
        await talk.connection.close()


async def test_an_edit_offers_the_own_words_and_goes_further_back_each_time(talking):  # noqa: F811
    async with serving(PARIS, MADRID) as server:
        talk = talking(server, context_window=4096)
        await told(talk, "France?", "Spain?")
        for drafted in ("Spain?", "France?", "France?"):
            await told(talk, "/edit")
            assert talk.surface.drafted == drafted
        talk.chat.branches.stop_editing()
        assert "takes the place" not in await told(talk, "/edit")
        assert talk.surface.drafted == "Spain?"
        await talk.connection.close()


async def test_line_by_line_an_edit_says_what_the_next_question_does(talking):  # noqa: F811
    async with serving(PARIS) as server:
        talk = talking(server, context_window=4096, surface=KeptSurface(draws=False))
        await told(talk, "France?")
        assert "replaces question 1" in await told(talk, "/edit")
        await talk.connection.close()


async def test_another_model_is_asked_for_one_answer(talking):  # noqa: F811
    async with serving(PARIS, MADRID, ROME) as server:
        talk = talking(server, context_window=4096)
        await told(talk, "France?")
        assert "Madrid." in await told(talk, "/retry large")
        assert server.requests[-1].json["model"] == "large"
        assert messages(server) == [("user", "France?")]
        await told(talk, "And?")
        assert server.requests[-1].json["model"] == "small"
        assert [text for _, text in messages(server)] == ["France?", "Madrid.", "And?"]
        await talk.connection.close()


async def test_the_tree_is_shown_and_gone_to_by_number(talking):  # noqa: F811
    async with serving(PARIS, MADRID) as server:
        talk = talking(server, context_window=4096)
        await told(talk, "France?", "Spain?")
        assert "2  ●  ← here Spain? → Madrid." in await told(talk, "/tree")
        assert "> France?\nParis." in await told(talk, "/tree 1")
        assert len(talk.chat.session.questions) == 1
        assert "there is no number 7 in the tree" in await told(talk, "/tree 7")
        await talk.connection.close()


async def test_an_aside_is_answered_and_forgotten(talking):  # noqa: F811
    async with serving(PARIS, MADRID, ROME) as server:
        talk = talking(server, context_window=4096)
        await told(talk, "France?")
        shown = await told(talk, "/btw And Spain?")
        assert "Madrid." in shown
        assert "aside" in shown
        assert [text for _, text in messages(server)] == ["France?", "Paris.", "And Spain?"]
        await told(talk, "And Italy?")
        assert [text for _, text in messages(server)] == ["France?", "Paris.", "And Italy?"]
        assert "needs a question" in await told(talk, "/btw")
        await talk.connection.close()


async def test_a_fork_leaves_the_conversation_as_it_is(talking):  # noqa: F811
    async with serving(PARIS, MADRID) as server:
        talk = talking(server, context_window=4096)
        await told(talk, "France?", "/save trip")
        assert "now in trip-2, a copy; trip is unchanged" in await told(talk, "/fork")
        await told(talk, "Spain?", "/fork other")
        assert [
            summary.turns for summary in talk.chat.opened.store.summaries() if summary.name == "trip"
        ] == [1]
        assert talk.chat.opened.name == "other"
        await talk.connection.close()


@pytest.mark.parametrize("command", ["edit", "alt", "tree", "fork", "retry"])
async def test_commands_about_what_was_asked_say_so_before_anything_was(talking, command):  # noqa: F811
    talk = talking()
    assert f"error: /{command}: " in await told(talk, f"/{command}")
