from __future__ import annotations

import json
import re

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from chatcli.app.run_context import ChatOptions, RunContext
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.repl.commands import COMMANDS
from chatcli.repl.opening import open_repl
from chatcli.repl.repl_session import split_command
from chatcli.safety.screening import SCANNER
from chatcli.terminal.composer_completion import CommandCompleter
from repl.fakes import KeptFrontend
from scripted_server import CUT, Answer, event_stream, json_answer, reasoning_events, serving, text_events

PARIS = Answer(event_stream("Paris."))

MADRID = Answer(event_stream("Madrid."))

MODELS = json_answer({"data": [{"id": "small", "context_length": 4096}, {"id": "large"}]})


@pytest.fixture
def start_repl(tmp_path):
    """Return a function that opens a conversation with a server, or with an address without one."""
    opened = []

    def start(server=None, frontend=None, ask=None, scanner=SCANNER, **flags):
        environment = {
            f"CHATCLI_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "CACHE", "LOCAL")
        }
        context = RunContext(environment, find_paths(environment), scanner=scanner)
        given = {
            "base_url": server.base_url if server else "http://127.0.0.1:1/v1",
            "model": "small",
            "retries": 0,
            **flags,
        }

        def reload_settings(changes):
            return resolve(given, environment, context.paths, tmp_path, changes=changes)

        settings, options = reload_settings({}), ChatOptions()
        frontend = frontend or KeptFrontend()
        repl = open_repl(
            frontend,
            settings=settings,
            options=options,
            context=context,
            theme=ThemeInForce(lambda: repl.settings.theme, "256", ask=ask),
            reload_settings=reload_settings,
            verbose=False,
        )
        opened.append(repl)
        return repl

    yield start
    for repl in opened:
        repl.chat.close()


async def completions(repl, text):
    completer = CommandCompleter()
    completer.repl = repl
    found = completer.get_completions_async(Document(text), CompleteEvent())
    return [(each.text, each.display_meta_text) async for each in found]


def messages(server, number=-1):
    posted = [request for request in server.requests if request.method == "POST"]
    return [(message["role"], message["content"]) for message in posted[number].json["messages"]]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/help", ("help", "")),
        (" /model  gpt-5 \n", ("model", "gpt-5")),
        ("/system two\nlines", ("system", "two\nlines")),
        ("/etc/hosts is what?", None),
        ("what is /help", None),
        ("1/2", None),
    ],
)
def test_a_command_is_a_slash_and_one_word(line, command):
    assert split_command(line) == command


async def test_what_is_no_command_is_asked_and_answered(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/etc/hosts is what?")
        await repl.connection.close()
    assert "Paris." in repl.frontend.output
    assert messages(server) == [("user", "/etc/hosts is what?")]


@pytest.mark.parametrize("farewell", ["exit", "quit", " EXIT ", "/exit", "/quit"])
async def test_leaves_on_a_farewell_alone_on_its_line(start_repl, farewell):
    repl = start_repl(frontend=KeptFrontend(lines=[farewell, "never read"]))
    await repl.run(repl.frontend.line)
    assert repl.is_leaving


async def test_a_question_that_finds_nobody_comes_back_and_can_be_asked_again(start_repl):
    repl = start_repl(model=None)
    await repl.take("Capital of France?")
    assert "error: " in repl.frontend.text
    assert repl.frontend.aside == "Capital of France?"
    await repl.connection.close()


@pytest.mark.parametrize("typed", ["!ls", "!", "! git status\n", "!important?"])
async def test_a_line_for_a_shell_is_explained_and_not_sent(start_repl, typed):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take(typed)
        assert "put a space before it to send it" in repl.frontend.text
        assert not server.requests
        await repl.take(f" {typed}")
        assert [role for role, _ in messages(server)] == ["user"]
        await repl.connection.close()


@pytest.mark.parametrize("typed", ["![a cat](cat.png)", "!a\nb", "wow!"])
async def test_what_only_looks_like_a_line_for_a_shell_is_sent(start_repl, typed):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take(typed)
        assert messages(server) == [("user", typed)]
        await repl.connection.close()


async def test_new_starts_an_unnamed_conversation_and_keeps_the_one_before(start_repl):
    async with serving(PARIS, MADRID) as server:
        repl = start_repl(server)
        await repl.take("/session trip")
        await repl.take("Capital of France?")
        await repl.take("/new")
        assert repl.frontend.output[-1] == "new conversation; /session trip goes back"
        assert repl.chat.opened.name != "trip"
        await repl.take("Capital of Spain?")
        assert messages(server) == [("user", "Capital of Spain?")]
        await repl.connection.close()


async def test_new_needs_no_model(start_repl):
    repl = start_repl(model=None)
    await repl.take("/new")
    assert repl.frontend.output[-1] == "new conversation"
    await repl.connection.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lagre", "127.0.0.1:{port} does not list lagre; did you mean large?"),
        ("zzz", "127.0.0.1:{port} does not list zzz; /model lists its models"),
        ("large", "model: large"),
    ],
)
async def test_a_model_is_looked_for_in_the_list_that_was_read_and_never_refused(start_repl, name, message):
    async with serving(MODELS, PARIS) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("/model")
        asked = len(server.requests)
        await repl.take(f"/model {name}")
        assert repl.frontend.output[-1] == message.format(port=server.port)
        assert len(server.requests) == asked
        await repl.take("Capital of France?")
        assert server.requests[-1].json["model"] == name
        await repl.connection.close()


async def test_a_model_is_taken_as_it_is_where_there_is_no_list(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("/model zzz")
        assert repl.frontend.output[-1] == "model: zzz"
        assert [request.path for request in server.requests] == ["/v1/models"]
        await repl.connection.close()


async def test_a_model_that_is_not_found_is_compared_with_the_list(start_repl):
    def answer(request):
        return (
            MODELS if request.path == "/v1/models" else json_answer({"error": {"message": "no"}}, status=404)
        )

    async with serving(choose=answer) as server:
        repl = start_repl(server, context_window=4096, model="lagre")
        await repl.take("/model")
        await repl.take("Capital of France?")
        await repl.connection.close()
    assert repl.frontend.output[-1].endswith("does not list lagre; did you mean large?")


async def test_ollama_completes_a_name_without_a_tag(start_repl):
    async with serving(json_answer({"data": [{"id": "llama3:latest"}, {"id": "x"}]})) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("/model")
        await repl.take("/model llama3")
        assert repl.frontend.output[-1] == "model: llama3"
        await repl.connection.close()


@pytest.mark.parametrize("line", ["Capital of France?", "/model", "/retry"])
async def test_without_a_model_login_comes_first(start_repl, line):
    repl = start_repl(base_url="https://api.openai.com/v1")
    await repl.take(line)
    if line == "/retry":
        assert repl.frontend.output[-1] == "→ /help lists what can be done now"
    else:
        assert repl.frontend.output[-1] == "→ /login sets one up; /help lists what works without"
    await repl.connection.close()


@pytest.mark.parametrize("columns", [200, 80, 40, 20])
async def test_keys_stand_in_columns_and_in_words(start_repl, columns):
    repl = start_repl(frontend=KeptFrontend(columns=columns))
    await repl.take("/keys")
    listed = repl.frontend.output[1].split("\n")
    assert all(len(line) <= columns for line in listed)
    assert "Ctrl-S" in repl.frontend.output[1]
    assert "stop_and_send" not in repl.frontend.output[1]
    assert repl.frontend.output[-1].startswith(
        "[keys] in config.toml changes them; their names, in this order: send,"
    )
    if columns >= 80:
        assert len({line.index("  ") for line in listed if line.startswith(("Tab", "Enter"))}) == 2
        assert any(line.startswith("Tab  ") for line in listed)


async def test_a_session_that_is_new_is_reported_to_be(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/session trip")
        assert repl.frontend.output[-1] == "new conversation: trip"
        await repl.take("Capital of France?")
        await repl.take("/session other")
        repl.frontend.output.clear()
        await repl.take("/session trip")
        assert "new conversation" not in repl.frontend.text
        await repl.connection.close()


async def test_config_tells_which_command_changed_a_value(start_repl):
    repl = start_repl(temperature="1")
    await repl.take("/theme light")
    await repl.take("/config show_reasoning true")
    await repl.take("/config notify off")
    await repl.take("/config")
    rows = [line.split("  ") for line in repl.frontend.text.split("\n")]
    origins = {row[0].strip(): row[-1].strip() for row in rows}
    assert origins["theme"] == "command /theme"
    assert origins["show_reasoning"] == "command /reasoning"
    assert origins["notify"] == "command /config"
    assert origins["temperature"] == "flag --temperature"


async def test_what_another_model_would_see_is_compared_before_it_is_shown(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("Capital of France?")
        repl.frontend.output.clear()
        await repl.take("/context -m large")
        await repl.connection.close()
    assert "free for a question" in repl.frontend.output[1]
    assert "large" in repl.frontend.output[1].split("\n")[0]
    assert "window of large" in repl.frontend.output[-1]


async def test_an_unknown_command_names_the_nearest(start_repl):
    repl = start_repl()
    await repl.take("/modle")
    await repl.take("/ses")
    assert "there is no command /modle" in repl.frontend.text
    assert "did you mean /model?" in repl.frontend.text
    assert "did you mean /session?" in repl.frontend.text


async def test_commands_that_need_a_question_say_so_before_there_is_one(start_repl):
    repl = start_repl()
    for name in ("retry", "undo", "clear", "pin"):
        await repl.take(f"/{name}")
        assert f"error: /{name}: nothing has been asked yet" in repl.frontend.text
    offered = [name for name, _ in await completions(repl, "/")]
    assert "/undo" not in offered
    assert "/help" in offered


@pytest.mark.parametrize("name", ["theme", "reasoning"])
async def test_commands_about_how_answers_are_drawn_say_where_none_are(start_repl, name):
    repl = start_repl(frontend=KeptFrontend(draws=False))
    await repl.take(f"/{name}")
    assert f"error: /{name}: " in repl.frontend.text
    await repl.take("/help")
    (line,) = [line for line in repl.frontend.output[-2].split("\n") if line.startswith(f"/{name} ")]
    assert "; not now: " in line


async def test_how_the_program_speaks_is_settled_at_the_start(start_repl):
    repl = start_repl()
    await repl.take("/config plain true")
    assert "it can only be set at the start" in repl.frontend.text
    assert not repl.settings.plain


async def test_rules_of_alerts_are_only_those_of_config_toml(start_repl):
    repl = start_repl()
    await repl.take("/config alerts off")
    assert "it can only be set in config.toml" in repl.frontend.text
    assert repl.settings.alerts is None


async def test_continue_asks_for_the_rest_of_a_cut_answer_and_joins_it(start_repl):
    cut = Answer([*text_events("The capital of"), CUT])
    async with serving(MODELS, cut, Answer(event_stream("capital of France."))) as server:
        repl = start_repl(server)
        await repl.take("Go on")
        assert "/continue gets the rest" in "".join(repl.frontend.output)
        await repl.take("/continue")
        await repl.connection.close()
    assert messages(server)[:2] == [("user", "Go on"), ("assistant", "The capital of")]
    assert repl.chat.session.context()[-1].message.text == "The capital of France."


async def test_continue_says_why_it_cannot(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/continue")
        assert repl.frontend.output[1] == "error: /continue: nothing has been asked yet"
        await repl.take("Capital?")
        await repl.take("/continue")
        await repl.connection.close()
    assert "error: the last answer is already complete" in repl.frontend.output


async def test_retry_asks_the_same_question_and_keeps_both_answers(start_repl):
    async with serving(PARIS, MADRID) as server:
        repl = start_repl(server)
        await repl.take("Capital?")
        await repl.take("/retry")
        await repl.connection.close()
    assert messages(server, 0) == messages(server, 1) == [("user", "Capital?")]
    kept = [json.loads(line) for line in repl.chat.opened.file.path.read_text("utf-8").splitlines()]
    roles = [record["message"]["role"] for record in kept if record["type"] == "message"]
    assert roles == ["user", "assistant", "assistant"]


async def test_undo_takes_the_question_back_into_the_composer(start_repl):
    async with serving(PARIS, MADRID) as server:
        repl = start_repl(server)
        await repl.take("Capital of France?")
        await repl.take("And of Spain?")
        await repl.take("/undo 2")
        assert repl.frontend.drafted == "Capital of France?"
        assert "took back 2 turns" in repl.frontend.text
        await repl.take("Hi")
        await repl.connection.close()
    assert messages(server) == [("user", "Hi")]


async def test_clear_makes_the_model_forget_and_pin_keeps_a_turn(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("Capital of France?")
        await repl.take("/pin")
        assert repl.chat.manager.history.turns[0].pinned
        await repl.take("/unpin 1")
        assert not repl.chat.manager.history.turns[0].pinned
        await repl.take("/clear")
        await repl.take("Hi")
        await repl.connection.close()
    assert messages(server) == [("user", "Hi")]
    assert len(repl.chat.session.questions) == 2


async def test_undo_right_after_a_clear_takes_the_clear_back(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("Capital of France?")
        await repl.take("/clear")
        assert "/undo restores them" in repl.frontend.text
        await repl.take("/undo")
        await repl.take("And?")
        await repl.connection.close()
    assert messages(server)[0] == ("user", "Capital of France?")


async def test_drop_leaves_a_turn_out_lists_it_and_brings_it_back(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("Capital of France?")
        await repl.take("/drop")
        assert "no turn is dropped" in repl.frontend.output[-1]
        await repl.take("/drop 1")
        assert ("1", "dropped: Capital of France?") in await completions(repl, "/drop ")
        await repl.take("/drop")
        assert repl.frontend.output[-1] == "1  Capital of France?"
        await repl.take("And?")
        assert messages(server) == [("user", "And?")]
        await repl.take("/drop -1")
        await repl.take("So?")
        await repl.connection.close()
    assert messages(server)[0] == ("user", "Capital of France?")


async def test_notes_are_kept_listed_and_taken_away(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/note")
        assert "there are no notes" in repl.frontend.output[-1]
        await repl.take("/note I am Ada.")
        await repl.take("/note - a dash is a text")
        await repl.take("Who?")
        assert messages(server)[0] == (
            "system",
            "Keep in mind: I am Ada.\n\nKeep in mind: - a dash is a text",
        )
        await repl.take("/note")
        assert repl.frontend.output[-1] == "1  I am Ada.\n2  - a dash is a text"
        assert await completions(repl, "/note ") == [("-1", "I am Ada."), ("-2", "- a dash is a text")]
        await repl.take("/note -1")
        assert repl.chat.memory.notes == ("- a dash is a text",)
        await repl.take("/note -7")
        assert "error: there is no note 7" in repl.frontend.output
        await repl.connection.close()


async def test_system_is_shown_set_and_taken_away(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/system")
        assert "there is no system prompt" in repl.frontend.text
        await repl.take("/system Be brief.")
        await repl.take("Hi")
        assert messages(server)[0] == ("system", "Be brief.")
        await repl.take("/system none")
        await repl.take("Hi again")
        assert messages(server)[0] == ("user", "Hi")
        await repl.connection.close()


async def test_another_model_is_asked_from_then_on_and_after_a_resume(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("Hi")
        await repl.take("/model large")
        await repl.take("Hi again")
        await repl.connection.close()
    assert server.requests[-1].json["model"] == "large"
    assert repl.chat.session.model == "large"


async def test_models_are_listed_and_offered_from_the_endpoint(start_repl):
    async with serving(MODELS) as server:
        repl = start_repl(server, context_window=None)
        assert await completions(repl, "/model la") == [("large", "")]
        await repl.take("/model")
        await repl.connection.close()
    assert "→  small  4,096 tokens" in repl.frontend.text


async def test_no_models_are_offered_where_the_endpoint_does_not_tell(start_repl):
    repl = start_repl()
    assert await completions(repl, "/model ") == []
    await repl.connection.close()


async def test_a_setting_is_changed_for_this_run_and_a_wrong_one_changes_nothing(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/config temperature 0.5")
        await repl.take("/config temperature hot")
        await repl.take("/config temprature")
        await repl.take("Hi")
        await repl.connection.close()
    assert "temperature must be" in repl.frontend.text
    assert "--temperature" not in repl.frontend.text
    assert "there is no setting temprature" in repl.frontend.text
    assert server.requests[-1].json["temperature"] == 0.5


@pytest.mark.parametrize("line", ["/new x y", "/exit now", "/cost today"])
async def test_words_behind_a_command_that_takes_none_are_not_passed_over(start_repl, line):
    repl = start_repl()
    await repl.take(line)
    assert "takes nothing after it" in repl.frontend.text
    assert not repl.is_leaving


async def test_read_aloud_there_are_sentences_and_no_columns(start_repl):
    repl = start_repl(plain=True)
    for line in ("/cost", "/config", "/config model", "/session", "/t"):
        repl.frontend.output.clear()
        await repl.take(line)
        shown = next(said for said in repl.frontend.output if not said.startswith(">"))
        assert "  " not in shown
        assert all(": " in row and row.endswith((".", "?", "!")) for row in shown.split("\n")), shown
    await repl.take("/config model")
    assert "model: small, from flag --model." in repl.frontend.text


async def test_read_aloud_what_is_attached_and_noted_is_a_sentence_each(start_repl, tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    repl = start_repl(plain=True)
    for line in (f"/file {tmp_path / 'a.txt'}", "/file", "/note Be brief", "/note"):
        await repl.take(line)
    assert f"{tmp_path / 'a.txt'}: 3 B." in repl.frontend.text
    assert "1: Be brief." in repl.frontend.text


async def test_read_aloud_the_model_in_use_is_reported_to_be(start_repl):
    async with serving(MODELS) as server:
        repl = start_repl(server, plain=True)
        await repl.take("/model")
        await repl.connection.close()
    assert re.search(r"^small: in use.*\.$", repl.frontend.text, re.MULTILINE)


async def test_a_key_is_never_taken_as_a_setting(start_repl):
    repl = start_repl()
    await repl.take("/config api_key sk-1234567890")
    assert "a key cannot be set here" in repl.frontend.text


async def test_a_session_is_shown_and_changed(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("Capital of France?")
        first = repl.chat.opened.name
        await repl.take("/session")
        assert f"name   {first}" in repl.frontend.text
        await repl.take("/session trip")
        assert repl.chat.opened.name == "trip"
        await repl.take("Hi")
        assert messages(server) == [("user", "Hi")]
        assert [name for name, _ in await completions(repl, "/session ")] == [first]
        await repl.take(f"/session {first}")
        assert "resuming: Capital of France?" in repl.frontend.text
        await repl.connection.close()


async def test_a_refusal_is_no_answer_to_copy_and_is_shown_as_one_on_resuming(start_repl):
    refused = Answer(
        [
            b'data: {"choices": [{"index": 0, "delta": {"refusal": "No, never."}}]}\n\n',
            *event_stream()[-2:],
        ]
    )
    async with serving(refused, PARIS) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("How?")
        first = repl.chat.opened.name
        await repl.take("/copy")
        assert "the model refused, so there is no answer" in repl.frontend.text
        assert not repl.frontend.sequences
        assert await completions(repl, "/copy ") == []
        await repl.take("/session trip")
        repl.frontend.output.clear()
        await repl.take(f"/session {first}")
        assert "the model refused to answer: No, never." in repl.frontend.text
        await repl.take("And now?")
        assert messages(server)[-2:] == [("assistant", "No, never."), ("user", "And now?")]
        await repl.connection.close()


async def test_save_copies_the_conversation_and_goes_on_there(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server, save=False)
        await repl.take("Capital of France?")
        assert repl.chat.opened.file is None
        await repl.take("/save trip")
        await repl.take("Hi")
        await repl.take("/save")
        await repl.connection.close()
    assert repl.chat.opened.name == "trip"
    assert len(repl.chat.session.questions) == 2
    assert "already saved" in repl.frontend.text


@pytest.mark.parametrize("command", ["/context", "/tokens"])
async def test_context_shows_what_the_model_sees_and_what_it_does_not(start_repl, command):
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("Capital of France?")
        await repl.take("And of Spain?")
        await repl.take("/drop 1")
        await repl.take(command)
        await repl.connection.close()
    assert "turn 2: And of Spain?" in repl.frontend.text
    assert "window of small" in repl.frontend.text
    assert "not sent: turn 1: dropped; /drop -N restores one" in repl.frontend.output
    assert "strategy truncate: the newest turns" in repl.frontend.output


async def test_context_compares_with_another_strategy_or_model_and_changes_nothing(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("Capital of France? " * 4000)
        await repl.take("And of Spain? " * 4000)
        await repl.take("/context")
        assert "not sent: turn 1 (~1" in repl.frontend.text
        await repl.take("/context -m gpt-4o")
        assert "it would also send turn 1" in repl.frontend.output
        await repl.take("/context middle-out")
        assert "middle-out" in repl.frontend.text
        assert (repl.chat.turns.connected.model_name, repl.chat.resolved.context) == ("small", "truncate")
        await repl.take("/context use none")
        assert repl.chat.resolved.context == "none"
        await repl.take("/context all")
        assert "error: there is no context strategy all" in repl.frontend.output
        await repl.take("/context use")
        assert "error: there is no context strategy use" in repl.frontend.output
        await repl.connection.close()


async def test_context_tells_what_the_endpoint_counts_beyond_the_vocabulary(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("Capital of France?")
        repl.chat.resolved.counts.learn("small", 1000, 1120)
        await repl.take("/context")
        await repl.connection.close()
    assert " counts up to 12% more than the vocabulary says" in repl.frontend.text


async def test_context_completes_strategies_where_nobody_answers(start_repl):
    repl = start_repl()
    offered = [text for text, _ in await completions(repl, "/context ")]
    await repl.connection.close()
    assert "truncate" in offered


async def test_context_completes_strategies_and_models(start_repl):
    async with serving(MODELS) as server:
        repl = start_repl(server)
        offered = [text for text, _ in await completions(repl, "/context ")]
        await repl.connection.close()
    assert {"truncate", "use recall", "-m large"} <= set(offered)


async def test_verbose_is_turned_on_and_off(start_repl):
    repl = start_repl()
    await repl.take("/verbose")
    assert repl.verbose
    await repl.take("/verbose off")
    assert not repl.verbose
    await repl.take("/verbose perhaps")
    assert "/verbose cannot be perhaps" in repl.frontend.text


async def test_login_keeps_a_key_for_another_endpoint_and_asks_that_from_then_on(start_repl):
    frontend = KeptFrontend("2")
    async with serving(MODELS, MODELS, PARIS) as server:
        frontend._answers += [server.base_url, "sk-1234567890"]
        repl = start_repl(frontend=frontend, base_url=None, model=None)
        await repl.take("/login")
        assert "the key works" in frontend.text
        await repl.take("Hi")
        await repl.connection.close()
    assert server.requests[-1].headers["authorization"] == "Bearer sk-1234567890"
    assert [secret for _, secret in frontend.asked] == [False, False, True, False]


async def test_login_turned_down_changes_nothing(start_repl):
    repl = start_repl(frontend=KeptFrontend("9", None))
    await repl.take("/login")
    assert "type a number from 1 to" in repl.frontend.text


async def test_reasoning_is_shown_or_hidden_without_asking_the_model_for_more_of_it(start_repl):
    repl = start_repl(reasoning="low")
    await repl.take("/reasoning")
    assert repl.frontend.output[-1] == "reasoning: hide (one line with the time it took)"
    await repl.take("/reasoning show")
    assert repl.settings.show_reasoning
    assert repl.frontend.output[-1] == "reasoning: show (show reasoning as it streams)"
    await repl.take("/reasoning hide")
    assert not repl.settings.show_reasoning
    assert repl.settings.reasoning == "low"
    assert repl.chat.resolved is None
    await repl.take("/reasoning high")
    assert (
        "→ use show or hide; /config reasoning EFFORT sets how much the model reasons" in repl.frontend.output
    )
    assert [text for text, _ in await completions(repl, "/reasoning ")] == ["show", "hide"]


async def test_what_a_model_thinks_is_never_kept(start_repl):
    thinking = Answer([*reasoning_events("A secret thought."), *event_stream("Paris.")])
    async with serving(thinking, PARIS) as server:
        repl = start_repl(server, show_reasoning=True)
        await repl.take("Capital of France?")
        await repl.take("And again?")
        await repl.connection.close()
    assert "secret" not in repl.chat.opened.file.path.read_text("utf-8")
    assert "secret" not in json.dumps(messages(server))


def test_every_command_explains_itself_in_a_line():
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)
    assert all(command.summary and "\n" not in command.summary for command in COMMANDS)


async def test_the_theme_changes_at_once_and_without_a_model(start_repl):
    repl = start_repl()
    await repl.take("/theme light")
    assert repl.theme().name == "light"
    assert repl.frontend.output[-1] == "theme: light (chosen here)"
    await repl.take("/theme auto")
    assert repl.theme().name == "dark"
    await repl.take("/config theme light")
    assert repl.theme().name == "light"
    assert repl.chat.resolved is None


async def test_the_theme_in_force_is_reported_with_its_reason(start_repl):
    repl = start_repl()
    await repl.take("/theme")
    assert repl.frontend.output[-1] == "theme: dark (auto: the terminal did not report its background)"
    repl.theme.learn("light", "COLORFGBG reports the background")
    await repl.take("/theme")
    assert repl.frontend.output[-1] == "theme: light (auto: COLORFGBG reports the background)"


async def test_the_terminal_is_asked_only_where_it_decides(start_repl):
    asked = []

    async def ask():
        asked.append(True)
        repl.theme.learn("light", "the terminal reports its background")

    repl = start_repl(ask=ask, theme="dark")
    await repl.take("/theme")
    assert not asked
    await repl.take("/theme auto")
    assert asked == [True]
    assert repl.frontend.output[-1] == "theme: light (auto: the terminal reports its background)"
    await repl.take("/theme")
    assert asked == [True]


async def test_a_theme_there_is_not_is_refused(start_repl):
    repl = start_repl()
    await repl.take("/theme pink")
    assert "error: there is no theme pink" in repl.frontend.output


async def test_themes_are_completed(start_repl):
    assert await completions(start_repl(), "/theme l") == [("light", "for a light background")]


PASTED = "sk-proj-aB3dE5gH7jK9mN2pQ4rS6tU8vW0xY1zA3bC5dE7fG9hJ1kL3"


@pytest.mark.parametrize("answer", ["", "n", None, "what?"])
async def test_a_line_with_a_key_is_dropped_unless_the_person_insists(start_repl, answer):
    async with serving(PARIS) as server:
        repl = start_repl(server, KeptFrontend(answer))
        await repl.take(f"use {PASTED} please")
        assert server.requests == []
        assert len(repl.chat.session.questions) == 0
        assert repl.frontend.drafted == "use [key] please"
        assert PASTED not in repl.frontend.text


async def test_a_key_alone_leaves_nothing_to_edit(start_repl):
    repl = start_repl(None, KeptFrontend("n"))
    await repl.take(f" {PASTED}\n")
    assert repl.frontend.drafted == ""


async def test_a_line_with_a_key_is_sent_as_it_is_to_who_insists(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server, KeptFrontend("y"))
        await repl.take(f"use {PASTED} please")
        assert messages(server)[-1] == ("user", f"use {PASTED} please")
        await repl.connection.close()


async def test_the_key_of_this_run_is_noticed_whatever_its_shape(start_repl):
    repl = start_repl(None, KeptFrontend("n"))
    repl.context.redactor.add_key("gateway-key-0815")
    await repl.take("is gateway-key-0815 fine?")
    assert "This looks like a key" in repl.frontend.asked[0][0]
    assert repl.frontend.drafted == "is [key] fine?"


async def test_a_key_behind_a_command_is_not_run_unasked(start_repl):
    repl = start_repl(None, KeptFrontend("n"))
    await repl.take(f"/note {PASTED}")
    assert "Run it anyway?" in repl.frontend.asked[0][0]
    assert PASTED not in str(list(repl.chat.session.messages()))
    assert PASTED not in repl.frontend.text
