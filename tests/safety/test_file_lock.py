from __future__ import annotations

import pytest

from chatcli.safety.file_lock import lock, try_to_lock


def test_a_lock_that_another_holds_for_ever_is_given_up(tmp_path):
    path = tmp_path / "lock"
    path.write_bytes(b"")
    with path.open("rb+") as holder, path.open("rb+") as other:
        assert try_to_lock(holder.fileno())
        with pytest.raises(OSError, match="another program holds its lock"):
            lock(other.fileno(), patience_s=0.02)
    with path.open("rb+") as other:
        lock(other.fileno())
