"""``chatcli templates``: the prompt templates."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

from chatcli.cli.actions import Family
from chatcli.cli.setup import world_of
from chatcli.cli.templating import template_store_of

if TYPE_CHECKING:
    from chatcli.cli.standard_streams import Terminal
    from chatcli.templates.template_store import TemplateStore


def _template_store(terminal: Terminal) -> AbstractContextManager[TemplateStore]:
    return nullcontext(template_store_of(world_of(terminal)))


_FAMILY: Final = Family(
    "templates", __name__, ("list_", "show", "new", "edit", "remove", "path"), "list", _template_store
)
actions = _FAMILY.actions
add_arguments = _FAMILY.add_arguments
run = _FAMILY.run
