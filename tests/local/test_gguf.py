from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.local.gguf import GgufModel, NotUsable, read_gguf
from local.gguf_files import CHAT_MODEL, gguf


@pytest.fixture
def read(tmp_path):
    def read_content(content):
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        return read_gguf(path)

    return read_content


def test_the_header_says_what_the_model_is(read):
    assert read(gguf()) == GgufModel(
        architecture="llama",
        license="mit",
        context_tokens=32_768,
        # 30 layers, 3 heads of 64 numbers, keys and values of 2 bytes
        cache_bytes_per_token=30 * 3 * 64 * 2 * 2,
        has_template=True,
    )


def test_the_real_model_is_read(weights_folder):
    found = read_gguf(weights_folder / "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert (found.architecture, found.context_tokens, found.has_template) == ("llama", 8192, True)


def test_what_the_header_leaves_out_is_unknown(read):
    assert read(gguf({"general.architecture": "rwkv"})) == GgufModel("rwkv")


def test_a_long_name_of_a_licence_is_cut(read):
    found = read(gguf({**CHAT_MODEL, "general.license": "see\nthe terms " + "x" * 5_000}))
    assert found.license.startswith("see the terms xxx")
    assert len(found.license) <= 40


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends in the middle of its header"),
        (b"<html>not found</html>", "is no GGUF file"),
        (gguf(version=1), "version 1"),
        (gguf({"general.name": "x"}), "does not say which kind"),
        (gguf({"general.architecture": "bert"}), r"no model to chat with \(bert\)"),
        (gguf({"general.architecture": "llama", "general.type": "adapter"}), r"chat with \(adapter\)"),
        (gguf({**CHAT_MODEL, "split.no": 1}), "later part"),
        (gguf()[:-3], "unfinished"),
        (gguf(tensors=[0, 4096])[:-3], "unfinished"),
        (gguf(tensors=[4096, 0]) + bytes(4096), "ends before its weights do"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 40), "damaged"),
    ],
)
def test_a_file_that_is_no_chat_model_is_refused_with_the_reason(read, content, reason):
    with pytest.raises(NotUsable, match=reason):
        read(content)


def test_weights_that_begin_within_the_file_are_there(read):
    assert read(gguf(tensors=[0, 4096]) + bytes(4097)).architecture == "llama"


@given(st.data())
def test_a_damaged_header_is_refused_or_read_and_nothing_else(tmp_path_factory, data):
    content = bytearray(gguf(tensors=[0]) + b"x")
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.gguf"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(NotUsable):
        read_gguf(path)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20),
        st.one_of(st.text(max_size=50), st.integers(0, 1 << 60), st.booleans(), st.floats(allow_nan=False)),
        max_size=8,
    )
)
def test_other_entries_change_nothing(tmp_path_factory, others):
    path = tmp_path_factory.mktemp("more") / "model.gguf"
    path.write_bytes(gguf({**{f"other.{key}": item for key, item in others.items()}, **CHAT_MODEL}))
    assert read_gguf(path).context_tokens == 32_768
