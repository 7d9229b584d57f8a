from __future__ import annotations

import pytest

from chatcli.core.errors import NetworkError
from chatcli.core.events import TextDelta, TurnCancelled, TurnFailed, TurnFinished, TurnResult, TurnStarted
from chatcli.render.notification import BELL, Notifier, notification
from conversation.fakes import ManualClock
from render.turns import show

RESULT = TurnResult("Paris.", "small")
DONE = TurnFinished(RESULT)
FAILED = TurnFailed(TurnResult("", "small", error=NetworkError("gone")))

OSC_9 = "\x1b]9;chatcli: done\x1b\\"
OSC_777 = "\x1b]777;notify;chatcli;done\x1b\\"


async def notifications(end, *, took_s, after_s=20.0, about="Capitals"):
    """Return the notifications of a turn that took this long."""
    texts, clock = [], ManualClock()
    notifier = Notifier(texts.append, after_s=after_s, about=lambda: about, clock=clock)
    clock.now_s += 100
    await show(notifier, [TurnStarted("small"), TextDelta("Paris.")])
    clock.now_s += took_s
    await show(notifier, [end])
    return texts


async def test_a_long_answer_is_notified_and_a_short_one_is_not():
    assert await notifications(DONE, took_s=20) == ["answered: Capitals"]
    assert await notifications(DONE, took_s=19.9) == []


async def test_a_failure_after_a_long_wait_is_notified():
    assert await notifications(FAILED, took_s=60) == ["no answer: Capitals"]
    assert await notifications(FAILED, took_s=60, about="") == ["no answer"]


async def test_a_stopped_answer_is_not_notified():
    assert await notifications(TurnCancelled(RESULT), took_s=60) == []


async def test_after_no_time_at_all_stands_for_never():
    assert await notifications(DONE, took_s=60, after_s=0) == []


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, BELL),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, BELL),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, OSC_9),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, OSC_9),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, OSC_9),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, OSC_9),
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, OSC_9),
        ({"TERM": "foot", "KITTY_WINDOW_ID": "1"}, OSC_777),
        ({"TERM": "rxvt-unicode-256color"}, OSC_777 + BELL),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, OSC_777 + BELL),
        ({"WT_SESSION": "1234"}, OSC_777 + BELL),
        ({"TERM": "screen", "STY": "1.pts-0", "VTE_VERSION": "7600"}, BELL),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "TMUX": "/tmp/tmux,1,0"}, BELL),
        (
            {"TERM": "tmux-256color", "TMUX": "/tmp/tmux,1,0", "LC_TERMINAL": "iTerm2"},
            "\x1bPtmux;\x1b\x1b]9;chatcli: done\x1b\x1b\\\x1b\\" + BELL,
        ),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_each_terminal_gets_its_own_sequence_or_rings(environment, shown):
    assert notification("done", environment) == shown


def test_a_text_is_one_short_field_and_cannot_act_on_the_terminal():
    shown = notification("a;b\nc\x1b\\\x07" + "x" * 500, {"TERM": "foot"})
    assert shown.startswith("\x1b]777;notify;chatcli;a,b c␛\\␇xxx")
    assert shown.endswith("x\x1b\\")
    assert len(shown) < 150
