"""What goes over the network while the person types, and how soon an answer is seen."""

from __future__ import annotations

import sys
import time

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.pseudo_terminal import CTRL_D
from network_servers import listening_in_thread
from scripted_server import event_stream

ANSWER = b"".join(event_stream("Paris."))


class Listener:
    """Answers requests on connections it keeps open, and records the bytes of each connection."""

    def __init__(self):
        self.received = []

    async def __call__(self, reader, writer):
        own = bytearray()
        self.received.append(own)
        while block := await reader.read(65_536):
            own += block
            if own.endswith(b"}"):
                head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(ANSWER)}"
                writer.write(f"{head}\r\n\r\n".encode() + ANSWER)

    def wait_for_connections(self, count):
        until_s = time.monotonic() + 60
        while len(self.received) < count:
            assert time.monotonic() < until_s, "there is no connection"
            time.sleep(0.01)


def test_the_first_key_opens_the_connection_and_enter_sends_the_first_byte(terminal):
    listener = Listener()
    # With both known, the server is asked nothing else.
    known = {"CHATCLI_MODEL": "small", "CHATCLI_CONTEXT_WINDOW": "4096"}
    with (
        listening_in_thread(listener) as port,
        terminal(CHATCLI_BASE_URL=f"http://127.0.0.1:{port}/v1", **known) as screen,
    ):
        screen.wait_for("\n>")
        time.sleep(0.5)
        assert listener.received == []
        screen.type("What is the capital of France?")
        listener.wait_for_connections(1)
        time.sleep(0.5)
        assert listener.received == [b""]
        screen.type("\r")
        screen.wait_for("Paris.")
        assert len(listener.received) == 1
        assert b"capital of France" in listener.received[0]
        screen.type(CTRL_D)
