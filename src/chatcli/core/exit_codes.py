"""The exit codes scripts depend on; never renumbered."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    BUG = 1
    USAGE = 2
    """Wrong usage, or an input refused as too long."""
    CONFIGURATION = 3
    """No key, a bad file."""
    KEY_REFUSED = 4
    PROVIDER_REFUSED = 5
    """400, 403, 404, 413, 422, quota, context overflow."""
    NETWORK = 6
    """Connection, time-out, 429 or 5xx after retries."""
    INCOMPLETE = 7
    """Cut off, filtered, refused, an unanswered tool call, or a ``length`` the person did not set.

    The partial answer is on stdout.
    """
    LOCAL_IO = 8
    BUDGET = 9
    NOTHING_TO_EXTRACT = 10
    ALERT = 11
    BATCH_ROWS_FAILED = 12
    DOCTOR = 13
    HANG_UP = 129
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    TERMINATED = 143
