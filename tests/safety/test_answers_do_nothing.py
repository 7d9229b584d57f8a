"""Nothing that a model writes is fetched, opened or run: every place that could do so is known, with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import chatcli

PACKAGE = Path(chatcli.__file__).parent

STARTS_PROGRAMS = {
    "app/alert_actions.py": "command of [[alerts]]: a list in the person's own config.toml",
    "attachments/attached.py": "quotes a path for Windows; starts nothing",
    "attachments/html_text.py": "this Python, to read the HTML of a page the person attached",
    "config/key_commands.py": "key_command: a list in the person's own config.toml",
    "local/engine.py": "the built-in model",
    "local/fetch.py": "pip, which downloads the built-in model",
    "repl/clipboard.py": "/copy: the answer is the input of the clipboard's program, not its command",
    "repl/editor.py": "/edit: $EDITOR with a temporary file",
    "terminal/pager.py": "/last: $PAGER, with the answer as its input",
}
CONNECTS = {
    "app/name_resolution.py": "the addresses of a page the person attached, or of a webhook of config.toml",
    "attachments/attached.py": "turns a file:// address into a path; connects to nothing",
    "cli/signals.py": "a pair of sockets inside the process",
    "client/certificates.py": "the certificates of TLS; connects to nothing",
    "client/direct_http.py": "the configured endpoint, for the rows of a batch",
    "client/download.py": "a page the person attached, or the table of prices",
    "client/file_download.py": "the weights of an embedded model the person set up",
    "client/inspection.py": "chatcli doctor, to the configured endpoint",
    "client/network_faults.py": "the classes of errors; connects to nothing",
    "client/openai_client.py": "the configured endpoint",
    "doctor/local_checks.py": "the versions of libraries; connects to nothing",
    "doctor/network_checks.py": "chatcli doctor, to the configured endpoint",
    "local/discovery.py": "well-known ports of this machine",
    "repl/draft_preparation.py": "the configured endpoint, before the draft is sent",
}
EVALUATES = {
    "core/frozen.py": "the methods of classes of the program, from the names of their fields, as dataclasses does",
}
PROGRAM_MODULES = {"subprocess", "pty", "webbrowser"}
PROGRAM_CALLS = {
    "create_subprocess_exec",
    "create_subprocess_shell",
    "execv",
    "execve",
    "execvp",
    "popen",
    "posix_spawn",
    "spawnv",
    "startfile",
    "os.system",
}
CONNECTING_MODULES = {
    "aiohttp",
    "ftplib",
    "http.client",
    "requests",
    "socket",
    "ssl",
    "urllib.request",
    "urllib3",
}
CONNECTING_CALLS = {
    "create_connection",
    "open_connection",
    "urlopen",
    "AsyncClient",
    "AsyncOpenAI",
    "AsyncHTTPTransport",
}


def used(tree, modules, calls):
    """Return the names of modules imported and functions called in ``tree``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            found.add(node.module)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            of = getattr(getattr(node.func, "value", None), "id", "")
            found |= {name, f"{of}.{name}"} & calls
    return found


def places(modules, calls):
    sources = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    return {
        name: found
        for name, path in sources.items()
        if (found := used(ast.parse(path.read_text(encoding="utf-8")), modules, calls))
    }


def test_programs_are_started_in_known_places_alone():
    assert places(PROGRAM_MODULES, PROGRAM_CALLS).keys() == STARTS_PROGRAMS.keys()


def test_connections_are_made_in_known_places_alone():
    assert places(CONNECTING_MODULES, CONNECTING_CALLS).keys() == CONNECTS.keys()


def test_no_text_is_evaluated_as_code():
    found = places({"pickle", "marshal", "shelve"}, {"eval", "exec", "compile_command", "literal_eval"})
    assert found.keys() == EVALUATES.keys()


def test_nothing_that_draws_or_stores_an_answer_does_either():
    known = STARTS_PROGRAMS.keys() | CONNECTS.keys()
    for room in ("chat", "conversation", "core", "render", "safety", "sessions", "storage", "text"):
        assert not [name for name in known if name.startswith(f"{room}/")]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import webbrowser", {"webbrowser"}),
        ("from subprocess import run", {"subprocess"}),
        ("os.system(answer)", {"os.system"}),
        ("messages.system(answer)", set()),
        ("await asyncio.create_subprocess_shell(answer)", {"create_subprocess_shell"}),
        ("answer.system", set()),
    ],
)
def test_a_new_place_would_be_seen(source, found):
    tree = ast.parse(f"async def show(answer):\n    {source}")
    assert used(tree, PROGRAM_MODULES, PROGRAM_CALLS) == found
