from __future__ import annotations

import pytest

from chatcli.cli.colors import shown_colors


@pytest.mark.parametrize(
    ("environment", "colors"),
    [
        ({}, "standard"),
        ({"TERM": "xterm"}, "standard"),
        ({"TERM": "linux"}, "standard"),
        ({"TERM": "xterm-mono"}, None),
        ({"TERM": "vt100"}, None),
        ({"TERM": "vt220", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "screen-256color"}, "256"),
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "xterm-kitty"}, "truecolor"),
        ({"TERM": "xterm-ghostty"}, "truecolor"),
        ({"TERM": "foot-extra"}, "truecolor"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, "truecolor"),
        ({"TERM": "xterm-256color", "COLORTERM": "yes"}, "256"),
        ({"TERM": "xterm", "COLORTERM": "gnome-terminal"}, "standard"),
        ({"WT_SESSION": "0b3c"}, "truecolor"),
        ({"TERM": "xterm-256color", "WT_SESSION": "0b3c"}, "truecolor"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "truecolor"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "256"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "somebody's"}, "256"),
    ],
)
def test_a_terminal_shows_what_its_environment_tells(environment, colors):
    assert shown_colors(environment) == colors


@pytest.mark.parametrize(
    ("tmux", "colors"), [({}, "256"), ({"TMUX": "/tmp/tmux-0/default,1,0"}, "truecolor")]
)
def test_gnu_screen_is_not_given_what_only_the_terminal_around_it_understands(tmux, colors):
    assert shown_colors({"TERM": "screen.xterm-256color", "COLORTERM": "truecolor", **tmux}) == colors
