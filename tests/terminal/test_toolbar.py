"""The toolbar below the composer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.chat import Conversation
from chatcli.chat.resolved_model import ResolvedModel
from chatcli.client.endpoint import Endpoint
from chatcli.core.messages import answer, question
from chatcli.core.request import Parameters
from chatcli.cost.pricing import Pricing
from chatcli.sessions.log import SessionLog
from chatcli.sessions.records import MessageRecord, ReplyMetadata
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionFile, SessionStore
from chatcli.terminal.toolbar import Toolbar, is_too_long
from conversation.fakes import ScriptedModel

AT = "2026-11-23T21:05:07.123Z"


def chat_of(
    folder,
    *,
    name="trip",
    model="gpt-5-mini",
    cost_usd=None,
    words=1,
    window_tokens=8192,
    connected=True,
    pricing=None,
    web_search="",
):
    asked = MessageRecord("q", None, AT, question("word " * words))
    answered = MessageRecord(
        "a", "q", AT, answer("Paris."), ReplyMetadata(model, None, "stop", None, cost_usd)
    )
    file = SessionFile(name, folder / "trip.jsonl") if name else None
    chat = Conversation(
        SessionLog(file, app="x", session=Session.replay([asked, answered])), SessionStore(folder / "data")
    )
    if connected:
        endpoint = Endpoint("http://127.0.0.1:1/v1", loopback=True)
        parameters = Parameters(max_tokens=100 if pricing else None, web_search=web_search)
        chat.turns.connect(
            ResolvedModel(ScriptedModel(), model, window_tokens, parameters, endpoint, pricing=pricing)
        )
    return chat


def row(chat, columns=80, *, unicode=True, draft_tokens=0, expected_model=""):
    return Toolbar(unicode=unicode).line(chat, expected_model, columns, draft_tokens=draft_tokens)


def line(chat, columns=80, **options):
    return "".join(text for text, _ in row(chat, columns, **options))


def test_tells_the_model_how_full_its_window_is_the_session_and_the_cost(tmp_path):
    chat = chat_of(tmp_path, cost_usd=0.0123, words=2_000)
    parts = r"gpt-5-mini · ━+╸?─+ ~[\d.]+k/8\.2k tokens · \$0\.0123 spent · word word.*…"
    assert re.fullmatch(parts, line(chat))


@pytest.mark.parametrize("cost_usd", [None, 0.0])
def test_says_nothing_of_a_cost_nobody_told_and_of_none(tmp_path, cost_usd):
    assert "$" not in line(chat_of(tmp_path, cost_usd=cost_usd))


def test_says_that_questions_are_searched_for_and_counts_a_search_in_their_cost(tmp_path):
    pricing = Pricing("models.example", is_free=False, own={"m": {"input": 1, "output": 1, "search": 10_000}})
    searching, plain = (
        line(chat_of(tmp_path, model="m", pricing=pricing, web_search=form), 120, draft_tokens=500)
        for form in ("auto", "")
    )
    assert " · web search · ~$10.00" in searching
    assert "web search" not in plain
    assert "~$10" not in plain


def test_while_a_question_is_written_it_tells_about_what_that_will_cost(tmp_path):
    pricing = Pricing("models.example", is_free=False, own={"gpt-5-mini": {"input": 100, "output": 1_000}})
    chat = chat_of(tmp_path, cost_usd=0.5, pricing=pricing)
    assert re.search(r"· \$0\.50 spent · ~\$0\.10\d+ to send ·", line(chat, draft_tokens=2))
    assert re.search(r"· \$0\.50 spent · ~\$0\.60\d+ to send", line(chat, draft_tokens=5_000))
    assert "~$" not in line(chat)
    assert line(chat, 32, draft_tokens=2) == "$0.50 spent · ~$0.1014 to send"


@pytest.mark.parametrize(("host", "is_free"), [("127.0.0.1:1", True), ("models.example", False)])
def test_of_what_is_free_or_unknown_no_cost_is_reported_beforehand(tmp_path, host, is_free):
    chat = chat_of(tmp_path, model="our-model", pricing=Pricing(host, is_free=is_free, own={}))
    assert "$" not in line(chat, draft_tokens=2)


def test_says_nothing_of_a_window_before_there_is_a_model(tmp_path):
    assert line(chat_of(tmp_path, connected=False), expected_model="soon") == "soon · word"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (90, "gpt-5-mini · ──────── ~12/8.2k tokens · $1.50 spent · word"),
        (48, "gpt-5-mini · ~12/8.2k · $1.50 spent · word"),
        (40, "gpt-5-mini · ~12/8.2k · $1.50 spent"),
        (30, "gpt-5-mini · $1.50 spent"),
        (12, "$1.50 spent"),
    ],
)
def test_leaves_out_the_title_then_the_window_and_the_cost_last_where_there_is_no_room(
    tmp_path, columns, shown
):
    assert line(chat_of(tmp_path, cost_usd=1.5), columns) == shown


def test_a_long_model_name_leaves_room_for_the_rest(tmp_path):
    shown = line(chat_of(tmp_path, model="meta-llama/llama-4-maverick-17b-128e-instruct"), 40)
    assert shown.startswith("llama-4")
    assert "8.2k" in shown
    assert "word" in shown


def test_what_is_edited_comes_first(tmp_path):
    chat = chat_of(tmp_path)
    chat.branches.edit()
    assert line(chat).startswith("editing question 1 · gpt-5-mini")
    assert line(chat, 20) == "editing question 1"


@pytest.mark.parametrize(("words", "role"), [(1_500, "label"), (4_500, "code.number"), (5_600, "code.error")])
def test_the_window_changes_its_colour_as_it_fills(tmp_path, words, role):
    chat = chat_of(tmp_path, words=words, window_tokens=10_000)
    assert [painted for text, painted in row(chat) if re.fullmatch("━*╸?", text) and text] == [role]


def test_without_unicode_the_bar_is_made_of_signs(tmp_path):
    assert re.search(r"· #+-+ ~", line(chat_of(tmp_path, words=3_000), unicode=False))


@given(st.text(max_size=60), st.integers(1, 120))
def test_is_never_wider_than_the_terminal(tmp_path_factory, name, columns):
    folder = tmp_path_factory.mktemp("toolbar")
    chat = chat_of(folder, name=name or None, model=name or "m", cost_usd=0.1)
    shown = line(chat, columns)
    assert width(shown) <= columns
    assert "\n" not in shown


def test_what_is_being_written_is_added_by_the_rule_of_thumb(tmp_path):
    chat = chat_of(tmp_path, words=10)
    chat.turns.load_vocabulary()
    assert re.search(r"─ 2\d/8\.2k tokens", line(chat))
    assert re.search(r" ~1k/8\.2k tokens", line(chat, draft_tokens=1_000))


def test_a_draft_that_cannot_fit_is_reported_before_it_is_sent(tmp_path):
    chat = chat_of(tmp_path, words=10, cost_usd=0.5)
    assert re.search(
        r" · too long: about 1\.2M tokens, room for \d\.\dk · \$0\.50 spent",
        line(chat, draft_tokens=1_250_000),
    )
    assert line(chat, 40, draft_tokens=1_250_000) == "too long: ~1.2M tokens, room for 6.1k"

    assert line(chat, 60, draft_tokens=6_500) == "may be too long: about 6.5k tokens, room for 6.1k"
    assert is_too_long(chat, 1_250_000)
    assert not is_too_long(chat, 5_000)


def test_older_turns_make_room_for_a_draft(tmp_path):
    assert "too long" not in line(chat_of(tmp_path, words=7_000), draft_tokens=2_000)


def test_what_is_not_saved_says_so_instead_of_a_title(tmp_path):
    assert line(chat_of(tmp_path, name=None)).endswith("· not saved")


def test_a_cached_answer_is_marked_where_there_is_room(tmp_path):
    chat = chat_of(tmp_path)
    options = {"draft_tokens": 0, "is_cached": True}
    marked = Toolbar(unicode=True).line(chat, "", 80, **options)
    assert "cached answer" in "".join(text for text, _ in marked)
    narrow = Toolbar(unicode=True).line(chat, "", 20, **options)
    assert "cached answer" in "".join(text for text, _ in narrow)
    assert sum(width(text) for text, _ in narrow) <= 20


def test_what_is_asked_ahead_is_said_before_the_title_and_the_cost(tmp_path):
    chat = chat_of(tmp_path, cost_usd=0.01)

    def shown(columns):
        row = Toolbar(unicode=True).line(chat, "", columns, ahead="answering ahead 1 of 2")
        return "".join(text for text, _ in row)

    assert "answering ahead 1 of 2" in shown(80)
    assert shown(24) == "answering ahead 1 of 2"


@pytest.mark.parametrize(
    ("columns", "alerts", "shown"),
    [
        (80, ["success rate 60%"], "alert: success rate 60%"),
        (40, ["success rate 60%"], "! success rate 60%"),
        (80, ["success rate 60%", "errors 9"], "2 alerts"),
        (80, ["成功率\x1b[2J 60%"], "alert: 成功率"),
    ],
)
def test_an_alert_is_shown_before_most_else(tmp_path, columns, alerts, shown):
    chat = chat_of(tmp_path, model="a-model-of-a-long-name", cost_usd=0.01)
    row = Toolbar(unicode=True).line(chat, "", columns, alerts=alerts)
    text = "".join(text for text, _ in row)
    assert shown in text
    assert "\x1b" not in text
    assert width(text) <= columns
