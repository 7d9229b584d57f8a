"""A conversation much longer than the model's window, with the real embedded model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

SCRIPT = Path(__file__).parents[2] / "scripts" / "long_conversation.py"


def held(local_model_folder, *, turns, window):
    """Hold it as ``scripts/long_conversation`` does, and return its report."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--json", f"--turns={turns}", f"--window={window}"],
        capture_output=True,
        env={**os.environ, "CHATCLI_LOCAL_DIR": str(local_model_folder)},
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    return json.loads(done.stdout)


def test_every_question_is_answered_after_the_window_was_full(local_model_folder):
    report = held(local_model_folder, turns=10, window=200)
    assert report["failures"] == []
    assert report["answered"] == 10
    assert report["turns_that_left_out"] >= 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_conversation_of_200_turns_never_fails_and_says_what_it_left_out(local_model_folder):
    report = held(local_model_folder, turns=200, window=1024)
    assert report["failures"] == []
    assert report["answered"] == 200
    # Some twenty turns fit. From the first that does not, every one says so.
    assert report["turns_that_left_out"] >= 170
    assert report["most_left_out"] >= 170
