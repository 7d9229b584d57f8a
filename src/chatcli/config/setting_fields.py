"""The definition of one setting, and how a field of ``Settings`` holds it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from chatcli.config import parsers
from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


@frozen
class Setting:
    """One setting.

    ``name`` is its key in config.toml and ``CHATCLI_<NAME>`` its variable. ``also_variables`` follow, which
    ``parse_also`` reads if other programs write the value differently; ``flag`` is its command-line option.
    ``routes`` marks a setting that decides which endpoint is called, ``merges`` a table whose keys are merged
    over the sources instead of replacing each other. ``needs_no_reconnect`` marks a setting unrelated to the model:
    changing it needs no new connection. ``harmless`` marks a setting that the ``.env`` of a working folder
    may change before it is trusted. ``switched_on`` is the value that a bare ``on`` has unless another source sets one.
    """

    name: str
    help: str
    parse: parsers.Parser
    default: object = None
    flag: str | None = None
    also_variables: tuple[str, ...] = ()
    parse_also: parsers.Parser | None = None
    file_only: bool = False
    in_profile: bool = True
    routes: bool = False
    merges: bool = False
    needs_no_reconnect: bool = False
    harmless: bool = False
    switched_on: object = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of its environment variables; the first that is set counts."""
        return () if self.file_only else (f"CHATCLI_{self.name.upper()}", *self.also_variables)

    def switched(self, given: Sequence[object]) -> object:
        """Return the first of the ``given`` values or, if that is a bare ``on``, the first one that says to what."""
        if given[0] != parsers.ON:
            return given[0]
        return next((value for value in given if value not in (parsers.ON, self.default)), self.switched_on)


def setting(help: str, parse: parsers.Parser, default: object = None, **facts: Any) -> Any:  # noqa: A002
    """Return a field of ``Settings`` for a setting, named like the field unless ``facts`` name it."""
    described = {"help": help, "parse": parse, "default": default, **facts}
    if facts.get("merges"):
        return field(default_factory=dict, metadata=described)
    return field(default=default, metadata=described)
