from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.local.child import EngineOrder

orders = st.builds(
    EngineOrder,
    weights_path=st.text(),
    model=st.text(),
    context_tokens=st.integers(1),
    port=st.integers(0, 65535),
    api_key=st.text(),
)


@settings(deadline=None)
@given(orders)
def test_an_order_is_one_line_of_ascii_and_comes_back_whole(order):
    line = order.to_line()
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    assert EngineOrder.from_line(line) == order


def test_the_key_is_not_shown():
    assert "secret" not in repr(EngineOrder("weights", "model", 8192, 0, "secret"))
