"""A terminal of any size, without a keyboard, that writes to a file."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from chatcli.cli.standard_streams import Stream, Terminal

if TYPE_CHECKING:
    from typing import BinaryIO


class SizedTerminal(Terminal):
    """Its size is set by the test."""

    def __init__(self, file: BinaryIO, columns: int, lines: int) -> None:
        super().__init__(
            stdin=None,
            stdin_is_terminal=False,
            stdout=Stream(file, is_terminal=True),
            stderr=Stream(io.BytesIO(), is_terminal=True),
            environment={},
        )
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        # The only property of a terminal that can change.
        self.environment["size"] = os.terminal_size((columns, lines))

    def size(self) -> os.terminal_size:
        return self.environment["size"]
