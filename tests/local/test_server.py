from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.local.server import LocalEndpoint

NOISY_ENGINE = """
import os
os.write(1, b"noise on standard output\\n")
print("more of it")

class CommonParams:
    def __init__(self):
        self.model = self.cpuparams = self.cpuparams_batch = self

class Server:
    def __init__(self, parameters):
        self.listening_address = f"http://127.0.0.1:{parameters.port}"
"""

PARENT = """
import asyncio, os, pathlib, sys
from chatcli.local.server import LocalServer

async def main():
    folder, log_folder, how = sys.argv[1:]
    server = LocalServer(pathlib.Path(folder), log_folder=pathlib.Path(log_folder),
                         executable=sys.executable, environment=dict(os.environ))
    endpoint = await server.start()
    print(endpoint.base_url, flush=True)
    if how == "close":
        await server.close()
    else:
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def ask(endpoint, path, key, body=None):
    def call():
        request = urllib.request.Request(endpoint.base_url + path, headers={"Authorization": f"Bearer {key}"})
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    return await asyncio.to_thread(call)


async def test_the_real_model_answers_those_who_have_the_key(make_server, weights_folder):
    async with make_server(weights_folder) as server:
        endpoint = await server.start()
        status, models = await ask(endpoint, "/models", endpoint.api_key)
        assert status == 200
        assert models["data"][0]["id"] == endpoint.model == "smollm2-135m-instruct"
        assert models["data"][0]["meta"]["n_ctx"] == endpoint.context_tokens == 8192
        assert (await ask(endpoint, "/models", "another key"))[0] == 401
        assert (await ask(endpoint, "/chat/completions", "", {"messages": []}))[0] == 401


async def test_the_engine_reads_a_prompt_it_has_seen_only_once(make_server, weights_folder):
    question = {
        "messages": [{"role": "user", "content": "Say hello to all of the others."}],
        "max_tokens": 1,
    }
    async with make_server(weights_folder) as server:
        endpoint = await server.start()
        await ask(endpoint, "/chat/completions", endpoint.api_key, question)
        _, again = await ask(endpoint, "/chat/completions", endpoint.api_key, question)
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 10


@pytest.mark.parametrize("end", ["kill", "close"])
def test_the_server_leaves_with_its_parent_and_never_writes_to_its_terminal(
    weights_folder, tmp_path, until_closed, end
):
    command = [sys.executable, "-c", PARENT, weights_folder, tmp_path / "cache", end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        url = parent.stdout.readline().decode()
        if end == "kill":
            parent.kill()
        output, errors = parent.communicate()
    assert url.startswith("http://127.0.0.1:")
    assert (output, errors) == (b"", b"")
    until_closed(urlsplit(url.strip()).port)


async def test_a_closed_server_is_gone_and_may_be_closed_again(make_server, weights_folder, until_closed):
    server = make_server(weights_folder)
    endpoint = await server.start()
    await server.close()
    await server.close()
    until_closed(urlsplit(endpoint.base_url).port)


async def test_what_the_engine_prints_goes_to_a_private_log(make_server_with):
    async with make_server_with(NOISY_ENGINE, port=1) as server:
        endpoint = await server.start()
        assert endpoint.base_url == "http://127.0.0.1:1/v1"
    assert "noise on standard output" in server.log_path.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(server.log_path.stat().st_mode) == 0o600


async def test_each_start_empties_the_log_and_makes_a_new_key(make_server_with):
    async with make_server_with(NOISY_ENGINE) as server:
        first, second = await server.start(), await server.start()
    assert first.api_key != second.api_key
    assert server.log_path.read_text().count("noise on standard output") == 1


def test_the_key_is_not_shown_with_the_endpoint():
    assert "secret" not in repr(LocalEndpoint("http://127.0.0.1:1/v1", "secret", "model", 8192))


async def test_a_cancelled_start_leaves_no_process_and_no_secret_in_argv(
    make_server_with, hanging_engine, tmp_path, wait_until, until_closed
):
    path = tmp_path / "seen.json"
    server = make_server_with(hanging_engine, {"SEEN": str(path)}, api_key="a key of the person")
    starting = asyncio.create_task(server.start())
    await asyncio.to_thread(wait_until, path.exists)
    seen = json.loads(path.read_text())
    assert seen["api_keys"] == ["a key of the person"]
    assert not any("a key" in argument for argument in seen["argv"])
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    until_closed(seen["port"])


async def test_a_start_that_takes_too_long_is_given_up(make_server_with, hanging_engine, tmp_path):
    server = make_server_with(hanging_engine, {"SEEN": str(tmp_path / "seen.json")}, timeout_s=0.05)
    with pytest.raises(LocalIOError, match=r"not ready within 0\.05 s"):
        await server.start()


async def test_an_engine_that_dies_is_quoted(make_server_with):
    server = make_server_with('import os\nos.write(2, b"first\\nillegal instruction\\n")\nos._exit(3)')
    with pytest.raises(LocalIOError, match="illegal instruction") as caught:
        await server.start()
    assert str(server.log_path) in caught.value.hint


async def test_a_damaged_file_of_weights_is_the_reason_told(make_server, fake_weights_folder):
    with pytest.raises(LocalIOError, match="expected 'GGUF'"):
        await make_server(fake_weights_folder).start()


async def test_a_missing_engine_comes_with_how_to_install_it(make_server_with):
    server = make_server_with('raise ModuleNotFoundError("none", name="xllamacpp")')
    with pytest.raises(ConfigurationError) as caught:
        await server.start()
    assert caught.value.code == "engine_missing"
    assert "pip install" in caught.value.hint


async def test_missing_weights_come_with_how_to_fetch_them(make_server, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        await make_server(tmp_path).start()
    assert caught.value.code == "weights_missing"
    assert "chatcli local setup" in caught.value.hint


async def test_a_python_that_does_not_exist_is_reported(make_server, fake_weights_folder, tmp_path):
    server = make_server(fake_weights_folder)
    server._executable = str(tmp_path / "no-python")
    with pytest.raises(LocalIOError, match="cannot start the embedded model"):
        await server.start()


async def test_modules_in_the_working_folder_are_not_taken_for_ours(make_server_with, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the working folder')")
    (tmp_path / "chatcli.py").write_text("raise SystemExit('taken from the working folder')")
    monkeypatch.chdir(tmp_path)
    async with make_server_with(NOISY_ENGINE, port=1) as server:
        assert (await server.start()).base_url == "http://127.0.0.1:1/v1"
