from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import chatcli
from chatcli.api.script_words import error_for_script, event_for_script, for_script
from chatcli.core.errors import Cancelled, TimedOut
from chatcli.core.events import Notice, TextDelta

SOURCE = Path(chatcli.__file__).parent
ROOMS = (
    "app",
    "batching",
    "chat",
    "client",
    "config",
    "conversation",
    "core",
    "cost",
    "schemas",
    "sessions",
    "templates",
)
# Modules of which no script is told anything.
OF_COMMANDS = {"concurrency", "event_log", "input_rows", "llm_templates", "statistics_report"}
# Docker's flag, and the origin of a value that no script reads.
WORDS_OF_THE_PROGRAM = re.compile(
    r"(?<![\w-])--(?!env-file)[a-z]|(?:^|[ (])-[a-z]\b|(?:^|[ (])/[a-z]+\b(?!/)"
)


def texts(tree):
    """Yield the texts of a module that may be messages, with X in place of their values."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, documented)]
    others = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    others |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in others:
            yield node.value


def test_no_message_of_a_conversation_names_a_flag_or_a_command():
    found = [
        text
        for room in ROOMS
        for path in (SOURCE / room).rglob("*.py")
        if "importing" not in path.parts and path.stem not in OF_COMMANDS
        for text in texts(ast.parse(path.read_text("utf-8")))
        if " " in text and WORDS_OF_THE_PROGRAM.search(text)
    ]
    assert len(found) > 20
    assert [text for text in found if WORDS_OF_THE_PROGRAM.search(for_script(text))] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("using x (-m or /model changes it)", "using x (model= changes it)"),
        (
            "try again, or allow more with --timeout",
            'try again, or allow more with settings={"timeout_s": …}',
        ),
        ("raise --max-tokens", "raise max_tokens="),
        ("model must be text in the terminal's encoding", "model must be valid Unicode"),
        (
            "--max-cost changes the limit; /continue gets the rest",
            'settings={"max_cost": …} changes the limit; partial is what had arrived',
        ),
        ("[budget] day in config.toml changes it", 'settings={"budget": {"day": …}} changes it'),
        ('[prices."x"] in config.toml sets it', 'settings={"prices": {"x": …}} sets it'),
        ("or take the budget out of config.toml", 'or leave out settings={"budget": …}'),
        ("leave out -O n, or the limit", 'leave out settings={"options": {"n": …}}, or the limit'),
        ("(--context truncate)", '(settings={"context": "truncate"})'),
        (
            "--resume continues it, --force starts over, or name another --out",
            "resume=True continues it; or pass another out=, or delete the file to start over",
        ),
        (
            "name the same input, and ask with the same --prompt, -S and --schema, or name another --out; --force starts over",
            "pass the same rows, and ask with the same template=, system= and schema=, or pass another out=; delete the file to start over",
        ),
        (
            "--via provider --resume takes the results; --force forgets them and starts over",
            'via="provider" and resume=True take the results; delete the .batch.json beside it to send them again',
        ),
        ("--retry-failed sends these rows anew", "retry_failed=True sends these rows anew"),
        ("use another -s name or path; the file stays", "pass another session=; the file stays"),
        ("set a key (chatcli config login), or …", "pass api_key=, or set OPENAI_API_KEY"),
        ("wait a moment, or choose one with /model", "wait a moment"),
        ("command /profile: there is no profile x", "profile: there is no profile x"),
        ("/home is full; /tmp, too", "/home is full; /tmp, too"),
        ("check base_url, which often ends in /v1", "check base_url, which often ends in /v1"),
        (
            "cannot read /home/ada/x.jsonl; http://a.b/c d - e",
            "cannot read /home/ada/x.jsonl; http://a.b/c d - e",
        ),
    ],
)
def test_flags_and_commands_become_arguments(text, words):
    assert for_script(text) == words


def test_a_long_message_takes_no_longer_than_its_length():
    long = "refused " * 20_000
    assert for_script(f"{long}; wait, or choose one with /model") == f"{long}; wait"


def test_an_error_and_a_notice_keep_all_but_their_words():
    error = TimedOut("slow --timeout", hint="try again", status=504, request_id="r")
    worded = error_for_script(error, str)
    assert (worded.message, worded.hint) == ('slow settings={"timeout_s": …}', "try again")
    assert (type(worded), worded.status, worded.request_id) == (TimedOut, 504, "r")
    assert error_for_script(Cancelled("stopped"), str).message == "stopped"
    assert event_for_script(Notice("model_chosen", "-m or /model changes it"), str).code == "model_chosen"
    assert event_for_script(TextDelta("use --timeout"), str) == TextDelta("use --timeout")


def test_what_a_script_reads_of_an_error_and_a_notice_holds_no_key():
    def redact(text):
        return text.replace("sk-1", "[key]")

    assert error_for_script(Cancelled("stopped at sk-1"), redact).message == "stopped at [key]"
    assert event_for_script(Notice("model_chosen", "using sk-1"), redact).message == "using [key]"
    assert event_for_script(TextDelta("sk-1"), redact) == TextDelta("sk-1")
