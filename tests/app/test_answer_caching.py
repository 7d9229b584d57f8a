"""Which cache of answers the settings name."""

from __future__ import annotations

import pytest

from chatcli.app.answer_caching import cache_in_use, statistics_rows, unavailable
from chatcli.app.run_context import RunContext
from chatcli.config.paths import Paths
from chatcli.config.settings import Settings
from chatcli.storage.answer_store import StoreBusy, StoreStatistics, StoreUnavailable


@pytest.mark.parametrize(
    ("cache", "is_local"),
    [
        ("memory", True),
        ("sqlite", True),
        ("redis://127.0.0.1:6379/0", True),
        ("redis://me:secret@localhost:6379/0", True),
        ("rediss://[::1]/0", True),
        ("redis://cache.example:6379/0", False),
        ("rediss://me:127.0.0.1@cache.example/0", False),
        ("redis://127.0.0.1.cache.example/0", False),
    ],
)
def test_only_a_cache_on_this_machine_is_asked_while_the_person_types(tmp_path, cache, is_local):
    paths = Paths(config=tmp_path, data=tmp_path, cache=tmp_path, local=tmp_path)
    assert cache_in_use(Settings(cache=cache), RunContext({}, paths)).is_local == is_local


def test_what_was_saved_fits_into_a_narrow_terminal():
    saved = {"saved_usd": 12_345.6789, "saved_input_tokens": 1_281_204, "saved_output_tokens": 60_310}
    rows = statistics_rows(
        StoreStatistics(120, 400_000, saved | {"hits": 340, "misses": 172}), "x", Settings()
    )
    assert ("saved", "$12,345.6789") in rows
    assert max(len("answers  ") + len(words) for _, words in rows) <= 40


def test_a_store_in_use_is_worth_another_try():
    assert unavailable(StoreBusy("answers-1.sqlite is in use")).hint == "try again in a moment"
    assert "config show" in unavailable(StoreUnavailable("disk I/O error")).hint
