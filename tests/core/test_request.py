from __future__ import annotations

from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request


def test_the_endpoint_chooses_what_nobody_named():
    assert Parameters() == Parameters(None, None, None, None, None, extra={})


def test_requests_are_equal_by_content():
    def request():
        return Request("small", (question("Hi"),), Parameters(temperature=0.0, extra={"top_k": 3}))

    assert request() == request()
    assert hash(request()) == hash(request())
    assert request() != Request("small", (question("Hi"),))
