"""Paths as people type them."""

from __future__ import annotations

import os
from pathlib import Path


def typed_path(name: str) -> Path:
    """Return the path that ``name`` means, where ``~`` and ``~NAME`` are home folders.

    If there is no such folder, it is the path as it was typed, which is then not found.
    """
    return Path(os.path.expanduser(name))  # noqa: PTH111 - the method of ``Path`` raises ``RuntimeError``
