"""How large the context windows of known models are."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


def known_window_tokens(model: str) -> int | None:
    """Return the context window of ``model`` in tokens, ``None`` when the data file does not know it.

    A provider's prefix (``openai/gpt-4o``) and that of a fine-tuned model (``ft:gpt-4o:…``) are passed over; the
    longest name that ``model`` begins with wins.
    """
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    matches = [known for known in _windows() if name.startswith(known)]
    return _windows()[max(matches, key=len)] if matches else None


@cache
def _windows() -> dict[str, int]:
    data = json.loads(files("chatcli.conversation").joinpath("models.json").read_text(encoding="utf-8"))
    windows: dict[str, int] = data["windows"]
    return windows
