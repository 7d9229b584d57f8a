from __future__ import annotations

import pytest

from chatcli.conversation.counting import O200K_BASE, TiktokenCounter


@pytest.fixture(scope="session")
def o200k_counter() -> TiktokenCounter:
    counter = TiktokenCounter(O200K_BASE)
    counter.load()
    return counter
