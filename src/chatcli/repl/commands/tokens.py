"""``/tokens``: what ``/context`` shows, by its earlier name."""

from __future__ import annotations

from dataclasses import replace

from chatcli.repl.commands import context

COMMAND = replace(context.COMMAND, name="tokens", summary="same as /context")
