"""The theme roles of code, by the kind of token."""

from __future__ import annotations

from typing import Any, Final

PLAIN: Final = ""
"""The role of text without a specific one."""

_ROLES: Final = {
    "Token": PLAIN,
    "Token.Comment": "code.comment",
    "Token.Comment.Preproc": "code.keyword",  # directives such as `#include`, `#[derive]`, `<?php`
    "Token.Comment.PreprocFile": "code.string",
    "Token.Generic.Deleted": "code.deleted",
    "Token.Generic.Error": "code.error",
    "Token.Generic.Heading": "code.heading",
    "Token.Generic.Inserted": "code.inserted",
    "Token.Generic.Subheading": "code.heading",
    "Token.Keyword": "code.keyword",
    "Token.Keyword.Type": "code.type",
    "Token.Literal": "code.string",
    "Token.Literal.Number": "code.number",
    "Token.Literal.String": "code.string",
    "Token.Name.Attribute": "code.attribute",
    "Token.Name.Builtin": "code.builtin",
    "Token.Name.Class": "code.name",
    "Token.Name.Decorator": "code.name",
    "Token.Name.Function": "code.name",
    "Token.Name.Tag": "code.tag",
    "Token.Operator": "code.operator",
    "Token.Operator.Word": "code.keyword",  # `and`, `in`
}


class Roles(dict[Any, str]):
    """The role of each Pygments token kind: its own, or that of its nearest parent."""

    def __missing__(self, kind: Any) -> str:
        role = _ROLES.get(str(kind))
        self[kind] = self[kind.parent] if role is None else role
        return self[kind]
