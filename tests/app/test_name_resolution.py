from __future__ import annotations

from chatcli.app.name_resolution import resolve_here


async def test_the_system_resolves_names():
    found = await resolve_here("localhost", 80)
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}
