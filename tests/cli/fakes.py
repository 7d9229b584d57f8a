"""A terminal in memory."""

from __future__ import annotations

import io

from chatcli.cli.standard_streams import Stream, Terminal


class Recorded(Terminal):
    """A ``Terminal`` whose output can be read."""

    __slots__ = ()

    @property
    def out(self) -> str:
        return _text(self.stdout)

    @property
    def err(self) -> str:
        return _text(self.stderr)


def terminal(stdin: bytes | None = b"", *, is_terminal: bool = False, **environment: str) -> Recorded:
    """Return a terminal with ``stdin`` ready to be read; ``None`` closes it."""
    return Recorded(
        stdin=None if stdin is None else io.BytesIO(stdin),
        stdin_is_terminal=is_terminal,
        stdout=Stream(io.BytesIO(), is_terminal=is_terminal),
        stderr=Stream(io.BytesIO(), is_terminal=is_terminal),
        environment={"TERM": "xterm", **environment} if is_terminal else environment,
    )


def _text(stream: Stream) -> str:
    assert isinstance(stream.file, io.BytesIO)
    return stream.file.getvalue().decode()
