from __future__ import annotations

import json
import re

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from chatcli.app.run_context import ChatOptions, RunContext
from chatcli.app.wiring import open_session
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.repl.commands import COMMANDS, run_command
from chatcli.repl.model_connection import Connection
from chatcli.repl.talk import Talk, split_command
from chatcli.terminal.completion import CommandCompleter
from repl.fakes import KeptSurface
from scripted_server import CUT, Answer, event_stream, json_answer, reasoning_events, serving, text_events

PARIS = Answer(event_stream("Paris."))
MADRID = Answer(event_stream("Madrid."))
MODELS = json_answer({"data": [{"id": "small", "context_length": 4096}, {"id": "large"}]})


@pytest.fixture
def talking(tmp_path):
    """Return a function that opens a talk with a server, or with an address where nobody listens."""
    opened = []

    def start(server=None, surface=None, ask=None, **flags):
        environment = {
            f"CHATCLI_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "CACHE", "LOCAL")
        }
        world = RunContext(environment, find_paths(environment))
        given = {
            "base_url": server.base_url if server else "http://127.0.0.1:1/v1",
            "model": "small",
            "retries": 0,
            **flags,
        }

        def resettle(changes):
            return resolve(given, environment, world.paths, tmp_path, changes=changes)

        settings, wish = resettle({}), ChatOptions()
        surface = surface or KeptSurface()
        talk = Talk(
            surface,
            open_session(settings, wish, world),
            settings=settings,
            wish=wish,
            world=world,
            connection=Connection(
                wish,
                world,
                lambda notice: surface.say(notice.message),
                idle_s=lambda: 9.0,
                approve=lambda told: talk.approves(told),  # noqa: PLW0108 - made here
            ),
            theme=ThemeInForce(lambda: talk.settings.theme, "256", ask=ask),
            run_command=run_command,
            resettle=resettle,
            verbose=False,
        )
        opened.append(talk)
        return talk

    yield start
    for talk in opened:
        talk.chat.close()


async def completions(talk, text):
    completer = CommandCompleter()
    completer.talk = talk
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


async def test_what_is_no_command_is_asked_and_answered(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("/etc/hosts is what?")
        await talk.connection.close()
    assert "Paris." in talk.surface.said
    assert messages(server) == [("user", "/etc/hosts is what?")]


@pytest.mark.parametrize("farewell", ["exit", "quit", " EXIT ", "/exit", "/quit"])
async def test_leaves_on_a_farewell_alone_on_its_line(talking, farewell):
    talk = talking(surface=KeptSurface(lines=[farewell, "never read"]))
    await talk.run(talk.surface.line)
    assert talk.is_leaving


async def test_a_question_that_finds_nobody_comes_back_and_can_be_asked_again(talking):
    talk = talking(model=None)
    await talk.take("Capital of France?")
    assert "error: " in talk.surface.text
    assert talk.surface.aside == "Capital of France?"
    await talk.connection.close()


@pytest.mark.parametrize("typed", ["!ls", "!", "! git status\n", "!important?"])
async def test_a_line_for_a_shell_is_explained_and_not_sent(talking, typed):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take(typed)
        assert "put a space before it to send it" in talk.surface.text
        assert not server.requests
        await talk.take(f" {typed}")
        assert [role for role, _ in messages(server)] == ["user"]
        await talk.connection.close()


@pytest.mark.parametrize("typed", ["![a cat](cat.png)", "!a\nb", "wow!"])
async def test_what_only_looks_like_a_line_for_a_shell_is_sent(talking, typed):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take(typed)
        assert messages(server) == [("user", typed)]
        await talk.connection.close()


async def test_new_starts_an_unnamed_conversation_and_keeps_the_one_before(talking):
    async with serving(PARIS, MADRID) as server:
        talk = talking(server)
        await talk.take("/session trip")
        await talk.take("Capital of France?")
        await talk.take("/new")
        assert talk.surface.said[-1] == "new conversation; /session trip goes back"
        assert talk.chat.opened.name != "trip"
        await talk.take("Capital of Spain?")
        assert messages(server) == [("user", "Capital of Spain?")]
        await talk.connection.close()


async def test_new_needs_no_model(talking):
    talk = talking(model=None)
    await talk.take("/new")
    assert talk.surface.said[-1] == "new conversation"
    await talk.connection.close()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lagre", "127.0.0.1:{port} does not list lagre; did you mean large?"),
        ("zzz", "127.0.0.1:{port} does not list zzz; /model lists its models"),
        ("large", "model: large"),
    ],
)
async def test_a_model_is_looked_for_in_the_list_that_was_read_and_never_refused(talking, name, told):
    async with serving(MODELS, PARIS) as server:
        talk = talking(server, context_window=4096)
        await talk.take("/model")
        asked = len(server.requests)
        await talk.take(f"/model {name}")
        assert talk.surface.said[-1] == told.format(port=server.port)
        assert len(server.requests) == asked
        await talk.take("Capital of France?")
        assert server.requests[-1].json["model"] == name
        await talk.connection.close()


async def test_a_model_is_not_looked_for_where_no_list_was_read(talking):
    async with serving(PARIS) as server:
        talk = talking(server, context_window=4096)
        await talk.take("/model zzz")
        assert talk.surface.said[-1] == "model: zzz"
        assert not server.requests
        await talk.connection.close()


async def test_a_model_that_is_not_found_is_compared_with_the_list(talking):
    def answer(request):
        return (
            MODELS if request.path == "/v1/models" else json_answer({"error": {"message": "no"}}, status=404)
        )

    async with serving(choose=answer) as server:
        talk = talking(server, context_window=4096, model="lagre")
        await talk.take("/model")
        await talk.take("Capital of France?")
        await talk.connection.close()
    assert talk.surface.said[-1].endswith("does not list lagre; did you mean large?")


async def test_ollama_completes_a_name_without_a_tag(talking):
    async with serving(json_answer({"data": [{"id": "llama3:latest"}, {"id": "x"}]})) as server:
        talk = talking(server, context_window=4096)
        await talk.take("/model")
        await talk.take("/model llama3")
        assert talk.surface.said[-1] == "model: llama3"
        await talk.connection.close()


@pytest.mark.parametrize("line", ["Capital of France?", "/model", "/retry"])
async def test_without_a_model_login_comes_first(talking, line):
    talk = talking(base_url="https://api.openai.com/v1")
    await talk.take(line)
    if line == "/retry":
        assert talk.surface.said[-1] == "→ /help lists what can be done now"
    else:
        assert talk.surface.said[-1] == "→ /login sets one up; /help lists what works without"
    await talk.connection.close()


@pytest.mark.parametrize("columns", [200, 80, 40, 20])
async def test_keys_stand_in_columns_and_in_words(talking, columns):
    talk = talking(surface=KeptSurface(columns=columns))
    await talk.take("/keys")
    listed = talk.surface.said[1].split("\n")
    assert all(len(line) <= columns for line in listed)
    assert "Ctrl-S" in talk.surface.said[1]
    assert "stop_and_send" not in talk.surface.said[1]
    assert talk.surface.said[-1].startswith(
        "[keys] in config.toml changes them; their names, in this order: send,"
    )
    if columns >= 80:
        assert len({line.index("  ") for line in listed if line.startswith(("Tab", "Enter"))}) == 2
        assert any(line.startswith("Tab  ") for line in listed)


async def test_a_session_that_is_new_is_said_to_be(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("/session trip")
        assert talk.surface.said[-1] == "new conversation: trip"
        await talk.take("Capital of France?")
        await talk.take("/session other")
        talk.surface.said.clear()
        await talk.take("/session trip")
        assert "new conversation" not in talk.surface.text
        await talk.connection.close()


async def test_config_tells_which_command_changed_a_value(talking):
    talk = talking(temperature="1")
    await talk.take("/theme light")
    await talk.take("/config show_reasoning true")
    await talk.take("/config notify off")
    await talk.take("/config")
    rows = [line.split("  ") for line in talk.surface.text.split("\n")]
    origins = {row[0].strip(): row[-1].strip() for row in rows}
    assert origins["theme"] == "command /theme"
    assert origins["show_reasoning"] == "command /reasoning"
    assert origins["notify"] == "command /config"
    assert origins["temperature"] == "flag --temperature"


async def test_what_another_model_would_see_is_compared_before_it_is_shown(talking):
    async with serving(PARIS) as server:
        talk = talking(server, context_window=4096)
        await talk.take("Capital of France?")
        talk.surface.said.clear()
        await talk.take("/context -m large")
        await talk.connection.close()
    assert "free for a question" in talk.surface.said[1]
    assert "large" in talk.surface.said[1].split("\n")[0]
    assert "window of large" in talk.surface.said[-1]


async def test_an_unknown_command_names_the_nearest(talking):
    talk = talking()
    await talk.take("/modle")
    await talk.take("/ses")
    assert "there is no command /modle" in talk.surface.text
    assert "did you mean /model?" in talk.surface.text
    assert "did you mean /session?" in talk.surface.text


async def test_commands_that_need_a_question_say_so_before_there_is_one(talking):
    talk = talking()
    for name in ("retry", "undo", "clear", "pin"):
        await talk.take(f"/{name}")
        assert f"error: /{name}: nothing has been asked yet" in talk.surface.text
    offered = [name for name, _ in await completions(talk, "/")]
    assert "/undo" not in offered
    assert "/help" in offered


@pytest.mark.parametrize("name", ["theme", "reasoning"])
async def test_commands_about_how_answers_are_drawn_say_where_none_are(talking, name):
    talk = talking(surface=KeptSurface(draws=False))
    await talk.take(f"/{name}")
    assert f"error: /{name}: " in talk.surface.text
    await talk.take("/help")
    (line,) = [line for line in talk.surface.said[-2].split("\n") if line.startswith(f"/{name} ")]
    assert "; not now: " in line


async def test_how_the_program_speaks_is_settled_at_the_start(talking):
    talk = talking()
    await talk.take("/config plain true")
    assert "it can only be set at the start" in talk.surface.text
    assert not talk.settings.plain


async def test_continue_asks_for_the_rest_of_a_cut_answer_and_joins_it(talking):
    cut = Answer([*text_events("The capital of"), CUT])
    async with serving(MODELS, cut, Answer(event_stream("capital of France."))) as server:
        talk = talking(server)
        await talk.take("Go on")
        assert "/continue gets the rest" in "".join(talk.surface.said)
        await talk.take("/continue")
        await talk.connection.close()
    assert messages(server)[:2] == [("user", "Go on"), ("assistant", "The capital of")]
    assert talk.chat.session.context()[-1].message.text == "The capital of France."


async def test_continue_says_why_it_cannot(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("/continue")
        assert talk.surface.said[1] == "error: /continue: nothing has been asked yet"
        await talk.take("Capital?")
        await talk.take("/continue")
        await talk.connection.close()
    assert "error: the last answer is already complete" in talk.surface.said


async def test_retry_asks_the_same_question_and_keeps_both_answers(talking):
    async with serving(PARIS, MADRID) as server:
        talk = talking(server)
        await talk.take("Capital?")
        await talk.take("/retry")
        await talk.connection.close()
    assert messages(server, 0) == messages(server, 1) == [("user", "Capital?")]
    kept = [json.loads(line) for line in talk.chat.opened.file.path.read_text("utf-8").splitlines()]
    roles = [record["message"]["role"] for record in kept if record["type"] == "message"]
    assert roles == ["user", "assistant", "assistant"]


async def test_undo_takes_the_question_back_into_the_composer(talking):
    async with serving(PARIS, MADRID) as server:
        talk = talking(server)
        await talk.take("Capital of France?")
        await talk.take("And of Spain?")
        await talk.take("/undo 2")
        assert talk.surface.drafted == "Capital of France?"
        assert "took back 2 turns" in talk.surface.text
        await talk.take("Hi")
        await talk.connection.close()
    assert messages(server) == [("user", "Hi")]


async def test_clear_makes_the_model_forget_and_pin_keeps_a_turn(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("Capital of France?")
        await talk.take("/pin")
        assert talk.chat.manager.history.turns[0].pinned
        await talk.take("/unpin 1")
        assert not talk.chat.manager.history.turns[0].pinned
        await talk.take("/clear")
        await talk.take("Hi")
        await talk.connection.close()
    assert messages(server) == [("user", "Hi")]
    assert len(talk.chat.session.questions) == 2


async def test_undo_right_after_a_clear_takes_the_clear_back(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("Capital of France?")
        await talk.take("/clear")
        assert "/undo restores them" in talk.surface.text
        await talk.take("/undo")
        await talk.take("And?")
        await talk.connection.close()
    assert messages(server)[0] == ("user", "Capital of France?")


async def test_drop_leaves_a_turn_out_lists_it_and_brings_it_back(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("Capital of France?")
        await talk.take("/drop")
        assert "no turn is dropped" in talk.surface.said[-1]
        await talk.take("/drop 1")
        assert ("1", "dropped: Capital of France?") in await completions(talk, "/drop ")
        await talk.take("/drop")
        assert talk.surface.said[-1] == "1  Capital of France?"
        await talk.take("And?")
        assert messages(server) == [("user", "And?")]
        await talk.take("/drop -1")
        await talk.take("So?")
        await talk.connection.close()
    assert messages(server)[0] == ("user", "Capital of France?")


async def test_notes_are_kept_listed_and_taken_away(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("/note")
        assert "there are no notes" in talk.surface.said[-1]
        await talk.take("/note I am Ada.")
        await talk.take("/note - a dash is a text")
        await talk.take("Who?")
        assert messages(server)[0] == (
            "system",
            "Keep in mind: I am Ada.\n\nKeep in mind: - a dash is a text",
        )
        await talk.take("/note")
        assert talk.surface.said[-1] == "1  I am Ada.\n2  - a dash is a text"
        assert await completions(talk, "/note ") == [("-1", "I am Ada."), ("-2", "- a dash is a text")]
        await talk.take("/note -1")
        assert talk.chat.memory.notes == ("- a dash is a text",)
        await talk.take("/note -7")
        assert "error: there is no note 7" in talk.surface.said
        await talk.connection.close()


async def test_system_is_shown_set_and_taken_away(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("/system")
        assert "there is no system prompt" in talk.surface.text
        await talk.take("/system Be brief.")
        await talk.take("Hi")
        assert messages(server)[0] == ("system", "Be brief.")
        await talk.take("/system none")
        await talk.take("Hi again")
        assert messages(server)[0] == ("user", "Hi")
        await talk.connection.close()


async def test_another_model_is_asked_from_then_on_and_after_a_resume(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("Hi")
        await talk.take("/model large")
        await talk.take("Hi again")
        await talk.connection.close()
    assert server.requests[-1].json["model"] == "large"
    assert talk.chat.session.model == "large"


async def test_models_are_listed_and_offered_from_the_endpoint(talking):
    async with serving(MODELS) as server:
        talk = talking(server, context_window=None)
        assert await completions(talk, "/model la") == [("large", "")]
        await talk.take("/model")
        await talk.connection.close()
    assert "→  small  4,096 tokens" in talk.surface.text


async def test_no_models_are_offered_where_the_endpoint_does_not_tell(talking):
    talk = talking()
    assert await completions(talk, "/model ") == []
    await talk.connection.close()


async def test_a_setting_is_changed_for_this_run_and_a_wrong_one_changes_nothing(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("/config temperature 0.5")
        await talk.take("/config temperature hot")
        await talk.take("/config temprature")
        await talk.take("Hi")
        await talk.connection.close()
    assert "temperature must be" in talk.surface.text
    assert "--temperature" not in talk.surface.text
    assert "there is no setting temprature" in talk.surface.text
    assert server.requests[-1].json["temperature"] == 0.5


@pytest.mark.parametrize("line", ["/new x y", "/exit now", "/cost today"])
async def test_words_behind_a_command_that_takes_none_are_not_passed_over(talking, line):
    talk = talking()
    await talk.take(line)
    assert "takes nothing after it" in talk.surface.text
    assert not talk.is_leaving


async def test_read_aloud_there_are_sentences_and_no_columns(talking):
    talk = talking(plain=True)
    for line in ("/cost", "/config", "/config model", "/session", "/t"):
        talk.surface.said.clear()
        await talk.take(line)
        shown = next(said for said in talk.surface.said if not said.startswith(">"))
        assert "  " not in shown
        assert all(": " in row and row.endswith((".", "?", "!")) for row in shown.split("\n")), shown
    await talk.take("/config model")
    assert "model: small, from flag --model." in talk.surface.text


async def test_read_aloud_what_is_attached_and_noted_is_a_sentence_each(talking, tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    talk = talking(plain=True)
    for line in (f"/file {tmp_path / 'a.txt'}", "/file", "/note Be brief", "/note"):
        await talk.take(line)
    assert f"{tmp_path / 'a.txt'}: 3 B." in talk.surface.text
    assert "1: Be brief." in talk.surface.text


async def test_read_aloud_the_model_in_use_is_said_to_be(talking):
    async with serving(MODELS) as server:
        talk = talking(server, plain=True)
        await talk.take("/model")
        await talk.connection.close()
    assert re.search(r"^small: in use.*\.$", talk.surface.text, re.MULTILINE)


async def test_a_key_is_never_taken_as_a_setting(talking):
    talk = talking()
    await talk.take("/config api_key sk-1234567890")
    assert "a key cannot be set here" in talk.surface.text


async def test_a_session_is_shown_and_changed(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("Capital of France?")
        first = talk.chat.opened.name
        await talk.take("/session")
        assert f"name   {first}" in talk.surface.text
        await talk.take("/session trip")
        assert talk.chat.opened.name == "trip"
        await talk.take("Hi")
        assert messages(server) == [("user", "Hi")]
        assert [name for name, _ in await completions(talk, "/session ")] == [first]
        await talk.take(f"/session {first}")
        assert "resuming: Capital of France?" in talk.surface.text
        await talk.connection.close()


async def test_a_refusal_is_no_answer_to_copy_and_is_shown_as_one_on_resuming(talking):
    refused = Answer(
        [
            b'data: {"choices": [{"index": 0, "delta": {"refusal": "No, never."}}]}\n\n',
            *event_stream()[-2:],
        ]
    )
    async with serving(refused, PARIS) as server:
        talk = talking(server, context_window=4096)
        await talk.take("How?")
        first = talk.chat.opened.name
        await talk.take("/copy")
        assert "the model refused, so there is no answer to copy" in talk.surface.text
        assert not talk.surface.sequences
        assert await completions(talk, "/copy ") == []
        await talk.take("/session trip")
        talk.surface.said.clear()
        await talk.take(f"/session {first}")
        assert "the model refused to answer: No, never." in talk.surface.text
        await talk.take("And now?")
        assert messages(server)[-2:] == [("assistant", "No, never."), ("user", "And now?")]
        await talk.connection.close()


async def test_save_copies_the_conversation_and_goes_on_there(talking):
    async with serving(PARIS) as server:
        talk = talking(server, save=False)
        await talk.take("Capital of France?")
        assert talk.chat.opened.file is None
        await talk.take("/save trip")
        await talk.take("Hi")
        await talk.take("/save")
        await talk.connection.close()
    assert talk.chat.opened.name == "trip"
    assert len(talk.chat.session.questions) == 2
    assert "already saved" in talk.surface.text


@pytest.mark.parametrize("command", ["/context", "/tokens"])
async def test_context_shows_what_the_model_sees_and_what_it_does_not(talking, command):
    async with serving(PARIS) as server:
        talk = talking(server, context_window=4096)
        await talk.take("Capital of France?")
        await talk.take("And of Spain?")
        await talk.take("/drop 1")
        await talk.take(command)
        await talk.connection.close()
    assert "turn 2: And of Spain?" in talk.surface.text
    assert "window of small" in talk.surface.text
    assert "not sent: turn 1: dropped; /drop -N restores one" in talk.surface.said
    assert "strategy truncate: the newest turns" in talk.surface.said


async def test_context_compares_with_another_strategy_or_model_and_changes_nothing(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("Capital of France? " * 4000)
        await talk.take("And of Spain? " * 4000)
        await talk.take("/context")
        assert "not sent: turn 1 (~1" in talk.surface.text
        await talk.take("/context -m gpt-4o")
        assert "it would also send turn 1" in talk.surface.said
        await talk.take("/context middle-out")
        assert "middle-out" in talk.surface.text
        assert (talk.chat.turns.connected.model_name, talk.chat.target.context) == ("small", "truncate")
        await talk.take("/context use none")
        assert talk.chat.target.context == "none"
        await talk.take("/context all")
        assert "error: there is no context strategy all" in talk.surface.said
        await talk.take("/context use")
        assert "error: there is no context strategy use" in talk.surface.said
        await talk.connection.close()


async def test_context_tells_what_the_endpoint_counts_beyond_the_vocabulary(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take("Capital of France?")
        talk.chat.target.counts.learn("small", 1000, 1120)
        await talk.take("/context")
        await talk.connection.close()
    assert " counts up to 12% more than the vocabulary says" in talk.surface.text


async def test_context_completes_strategies_where_nobody_answers(talking):
    talk = talking()
    offered = [text for text, _ in await completions(talk, "/context ")]
    await talk.connection.close()
    assert "truncate" in offered


async def test_context_completes_strategies_and_models(talking):
    async with serving(MODELS) as server:
        talk = talking(server)
        offered = [text for text, _ in await completions(talk, "/context ")]
        await talk.connection.close()
    assert {"truncate", "use recall", "-m large"} <= set(offered)


async def test_verbose_is_turned_on_and_off(talking):
    talk = talking()
    await talk.take("/verbose")
    assert talk.verbose
    await talk.take("/verbose off")
    assert not talk.verbose
    await talk.take("/verbose perhaps")
    assert "/verbose cannot be perhaps" in talk.surface.text


async def test_login_keeps_a_key_for_another_endpoint_and_asks_that_from_then_on(talking):
    surface = KeptSurface("2")
    async with serving(MODELS, MODELS, PARIS) as server:
        surface._answers += [server.base_url, "sk-1234567890"]
        talk = talking(surface=surface, base_url=None, model=None)
        await talk.take("/login")
        assert "the key works" in surface.text
        await talk.take("Hi")
        await talk.connection.close()
    assert server.requests[-1].headers["authorization"] == "Bearer sk-1234567890"
    assert [secret for _, secret in surface.asked] == [False, False, True, False]


async def test_login_turned_down_changes_nothing(talking):
    talk = talking(surface=KeptSurface("9", None))
    await talk.take("/login")
    assert "type a number from 1 to" in talk.surface.text


async def test_reasoning_is_shown_or_hidden_without_asking_the_model_for_more_of_it(talking):
    talk = talking(reasoning="low")
    await talk.take("/reasoning")
    assert talk.surface.said[-1] == "reasoning: hide (one line with the time it took)"
    await talk.take("/reasoning show")
    assert talk.settings.show_reasoning
    assert talk.surface.said[-1] == "reasoning: show (show reasoning as it streams)"
    await talk.take("/reasoning hide")
    assert not talk.settings.show_reasoning
    assert talk.settings.reasoning == "low"
    assert talk.chat.target is None
    await talk.take("/reasoning high")
    assert "→ use show or hide; /config reasoning EFFORT sets how much the model reasons" in talk.surface.said
    assert [text for text, _ in await completions(talk, "/reasoning ")] == ["show", "hide"]


async def test_what_a_model_thinks_is_never_kept(talking):
    thinking = Answer([*reasoning_events("A secret thought."), *event_stream("Paris.")])
    async with serving(thinking, PARIS) as server:
        talk = talking(server, show_reasoning=True)
        await talk.take("Capital of France?")
        await talk.take("And again?")
        await talk.connection.close()
    assert "secret" not in talk.chat.opened.file.path.read_text("utf-8")
    assert "secret" not in json.dumps(messages(server))


def test_every_command_explains_itself_in_a_line():
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)
    assert all(command.summary and "\n" not in command.summary for command in COMMANDS)


async def test_the_theme_changes_at_once_and_without_a_model(talking):
    talk = talking()
    await talk.take("/theme light")
    assert talk.theme().name == "light"
    assert talk.surface.said[-1] == "theme: light (chosen here)"
    await talk.take("/theme auto")
    assert talk.theme().name == "dark"
    await talk.take("/config theme light")
    assert talk.theme().name == "light"
    assert talk.chat.target is None


async def test_the_theme_in_force_is_told_with_its_reason(talking):
    talk = talking()
    await talk.take("/theme")
    assert talk.surface.said[-1] == "theme: dark (auto: the terminal did not report its background)"
    talk.theme.learn("light", "COLORFGBG reports the background")
    await talk.take("/theme")
    assert talk.surface.said[-1] == "theme: light (auto: COLORFGBG reports the background)"


async def test_the_terminal_is_asked_only_where_it_decides(talking):
    asked = []

    async def ask():
        asked.append(True)
        talk.theme.learn("light", "the terminal reports its background")

    talk = talking(ask=ask, theme="dark")
    await talk.take("/theme")
    assert not asked
    await talk.take("/theme auto")
    assert asked == [True]
    assert talk.surface.said[-1] == "theme: light (auto: the terminal reports its background)"
    await talk.take("/theme")
    assert asked == [True]


async def test_a_theme_there_is_not_is_refused(talking):
    talk = talking()
    await talk.take("/theme pink")
    assert "error: there is no theme pink" in talk.surface.said


async def test_themes_are_completed(talking):
    assert await completions(talking(), "/theme l") == [("light", "for a light background")]
