"""The rows of ``chatcli config show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from chatcli.config.specs import SETTINGS

if TYPE_CHECKING:
    from chatcli.config.settings import Settings

_NOT_SET = "not set"


class Row(NamedTuple):
    """A setting as a person reads it; a key is masked."""

    name: str
    value: str
    origin: str


def rows(settings: Settings) -> tuple[Row, ...]:
    """Return one row a setting, in the order of the table."""
    return tuple(
        Row(setting.name, _shown(settings, setting.name), settings.origin(setting.name))
        for setting in SETTINGS
    )


def _shown(settings: Settings, name: str) -> str:
    if name == "api_key":
        return _shown_key(settings)
    value = getattr(settings, name)
    if value is None:
        return _NOT_SET
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown_key(settings: Settings) -> str:
    if settings.credential is not None:
        return str(settings.credential.secret)
    return "; ".join([_NOT_SET, *(credential.withheld_notice for credential in settings.withheld)])
