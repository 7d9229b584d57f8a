from __future__ import annotations

import pytest

from chatcli.conversation.counting import TiktokenCounter
from chatcli.conversation.vocabulary import O200K_BASE


@pytest.fixture(scope="session")
def o200k_counter() -> TiktokenCounter:
    counter = TiktokenCounter(O200K_BASE)
    counter.load()
    return counter
