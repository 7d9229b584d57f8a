from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from chatcli.app.model_lists import FILE_NAME, ModelLists, list_offered, refuse_part
from chatcli.client.endpoint import Endpoint
from chatcli.client.pool import Pool
from chatcli.core.errors import UsageError
from scripted_server import json_answer, serving

LISTED = json_answer({"data": [{"id": "large"}, {"id": "larger"}, {"id": "small"}]})


def test_the_last_list_of_each_endpoint_is_kept_for_later_runs(tmp_path):
    ModelLists(tmp_path).keep("one", ["a", "b"])
    ModelLists(tmp_path).keep("one", ["b", "c"])
    ModelLists(tmp_path).keep("two", ["d"])
    again = ModelLists(tmp_path)
    assert (again.names("one"), again.names("two"), again.names("three")) == (("b", "c"), ("d",), ())
    assert again.every_name() == {"b", "c", "d"}


def test_an_empty_list_replaces_none(tmp_path):
    lists = ModelLists(tmp_path)
    lists.keep("one", ["a"])
    lists.keep("one", [])
    assert lists.names("one") == ("a",)


def test_of_an_endless_list_the_beginning_is_kept(tmp_path):
    lists = ModelLists(tmp_path)
    lists.keep("one", ["x" * 1_000, *(f"model-{number}" for number in range(9_000))])
    names = lists.names("one")
    assert (len(names), names[0]) == (5_000, "model-0")


def test_nothing_is_written_where_nothing_is_kept_or_the_list_is_the_same(tmp_path):
    ModelLists(tmp_path, is_kept=False).keep("one", ["a"])
    assert not (tmp_path / FILE_NAME).exists()
    lists = ModelLists(tmp_path)
    lists.keep("one", ["a"])
    written = (tmp_path / FILE_NAME).stat()
    lists.keep("one", ["a"])
    assert (tmp_path / FILE_NAME).stat() == written


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"one": {"value": 3, "at": 0}}', '{"one": 1}'])
def test_a_damaged_file_has_no_lists(tmp_path, content):
    (tmp_path / FILE_NAME).write_text(content)
    assert ModelLists(tmp_path).names("one") == ()
    assert ModelLists(tmp_path).every_name() == set()


async def test_a_part_is_refused_only_where_the_list_was_read_before(tmp_path):
    lists = ModelLists(tmp_path)
    async with serving(LISTED) as server, AsyncExitStack() as stack:
        entry = await Pool().connected(Endpoint(server.base_url, loopback=True), {}, stack)
        await refuse_part("larg", entry, lists)
        assert not server.requests
        await list_offered(entry, lists)
        for name in ("large", "other", "", " "):
            await refuse_part(name, entry, lists)
        assert len(server.requests) == 1
        with pytest.raises(UsageError, match="lists no model larg, but large, larger"):
            await refuse_part("larg", entry, lists)
