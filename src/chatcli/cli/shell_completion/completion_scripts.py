"""The table of the shells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.cli.shell_completion import bash, fish, zsh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatcli.cli.shell_completion.grammar import Level

SCRIPTS: Final[Mapping[str, Callable[[Sequence[Level]], str]]] = {
    "bash": bash.script,
    "zsh": zsh.script,
    "fish": fish.script,
}
