from __future__ import annotations

import pytest

from chatcli.render.sentences import sentence


@pytest.mark.parametrize(
    ("line", "spoken"),
    [
        ("error: the server: 429 Too Many Requests", "Error: the server: 429 Too Many Requests."),
        ("→ wait a minute, then ask again", "What to do: wait a minute, then ask again."),
        ("the server: 429, retrying in 60 s (attempt 2)", "The server: 429, retrying in 60 s (attempt 2)."),
        (
            "stopped; the partial answer is kept (/continue)",
            "Stopped; the partial answer is kept (/continue).",
        ),
        ("~1,234 in · ~7 out · 1.2 s · gpt-5", "About 1,234 in, about 7 out, 1.2 s, gpt-5."),
        ("gpt-5 stands in for gpt-6", "gpt-5 stands in for gpt-6."),
        ("config.toml is not available", "config.toml is not available."),
        ("~/notes is a folder", "~/notes is a folder."),
        ('try: chatcli -- "$Q"', 'Try: chatcli -- "$Q"'),
        ("Done already.", "Done already."),
        ("… 1 earlier turn", "1 earlier turn."),
        ("Ctrl-C stops", "Control C stops."),
        ("[12] Paris · https://example.com/paris", "Source 12: Paris, https://example.com/paris"),
        ("[1] deep.pdf", "Source 1: deep.pdf."),
        ("sources:", "Sources:"),
        ("", ""),
    ],
)
def test_a_line_becomes_a_sentence(line, spoken):
    assert sentence(line) == spoken
