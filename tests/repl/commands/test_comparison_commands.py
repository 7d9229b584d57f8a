"""The commands that ask several models, and show what differs between their answers."""

from __future__ import annotations

import pytest

from repl.commands.test_branch_commands import output_of
from repl.fakes import KeptFrontend
from repl.test_repl_session import start_repl  # noqa: F401 - the fixture
from scripted_server import Answer, event_stream, json_answer, serving

ANSWERS = {
    name: Answer([wait_s, *event_stream(text, model=name)])
    for name, text, wait_s in (
        ("small", "Paris, I think.", 0.0),
        ("alpha", "It is Paris.", 0.0),
        ("beta", "It is Rome.", 0.2),
    )
}


def by_model(request):
    return ANSWERS.get(
        request.json["model"], json_answer({"error": {"message": "no such model"}}, status=404)
    )


@pytest.fixture
def comparing(start_repl):  # noqa: F811
    """Return a function that types lines into a new conversation and returns the output."""

    async def typed(*lines, **how):
        async with serving(choose=by_model) as server:
            repl = start_repl(server, context_window=4096, **how)
            shown = await output_of(repl, *lines)
            await repl.connection.close()
            return repl, server, shown

    return typed


async def test_models_are_asked_at_once_and_the_first_answer_goes_on(comparing):
    _, server, shown = await comparing("/compare alpha,beta Capital of France?", "And?")
    assert "alpha: It is Paris." in shown
    assert "beta: It is Rome." in shown
    assert "1 alpha (goes on) · 2 beta; /alt N" in shown
    last = server.requests[-1].json
    assert last["model"] == "small"
    assert [message["content"] for message in last["messages"]] == [
        "Capital of France?",
        "It is Paris.",
        "And?",
    ]


async def test_models_that_answer_under_one_name_are_listed_as_they_were_asked(start_repl):  # noqa: F811
    async with serving(Answer(event_stream("Paris.", model="served"))) as server:
        repl = start_repl(server, context_window=4096)
        shown = await output_of(repl, "/compare east,west Capital of France?")
        await repl.connection.close()
    assert "1 east (goes on) · 2 west; /alt N" in shown


async def test_one_model_is_compared_with_the_one_in_use(comparing):
    _, _, shown = await comparing("/compare alpha Capital?")
    assert "small: Paris, I think." in shown
    assert "alpha: It is Paris." in shown


async def test_names_may_have_blanks_behind_their_commas(comparing):
    _, server, _ = await comparing("/compare alpha, beta Is it this, or that?")
    assert {request.json["messages"][0]["content"] for request in server.requests} == {"Is it this, or that?"}


async def test_without_a_question_the_last_one_is_asked_again_and_its_answer_stays(comparing):
    repl, server, _ = await comparing("Capital?", "/compare alpha,beta")
    place = repl.chat.branches.alternatives()
    assert [exchange.answer.message.text for exchange in place.exchanges] == [
        "Paris, I think.",
        "It is Paris.",
        "It is Rome.",
    ]
    assert place.at == 1
    assert server.requests[-1].json["messages"] == [{"role": "user", "content": "Capital?"}]


async def test_a_file_of_the_question_goes_to_all(comparing, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Buy milk", encoding="utf-8")
    _, server, _ = await comparing(f"/compare alpha,beta Sum up @{path}")
    assert all("Buy milk" in request.json["messages"][-1]["content"] for request in server.requests)


async def test_another_of_the_answers_can_go_on(comparing):
    _, server, _ = await comparing("/compare alpha,beta Capital?", "/alt 2", "And?")
    assert server.requests[-1].json["messages"][1]["content"] == "It is Rome."


async def test_a_failure_is_shown_and_the_others_go_on(comparing):
    repl, _, shown = await comparing("/compare gone,beta Capital?")
    assert "no such model" in shown
    assert "beta: It is Rome." in shown
    assert repl.frontend.holds == 1


async def test_no_models_or_no_question_is_an_error(comparing):
    _, server, shown = await comparing("/compare", "/compare alpha,beta", "/compare ,")
    assert "/compare needs models" in shown
    assert "there is no question to ask again" in shown
    assert server.requests == []


async def test_structured_answers_are_laid_out(start_repl):  # noqa: F811
    async with serving(Answer(event_stream('{"name": "Ada"}'))) as server:
        repl = start_repl(server, context_window=4096)
        shown = await output_of(repl, "/schema name str", "/compare alpha,beta Who?")
        await repl.connection.close()
    assert "Ada" in shown
    assert '{"name"' not in shown


class TestTheDifference:
    async def test_is_shown_in_lines_without_colours(self, comparing):
        without = KeptFrontend(draws=False)
        _, _, shown = await comparing("/compare alpha,beta Capital?", "/diff", frontend=without)
        assert "- 1 alpha\n+ 2 beta\n- It is Paris.\n+ It is Rome." in shown

    async def test_is_between_the_last_two_by_default_also_after_a_retry(self, comparing):
        _, _, shown = await comparing("Capital?", "/retry alpha", "/diff")
        assert "- 1 small\n+ 2 alpha\n" in shown

    async def test_is_between_those_numbered_or_the_current_one_and_that(self, comparing):
        _, _, shown = await comparing("Capital?", "/compare alpha,beta", "/diff 1 3", "/diff 3")
        assert "- 1 small\n+ 3 beta" in shown
        assert "- 2 alpha\n+ 3 beta" in shown

    @pytest.mark.parametrize("numbers", ["1 3", "0 1", "1 2 1", "x"])
    async def test_of_a_number_that_is_none_is_an_error(self, comparing, numbers):
        _, _, shown = await comparing("/compare alpha,beta Capital?", f"/diff {numbers}")
        assert "error: " in shown

    async def test_of_equal_answers_is_none(self, comparing):
        _, _, shown = await comparing("/compare alpha,alpha Capital?", "/diff")
        assert "answers 1 and 2 are the same" in shown

    async def test_of_one_answer_is_an_error(self, comparing):
        _, _, shown = await comparing("Capital?", "/diff")
        assert "error: " in shown

    async def test_is_shown_in_words_where_there_are_colours(self, comparing):
        _, _, shown = await comparing("/compare alpha,beta Capital?", "/diff")
        assert "- 1 alpha\n+ 2 beta\nIt is ParisRome." in shown
