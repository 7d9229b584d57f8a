"""Segments as terminal output."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from chatcli.render.printing import as_written, command
from chatcli.render.themes import PALETTES, theme

LOOKS = [theme(name, system) for name in PALETTES for system in ("standard", "256", "truecolor", None)]
ROLES = [role for role, _, _ in PALETTES["dark"]]

SEGMENTS = st.lists(
    st.one_of(
        st.builds(
            lambda look, text, roles: look.segment(text, *roles),
            st.sampled_from(LOOKS),
            st.text("ab 北京👍\n[bold]", max_size=8),
            st.lists(st.sampled_from(ROLES), max_size=2),
        ),
        st.sampled_from([command("\x1b[2K"), Segment.line(), Segment("", Style.null()), Segment("x" * 200)]),
    ),
    max_size=6,
)


@given(SEGMENTS)
def test_segments_are_written_as_a_console_of_rich_prints_them(segments):
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="truecolor", legacy_windows=False, width=80, _environ={}
    )
    console.print(Segments(segments), end="", soft_wrap=True)
    assert as_written(segments) == file.getvalue()
