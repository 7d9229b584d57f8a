from __future__ import annotations

import os

import pytest

from chatcli.core.errors import LocalIOError, UsageError
from chatcli.local.own_models import (
    FILE_NAME,
    expected_model_id,
    find_model,
    forget,
    inspect_file,
    is_model,
    keep,
    own_models,
)
from chatcli.local.weights import LOCK_NAME, MODELS, SMOLLM2, only_one, status
from local.gguf_files import CHAT_MODEL, gguf


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "local"


@pytest.fixture
def own_file(tmp_path):
    path = tmp_path / "My Model-Instruct.Q4_K_M.gguf"
    path.write_bytes(gguf())
    return path


def test_every_model_is_found_by_its_name_and_its_id(folder):
    assert find_model(None, folder) is SMOLLM2
    for weights in MODELS:
        assert find_model(weights.name, folder) is find_model(weights.model.upper(), folder) is weights
        assert expected_model_id(weights.name) == weights.model


def test_an_unknown_name_is_answered_with_the_nearest(folder):
    with pytest.raises(UsageError) as caught:
        find_model("qwen2.5-coder-0.5", folder)
    assert caught.value.hint.startswith("did you mean qwen2.5-coder-0.5b?")


def test_an_own_file_is_used_where_it_is(folder, own_file):
    weights = find_model(str(own_file), folder)
    assert weights.model == weights.name == expected_model_id(str(own_file)) == "my-model-instruct.q4_k_m"
    assert (weights.context_tokens, weights.longest_context_tokens) == (8_192, 32_768)
    assert weights.memory_bytes > 8_192 * 23_040
    assert status(folder, weights).path == own_file
    assert status(folder, weights).ready
    assert not folder.exists()


def test_an_own_file_that_was_set_up_has_a_name(folder, own_file):
    keep(inspect_file(str(own_file)), folder)
    weights = find_model("My-Model-Instruct.Q4_K_M", folder)
    assert weights == inspect_file(str(own_file)) == find_model(str(own_file), folder)
    assert weights.setup_command == f"chatcli local setup '{own_file}'"
    assert [path.name for path in folder.iterdir() if path.suffix == ".gguf"] == []


def test_a_second_file_of_the_name_replaces_the_first(folder, own_file, tmp_path):
    keep(inspect_file(str(own_file)), folder)
    (tmp_path / "other").mkdir()
    second = own_file.rename(tmp_path / "other" / own_file.name)
    keep(inspect_file(str(second)), folder)
    assert [weights.path for weights in own_models(folder)] == [second]


def test_a_file_that_changed_since_is_read_again(folder, own_file):
    keep(inspect_file(str(own_file)), folder)
    own_file.write_bytes(gguf({**CHAT_MODEL, "llama.context_length": 2_048, "general.name": "newer"}))
    assert find_model(str(own_file), folder).context_tokens == 2_048
    assert not status(folder, find_model(own_file.stem.replace(" ", "-"), folder)).ready


def test_forgetting_leaves_the_file(folder, own_file):
    keep(weights := inspect_file(str(own_file)), folder)
    assert forget(weights, folder)
    assert not forget(weights, folder)
    assert own_models(folder) == ()
    assert own_file.exists()


def test_a_file_cannot_take_the_name_of_a_model_of_the_table(folder, tmp_path):
    path = tmp_path / f"{MODELS[1].name}.gguf"
    path.write_bytes(gguf())
    with pytest.raises(UsageError, match="another model"):
        keep(inspect_file(str(path)), folder)


@pytest.mark.parametrize("content", [None, b"<html>", gguf({"general.architecture": "bert"})])
def test_a_file_that_cannot_be_used_is_a_usage_error_with_its_path(tmp_path, content):
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=str(path)):
        inspect_file(str(path))


@pytest.mark.parametrize(
    "content", [b"", b"{}x", b'[{"path": 1}]', b"[1]", b'{"a": 1}', b'[{"path": "a", "model": "b"}]']
)
def test_a_damaged_list_is_reported_and_hides_no_model_of_the_table(folder, content):
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(content)
    with pytest.raises(LocalIOError, match="damaged"):
        own_models(folder)
    assert find_model(MODELS[1].name, folder) is MODELS[1]


def test_the_list_is_not_changed_under_a_running_set_up(folder, own_file):
    folder.mkdir()
    with only_one(folder / LOCK_NAME), pytest.raises(LocalIOError) as caught:
        keep(inspect_file(str(own_file)), folder)
    assert caught.value.code == "busy"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_a_path_that_is_not_text_is_remembered(folder, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.gguf")
    path.write_bytes(gguf())
    keep(inspect_file(str(path)), folder)
    assert own_models(folder)[0].path == path


def test_only_names_and_paths_are_models(folder, own_file):
    keep(inspect_file(str(own_file)), folder)
    assert is_model("qwen2.5-coder-0.5b", folder)
    assert is_model("smollm2-135m-instruct", folder)
    assert is_model("my-model-instruct.q4_k_m", folder)
    assert is_model("./none.gguf", folder)
    for word in ("hello", "qwen", "gguf", "model.gguf?", ""):
        assert not is_model(word, folder)
