from __future__ import annotations

import pytest

from chatcli.core.errors import LocalIOError
from chatcli.local.lock import only_one


def test_a_second_holder_is_refused_until_the_first_is_done(tmp_path):
    with only_one(tmp_path / "lock"):
        with pytest.raises(LocalIOError, match="another chatcli") as caught, only_one(tmp_path / "lock"):
            pass
        assert caught.value.code == "busy"
    with only_one(tmp_path / "lock"):
        pass
