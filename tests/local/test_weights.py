from __future__ import annotations

import pytest

from chatcli.core.errors import LocalIOError
from chatcli.local.weights import (
    LOCK_NAME,
    MODELS,
    SMOLLM2,
    Artifact,
    HubWeights,
    PackagedWeights,
    only_one,
    remove,
    status,
)

TINY = PackagedWeights(
    model="tiny",
    title="Tiny",
    license="Apache-2.0",
    context_tokens=128,
    file=Artifact("tiny.gguf", 4, "0" * 64),
    wheel=Artifact("tiny-1.0-py3-none-any.whl", 10, "0" * 64),
    requirement="tiny==1.0",
    member="tiny/tiny.gguf",
)


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path):
    state = status(tmp_path / "none")
    assert not state.present
    assert not state.ready
    assert state.path == tmp_path / "none" / SMOLLM2.file.name


@pytest.mark.parametrize(("content", "ready"), [(b"1234", True), (b"123", False)])
def test_weights_are_ready_when_their_size_is_right(tmp_path, content, ready):
    (tmp_path / "tiny.gguf").write_bytes(content)
    state = status(tmp_path, TINY)
    assert state.present
    assert state.ready is ready


def test_remove_frees_everything_but_what_others_put_there(tmp_path):
    (tmp_path / "tiny.gguf").write_bytes(b"1234")
    (tmp_path / "tiny.gguf.partial").write_bytes(b"12")
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / TINY.wheel.name).write_bytes(b"1")
    (tmp_path / "other.gguf").write_bytes(b"123")
    assert remove(tmp_path, TINY) == 7
    assert {path.name for path in tmp_path.iterdir()} == {"other.gguf", LOCK_NAME}
    assert remove(tmp_path, TINY) == 0


def test_removing_from_nowhere_frees_nothing(tmp_path):
    assert remove(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()


def test_nothing_is_removed_under_a_running_set_up(tmp_path):
    (tmp_path / "tiny.gguf").write_bytes(b"1234")
    with only_one(tmp_path / LOCK_NAME), pytest.raises(LocalIOError, match="another chatcli"):
        remove(tmp_path, TINY)
    assert (tmp_path / "tiny.gguf").exists()


def test_a_second_holder_is_refused_until_the_first_is_done(tmp_path):
    with only_one(tmp_path / "lock"):
        with pytest.raises(LocalIOError, match="another chatcli") as caught, only_one(tmp_path / "lock"):
            pass
        assert caught.value.code == "busy"
    with only_one(tmp_path / "lock"):
        pass


def test_no_two_models_have_one_name():
    assert len({weights.name for weights in MODELS}) == len(MODELS)


@pytest.mark.parametrize("weights", [each for each in MODELS if isinstance(each, HubWeights)])
def test_the_files_of_the_hub_are_pinned_at_their_makers_repository(weights):
    assert len(bytes.fromhex(weights.file.sha256)) == 32
    assert weights.repository.startswith("Qwen/")
    url = weights.url_at("https://hub.example")
    assert url == f"https://hub.example/{weights.repository}/resolve/main/{weights.file.name}"


def test_removing_one_model_leaves_the_downloads_of_others(tmp_path):
    hub = next(each for each in MODELS if isinstance(each, HubWeights))
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / SMOLLM2.wheel.name).write_bytes(b"1")
    (tmp_path / f"{hub.file.name}.partial").write_bytes(b"12")
    (tmp_path / f"{hub.file.name}.partial.etag").write_text('"v"')
    assert remove(tmp_path, hub) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"download", LOCK_NAME}
