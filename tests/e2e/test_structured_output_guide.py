"""Every example of the guide to structured output, as a reader types it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scripted_server import Answer, event_stream, json_answer, serving_in_thread

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "structured-output.md").read_text("utf-8")
COMMANDS = [
    command
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for command in re.split(r"\n(?=chatcli )", block.strip())
]
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
VALUES = {
    "string": "Ada Lovelace",
    "integer": 1815,
    "array": [],
    "object": {},
}


def value_of(schema):
    """Return a value that fits the schema of an example."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    if kind == "object":
        return {name: value_of(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [value_of(schema["items"])]
    return VALUES[kind]


def serve(request):
    if request.method == "GET":
        return json_answer({"data": []})
    written = json.dumps(value_of(request.json["response_format"]["json_schema"]["schema"]))
    if not request.json.get("stream"):
        choice = {"index": 0, "message": {"content": written}, "finish_reason": "stop"}
        return json_answer({"choices": [choice]})
    return Answer(event_stream(written))


def test_the_guide_has_examples():
    assert len(COMMANDS) > 6
    assert EXAMPLES


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_guide_answer_in_json_that_fits(program, command):
    folder = program.config_folder / "schemas"
    folder.mkdir()
    (folder / "person.txt").write_text("name\nborn int")
    person = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    (program.working_folder / "person.json").write_text(json.dumps(person))
    (program.working_folder / "reviews.txt").write_text("Good soup.\n")
    words = shlex.split(command.partition(" | ")[0])
    assert words[0] == "chatcli"
    with serving_in_thread(choose=serve) as server:
        ended = program.run(*words[1:], server=server)
    assert ended.exit_code == 0, ended.stderr
    if "--out" in words:
        rows = (program.working_folder / words[-1]).read_text().splitlines()
        assert [json.loads(row)["data"] for row in rows] == [{"mood": "good", "about": ["Ada Lovelace"]}]
    else:
        shown = json.loads(ended.stdout)
        assert shown.get("data", shown)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_for_python_run(program, example):
    with serving_in_thread(choose=serve) as server:
        environment = {
            **program.environment(),
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "sk-of-the-environment",
        }
        script = program.working_folder / "example.py"
        script.write_text(example)
        run = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, env=environment, timeout=60, check=False
        )
    assert run.returncode == 0, run.stderr
    assert "Ada Lovelace" in run.stdout
