"""Paths as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatcli.core.typed_paths import typed_path


def test_the_tilde_stands_for_the_home_folder():
    assert typed_path("~/notes.md") == Path.home() / "notes.md"


@pytest.mark.parametrize("name", ["notes.md", "/tmp/~", "a~b", "~nobody-of-that-name/notes.md", ""])
def test_any_other_path_stays_as_it_is(name):
    assert typed_path(name) == Path(name)
