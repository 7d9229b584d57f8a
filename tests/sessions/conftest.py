from __future__ import annotations

import pytest

from sessions.world import World


@pytest.fixture
def world() -> World:
    return World()
