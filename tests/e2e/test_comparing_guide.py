"""Every example of the guide to comparing models, as a reader types it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from repl.commands.test_branch_commands import output_of
from repl.test_repl_session import start_repl  # noqa: F401 - the fixture
from scripted_server import Answer, event_stream, serving, serving_in_thread

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "comparing.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]
TYPED = [
    line.removeprefix("> ")
    for block in re.findall(r"```\n(> .*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]


def serve(request):
    has_schema = not {"response_format", "tools"}.isdisjoint(request.json)
    text = '{"prime": false}' if has_schema else f"No, says {request.json['model']}."
    return Answer(event_stream(text, model=request.json["model"]))


def test_the_guide_has_examples():
    assert len(COMMANDS) > 6
    assert len(TYPED) > 3


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_guide_print_every_answer(program, command):
    before, ours, after = re.fullmatch(r"(?:(git diff) \| )?(chatcli .*?)(?: \| (jq .*))?", command).groups()
    with serving_in_thread(choose=serve) as server:
        (program.config_folder / "config.toml").write_text(
            f'[profiles.work]\nbase_url = "{server.base_url}"\nmodel = "ours"\n', encoding="utf-8"
        )
        done = program.run(*shlex.split(ours)[1:], server=server, stdin="+ a line\n" if before else "")
        models = sorted(request.json["model"] for request in server.requests)
    assert done.exit_code == 0, done.stderr
    assert len(models) == ours.count(",") + (2 if "," not in ours or " -m " in ours else 1)
    if after is None:
        assert all(f"says {model}." in done.stdout for model in models)
        return
    assert len(json.loads(done.stdout)["compared"]) == 2
    if shutil.which("jq") is not None:
        asked = subprocess.run(
            shlex.split(after), input=done.stdout, capture_output=True, text=True, check=True, timeout=60
        )
        assert "false" in asked.stdout or all(model in asked.stdout for model in models)


async def test_the_lines_typed_in_a_conversation_do_what_the_guide_says(start_repl):  # noqa: F811
    async with serving(choose=serve) as server:
        repl = start_repl(server, context_window=4096)
        shown = await output_of(repl, *TYPED)
        await repl.connection.close()
    assert "error" not in shown
    assert "answer 2 of 2" in shown
    assert [request.json["model"] for request in server.requests[:2]] == ["gpt-5-mini", "gpt-5-nano"]
    assert len(server.requests) == 4
