"""What is imported when: the prompt, one answer and the help wait for nothing that they do not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.pseudo_terminal import CTRL_D, on_terminal
from scripted_server import Answer, event_stream, serving_in_thread

TELLING = """
import atexit, sys
from pathlib import Path
{before}
atexit.register(lambda: Path(sys.argv[1]).write_text("\\n".join(sys.modules)))
kept, sys.argv[1:] = sys.argv[1], sys.argv[2:]
from chatcli.__main__ import main
code = main()
sys.argv[1:1] = [kept]
sys.exit(code)
"""

AT_THE_PROMPT = """
import asyncio
from chatcli.core.lazy_imports import import_packages_on_first_use
import_packages_on_first_use()  # as the program does first
from chatcli.terminal.start import Repl
open_behind, at_the_prompt = Repl._open_behind_the_prompt, Path(sys.argv[1]).with_name("at-the-prompt")
async def tell_before(repl):
    await asyncio.sleep(0)  # the first frame is drawn
    at_the_prompt.write_text("\\n".join(sys.modules))
    from chatcli.repl.model_connection import Connection
    Connection.begin = lambda *_: None  # what is loaded while the person reads or types
    await open_behind(repl)
Repl._open_behind_the_prompt = tell_before
"""

FOR_THE_PROMPT = {"platformdirs", "prompt_toolkit", "wcwidth"}
BEHIND_THE_PROMPT = FOR_THE_PROMPT | {"jiter", "rich"}
"""Of rich only its colours and styles."""

NOT_FOR_THE_PROMPT = (
    "chatcli.api",
    "chatcli.app.resolver",
    "chatcli.app.wiring",
    "chatcli.attachments.encodings",
    "chatcli.chat",
    "chatcli.cli.one_shot",
    "chatcli.cli.outputs",
    "chatcli.cli.questions",
    "chatcli.client.endpoint",
    "chatcli.client.pool",
    "chatcli.core.codec",
    "chatcli.core.request",
    "chatcli.cost",
    "chatcli.render.status",
    "chatcli.repl.model_connection",
    "chatcli.repl.opening",
    "chatcli.repl.repl_session",
    "chatcli.safety",
    "chatcli.sessions",
    "chatcli.terminal.conversing",
    "chatcli.terminal.terminal_frontend",
    "decimal",
    "prompt_toolkit.shortcuts",
    "tomllib",
)
MOST_MODULES_FOR_THE_PROMPT = 90
"""Of chatcli, rooms included."""

LATER_THAN_THE_PROMPT = (
    "chatcli.attachments.html_text",
    "chatcli.attachments.recognition",
    "chatcli.client.openai",
    "chatcli.client.pipeline",
    "chatcli.client.retry",
    "chatcli.cost.charge",
    "chatcli.cost.model_table",
    "chatcli.doctor",
    "chatcli.local",
    "chatcli.login",
    "chatcli.render.code",
    "chatcli.render.live_answer",
    "chatcli.render.markdown",
    "chatcli.repl.commands",
    "chatcli.repl.onboarding",
    "chatcli.sessions.exporting",
    "chatcli.sessions.importing",
    "chatcli.telemetry.log_file",
    "chatcli.templates",
    "chatcli.terminal.picker",
    "difflib",
    "gzip",
    "http.client",
    "sqlite3",
    "tomllib",
    "urllib.request",
)
MOST_MODULES_BEHIND_THE_PROMPT = 166

FOR_AN_ANSWER = {
    "annotated_types", "anyio", "h11", "httpcore2", "httpx2", "idna", "jiter", "openai", "pydantic", "pydantic_core", "sniffio",
    "socksio", "tenacity", "backports", "truststore", "typing_extensions", "typing_inspection", "distro", "dotenv", "platformdirs", "certifi",
}  # fmt: skip
NOT_FOR_AN_ANSWER = (
    "chatcli.doctor",
    "chatcli.local.engine",
    "chatcli.local.server",
    "chatcli.local.weights",
    "chatcli.render.code",
    "chatcli.render.markdown",
    "chatcli.repl",
    "chatcli.safety.classifier",
    "chatcli.safety.injection",
    "chatcli.templates",
    "chatcli.terminal",
    "openai.resources",
    "openai.types.beta",
    "openai.types.responses.response",
    "sqlite3",
)

FOR_THE_HELP = {
    "chatcli",
    "chatcli.__main__",
    "chatcli.cli",
    "chatcli.cli.commands",
    "chatcli.cli.main",
    "chatcli.cli.options",
    "chatcli.cli.option_groups",
    "chatcli.cli.signals",
    "chatcli.cli.standard_streams",
    "chatcli.client",
    "chatcli.core.lazy_imports",
    "chatcli.core",
    "chatcli.core.errors",
    "chatcli.core.event_log",
    "chatcli.core.frozen",
    "chatcli.core.strategy_table",
    "chatcli.core.version",
    "chatcli.text",
    "chatcli.text.hints",
    "chatcli.text.key_shapes",
    "chatcli.text.lazy_pattern",
    "chatcli.text.own_command",
    "chatcli.text.redaction",
    "chatcli.text.sanitizer",
}


MOST_MODULES_FOR_A_RECORD = 16


def of_others(modules):
    """Return the packages that are neither Python's nor chatcli's."""
    packages = {name.partition(".")[0] for name in modules}
    return {
        name
        for name in packages - sys.stdlib_module_names - {"chatcli", "__mp_main__"}
        # Left there by the way packages are installed for development.
        if not name.startswith(("_", "sitecustomize", "apport"))
    }


def below(packages, modules):
    """Return the modules that are one of ``packages`` or in one."""
    return sorted(
        name
        for name in modules
        if any(name == package or name.startswith((f"{package}.", f"{package}_")) for package in packages)
    )


@pytest.fixture
def modules(program):
    """Return a function that returns the modules a run has imported at its end."""

    def run(*arguments, server=None, before="", kept=program.working_folder / "modules"):
        subprocess.run(
            [sys.executable, "-c", TELLING.format(before=before), str(kept), *arguments],
            stdin=subprocess.DEVNULL,
            env=program.environment(server),
            cwd=program.working_folder,
            check=True,
            timeout=60,
        )
        return set(kept.read_text().split("\n"))

    return run


@pytest.fixture
def conversation_modules(program):
    """Return a function that returns the modules of a conversation when its prompt is drawn, and when it is left."""

    def run(*arguments):
        kept = program.working_folder / "modules"
        line = [
            sys.executable,
            "-c",
            TELLING.format(before=AT_THE_PROMPT),
            str(kept),
            *arguments,
        ]
        with (
            serving_in_thread() as server,
            on_terminal(
                line, environment=program.environment(server), folder=program.working_folder
            ) as screen,
        ):
            screen.wait_for("/help lists the commands")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        return [set(path.read_text().split("\n")) for path in (kept.with_name("at-the-prompt"), kept)]

    return run


def test_the_prompt_is_drawn_without_the_conversation_behind_it(conversation_modules):
    at_the_prompt, _ = conversation_modules()
    assert of_others(at_the_prompt) <= FOR_THE_PROMPT
    assert below(NOT_FOR_THE_PROMPT, at_the_prompt) == []
    assert below(LATER_THAN_THE_PROMPT, at_the_prompt) == []

    assert len(below(("chatcli",), at_the_prompt)) <= MOST_MODULES_FOR_THE_PROMPT


def test_a_conversation_is_opened_without_what_only_a_command_or_an_answer_needs(conversation_modules):
    _, at_the_end = conversation_modules()
    assert of_others(at_the_end) <= BEHIND_THE_PROMPT
    assert "rich.console" not in at_the_end
    assert below(LATER_THAN_THE_PROMPT, at_the_end) == []

    assert len(below(("chatcli",), at_the_end)) <= MOST_MODULES_BEHIND_THE_PROMPT


NOTHING_KEPT = "import os; os.environ['CHATCLI_TELEMETRY'] = 'off'"


def test_one_answer_waits_for_nothing_that_only_conversations_need(modules):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        imported = modules("Capital of France?", server=server, before=NOTHING_KEPT)
    assert of_others(imported) <= FOR_AN_ANSWER
    assert below(NOT_FOR_AN_ANSWER, imported) == []


def test_looking_at_the_links_of_an_answer_loads_no_rules_about_orders(modules):
    with serving_in_thread(Answer(event_stream("See https://example.org/paris?q=1."))) as server:
        imported = modules("Capital of France?", server=server, before=NOTHING_KEPT)
    assert "chatcli.safety.outgoing" in imported
    assert below(NOT_FOR_AN_ANSWER, imported) == []


def test_what_is_kept_of_a_call_needs_little_more_and_that_behind_the_answer(modules):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        answered, kept = (modules("Capital?", server=server, before=each) for each in (NOTHING_KEPT, ""))
    more = kept - answered
    assert below(NOT_FOR_AN_ANSWER, more) == ["sqlite3", "sqlite3.dbapi2"]
    assert len(below(("chatcli",), more)) <= MOST_MODULES_FOR_A_RECORD


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_the_help_imports_what_reads_the_arguments(modules, flag):
    imported = modules(flag)
    assert of_others(imported) == set()
    assert set(below(("chatcli",), imported)) <= FOR_THE_HELP
    assert "asyncio" not in imported


def test_importing_chatcli_imports_nothing_else():
    code = "import sys; before = {*sys.modules}; import chatcli; print(*sorted({*sys.modules} - before))"
    imported = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert imported == ["__future__", "chatcli", "chatcli.core", "chatcli.core.version"]
