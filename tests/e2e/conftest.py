from __future__ import annotations

import pytest

from e2e.program import Program


@pytest.fixture
def program(tmp_path) -> Program:
    return Program(tmp_path)
