"""What every store of answers does: in memory, in SQLite, in a real Redis server."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing, suppress

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatcli.storage.answer_store import (
    MemoryAnswers,
    StoreBusy,
    StoredAnswer,
    StoreLimits,
    StoreUnavailable,
)
from chatcli.storage.redis_answers import RedisAnswers
from chatcli.storage.sqlite_answers import FILE_NAME, SqliteAnswers

TTL_S = 100.0
LEASE_S = 10.0
LIMITS = StoreLimits(TTL_S, 1_000)
BACKENDS = ("memory", "sqlite", "redis")


class Clock:
    """A clock set by hand, on which every look takes a moment, so that no two uses are at the same time."""

    def __init__(self) -> None:
        self.now_s = 1_795_000_000.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=BACKENDS)
def opened(request, tmp_path, clock):
    """Return a function that opens the same store again."""
    stores = []
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""

    def reopen(limits=LIMITS):
        if request.param == "memory":
            stores[:] = stores or [MemoryAnswers(limits, clock_s=clock)]
            return stores[0]
        if request.param == "sqlite":
            stores.append(SqliteAnswers(tmp_path / FILE_NAME, limits, clock_s=clock))
        else:
            stores.append(RedisAnswers(url, limits, clock_s=clock))
        return stores[-1]

    reopen().clear()
    yield reopen
    for store in stores:
        store.clear()
        store.close()


@pytest.fixture
def store(opened):
    return opened()


def answer(key, length=10, **fields):
    return StoredAnswer(key, (key * length)[:length].encode(), **fields)


def test_a_stored_answer_is_found_again(store, opened):
    store.put(StoredAnswer("paris", b'{"text": "\x00Paris\xff"}'))
    assert opened().get("paris") == b'{"text": "\x00Paris\xff"}'


def test_an_unknown_answer_is_claimed_by_one_owner(store, opened):
    assert store.look_up("paris", "first", LEASE_S) == "first"
    assert opened().look_up("paris", "second", LEASE_S) == "first"
    assert store.look_up("rome", "second", LEASE_S) == "second"


def test_an_owner_keeps_its_claim_when_it_looks_again(store):
    store.look_up("paris", "first", LEASE_S)
    assert store.look_up("paris", "first", LEASE_S) == "first"


def test_a_released_claim_can_be_taken(store):
    store.look_up("paris", "first", LEASE_S)
    store.release("paris", "first")
    assert store.look_up("paris", "second", LEASE_S) == "second"


def test_nobody_releases_or_renews_the_claim_of_another(store, clock):
    store.look_up("paris", "first", LEASE_S)
    store.release("paris", "second")
    store.renew("paris", "second", 10 * LEASE_S)
    assert store.look_up("paris", "second", LEASE_S) == "first"
    clock.now_s += LEASE_S
    assert store.look_up("paris", "second", LEASE_S) == "second"


def test_the_claim_of_an_owner_that_died_expires(store, clock):
    store.look_up("paris", "dead", LEASE_S)
    clock.now_s += LEASE_S
    assert store.look_up("paris", "living", LEASE_S) == "living"
    assert store.look_up("paris", "dead", LEASE_S) == "living"


def test_a_renewed_claim_lasts_longer(store, clock):
    store.look_up("paris", "first", LEASE_S)
    clock.now_s += LEASE_S - 1
    store.renew("paris", "first", LEASE_S)
    clock.now_s += LEASE_S - 1
    assert store.look_up("paris", "second", LEASE_S) == "first"


def test_a_follower_finds_the_answer_of_its_leader(store, opened):
    store.look_up("paris", "first", LEASE_S)
    store.put(answer("paris"))
    store.release("paris", "first")
    assert opened().look_up("paris", "second", LEASE_S) == answer("paris").content


def test_an_answer_expires(store, clock):
    store.put(answer("paris", scope="cities", vector=b"1"))
    clock.now_s += TTL_S - 1
    assert store.get("paris") is not None
    clock.now_s += 1
    assert store.get("paris") is None
    assert store.vectors("cities") == []
    assert store.statistics()[:2] == (0, 0)
    assert store.look_up("paris", "first", LEASE_S) == "first"


def test_an_answer_replaces_the_one_before(store):
    store.put(answer("paris", 10))
    store.put(answer("paris", 20))
    assert store.get("paris") == answer("paris", 20).content
    assert store.statistics().size_bytes == answer("paris", 20).size_bytes


def test_the_answer_used_longest_ago_is_evicted(store):
    for key in ("a", "b", "c"):
        store.put(answer(key, 330))
    store.get("a")
    store.put(answer("d", 330))
    assert [key for key in "abcd" if store.get(key) is not None] == ["a", "c", "d"]


def test_an_answer_larger_than_the_cap_is_not_stored_and_evicts_nothing(store):
    store.put(answer("a"))
    store.put(answer("b", 2_000))
    assert store.get("b") is None
    assert store.get("a") is not None


def test_vectors_are_those_of_a_scope(store):
    store.put(answer("a", scope="cities", vector=b"1"))
    store.put(answer("b", scope="cities", vector=b"2"))
    store.put(answer("c", scope="rivers", vector=b"3"))
    store.put(answer("d"))
    assert sorted(store.vectors("cities")) == [("a", b"1"), ("b", b"2")]
    assert store.vectors("") == []


def test_counters_add_up_over_all_users(store, opened):
    store.count({"hits": 1, "saved_usd": 0.25})
    opened().count({"hits": 2, "misses": 1})
    assert store.statistics().counters == {"hits": 3, "saved_usd": 0.25, "misses": 1}


def test_a_cleared_store_is_empty(store):
    store.put(answer("a", scope="cities", vector=b"1"))
    store.count({"hits": 1})
    assert store.clear() == 1
    assert store.get("a") is None
    assert store.vectors("cities") == []
    assert store.statistics() == (0, 0, {})


KEYS = st.sampled_from("abcdef")
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(1, 500)),
        st.tuples(st.just("get"), KEYS, st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 60)),
    ),
    max_size=30,
)


@given(OPERATIONS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_the_cap_holds_and_whatever_is_kept_was_used_last(opened, clock, operations):
    store = opened()
    store.clear()
    kept: dict[str, tuple[int, float]] = {}
    for operation, key, number in operations:
        if operation == "wait":
            clock.now_s += number
        kept = {each: facts for each, facts in kept.items() if facts[1] > clock.now_s + 0.5}
        if operation == "get":
            found = store.get(key)
            assert (found is not None) == (key in kept)
            if key in kept:
                assert len(found) == kept[key][0]
                kept[key] = kept.pop(key)
        if operation == "put":
            store.put(answer(key, number))
            kept.pop(key, None)
            kept[key] = number, clock.now_s + TTL_S
            while sum(len(each) + facts[0] for each, facts in kept.items()) > LIMITS.most_bytes:
                del kept[next(iter(kept))]
        assert store.statistics()[:2] == (
            len(kept),
            sum(len(each) + facts[0] for each, facts in kept.items()),
        )


def test_threads_of_two_stores_give_a_claim_to_one(opened):
    """As two processes would: a connection of its own for each."""
    holders = []
    ready = threading.Barrier(4)

    def claim(name, store):
        ready.wait()
        with suppress(StoreBusy):
            holders.append(store.look_up("paris", name, LEASE_S))

    threads = [threading.Thread(target=claim, args=(str(number), opened())) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(holders)) == 1


# SQLite


def test_a_clock_that_is_set_back_leaves_no_claim_and_no_answer_of_the_future(tmp_path, clock):
    with closing(SqliteAnswers(tmp_path / FILE_NAME, LIMITS, clock_s=clock)) as store:
        store.put(answer("paris"))
        store.look_up("rome", "dead", LEASE_S)
        clock.now_s -= 3_600
        assert store.look_up("rome", "living", LEASE_S) == "living"
        assert store.get("paris") is None
        assert store.statistics().answers == 0
        store.put(answer("oslo"))
        assert store.get("oslo") == answer("oslo").content


@pytest.mark.parametrize("value", ["'x'", "NULL", "x'00ff'", "1e999", "-1", "9e18"])
@pytest.mark.parametrize("column", ["key", "content", "scope", "vector", "size", "expires", "used"])
def test_whatever_a_row_holds_the_store_still_works(tmp_path, column, value):
    path = tmp_path / FILE_NAME
    with closing(SqliteAnswers(path, LIMITS)) as store:
        store.put(answer("paris", scope="s", vector=b"v"))
        store.count({"hits": 1})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(f"UPDATE OR IGNORE answers SET {column} = {value}")
            other.execute(f"UPDATE OR IGNORE counters SET amount = {value}")
        assert isinstance(store.look_up("paris", "owner", LEASE_S), bytes | str)
        assert all(isinstance(vector, bytes) for _, vector in store.vectors("s"))
        assert all(0 <= amount <= 10**15 for amount in store.statistics().counters.values())
        store.put(answer("rome"))
        assert store.get("rome") == answer("rome").content
        store.clear()
        assert store.statistics().answers == 0


def test_a_database_is_readable_only_by_its_owner(tmp_path):
    with closing(SqliteAnswers(tmp_path / "cache" / FILE_NAME, LIMITS)) as store:
        store.put(answer("paris"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "cache").iterdir()}
    assert FILE_NAME in modes
    if os.name == "posix":
        assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_damaged_database_is_replaced(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with closing(SqliteAnswers(path, LIMITS)) as store:
        store.put(answer("paris"))
        assert store.get("paris") == answer("paris").content


def test_a_database_damaged_while_it_is_used_is_replaced_after_one_failure(tmp_path):
    path = tmp_path / FILE_NAME
    with closing(SqliteAnswers(path, StoreLimits(TTL_S, 1_000_000))) as store:
        for number in range(50):
            store.put(answer(f"key {number}", 5_000))
    content = bytearray(path.read_bytes())
    content[8_192:] = b"\xa5" * (len(content) - 8_192)
    path.write_bytes(content)
    with closing(SqliteAnswers(path, LIMITS)) as store:
        failures = 0
        for number in range(50):
            try:
                store.get(f"key {number}")
            except StoreUnavailable:
                failures += 1
        assert failures <= 1
        store.put(answer("paris"))
        assert store.get("paris") == answer("paris").content


def test_tables_of_another_program_are_replaced(tmp_path):
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE answers (something TEXT)")
    with closing(SqliteAnswers(path, LIMITS)) as store:
        store.put(answer("paris"))
        assert store.get("paris") is not None


def test_a_folder_or_a_link_in_place_of_the_database_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailable):
        SqliteAnswers(tmp_path / "folder", LIMITS).get("paris")
    if os.name == "posix":
        target = tmp_path / "target"
        target.write_bytes(b"")
        (tmp_path / "link").symlink_to(target)
        with pytest.raises(StoreUnavailable):
            SqliteAnswers(tmp_path / "link", LIMITS).get("paris")
        assert target.read_bytes() == b""


def test_a_database_locked_by_another_program_is_busy_for_writers_and_still_read(tmp_path):
    path = tmp_path / FILE_NAME
    with closing(SqliteAnswers(path, LIMITS)) as store:
        store.put(answer("paris"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy):
                store.put(answer("rome"))
            assert store.get("paris") == answer("paris").content


def test_nothing_of_a_cleared_answer_stays_in_the_files(tmp_path):
    with closing(SqliteAnswers(tmp_path / FILE_NAME, LIMITS)) as store:
        store.put(StoredAnswer("paris", b"a very private answer"))
        store.clear()
        assert not any(b"private" in file.read_bytes() for file in tmp_path.iterdir())


def test_processes_share_a_database_and_a_claim(tmp_path):
    path = tmp_path / FILE_NAME
    code = (
        "import sys; from pathlib import Path;"
        "from chatcli.storage.sqlite_answers import SqliteAnswers;"
        "from chatcli.storage.answer_store import StoreLimits;"
        "print(SqliteAnswers(Path(sys.argv[1]), StoreLimits(100, 1000)).look_up('paris', sys.argv[2], 100))"
    )

    def in_a_process(owner):
        command = [sys.executable, "-c", code, str(path), owner]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert in_a_process("first") == "first"
    assert in_a_process("second") == "first"
    with closing(SqliteAnswers(path, LIMITS)) as store:
        store.put(answer("paris"))
    assert in_a_process("third") == str(answer("paris").content)


# Redis


def test_a_server_that_is_not_there_is_unavailable():
    store = RedisAnswers("redis://:secret@127.0.0.1:1/0", LIMITS)
    with pytest.raises(StoreUnavailable) as raised:
        store.get("paris")
    assert "secret" not in str(raised.value)


def test_a_server_that_is_no_redis_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_http():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer_http)
        thread.start()
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        with closing(RedisAnswers(url, LIMITS)) as store, pytest.raises(StoreUnavailable):
            store.get("paris")
        thread.join()


def test_answers_and_claims_end_in_the_server_by_themselves(redis_url):
    with (
        closing(RedisAnswers(redis_url, StoreLimits(50, 1_000))) as store,
        closing(redis.Redis.from_url(redis_url)) as client,
    ):
        store.clear()
        store.put(answer("paris", scope="cities", vector=b"1"))
        store.look_up("rome", "first", 20)
        lives_s = {
            key.rpartition(b"}:")[2]: client.ttl(key) for key in client.scan_iter("{chatcli:answers:*")
        }
        assert all(0 < life_s <= 50 for life_s in lives_s.values())
        assert 0 < lives_s[b"claims"] <= 20
        assert 0 < lives_s[b"owners"] <= 20
        store.clear()


@pytest.mark.parametrize(
    "name", ["used", "expires", "sizes", "scopes", "totals", "claims", "owners", "counters", "content:paris"]
)
def test_keys_that_others_have_damaged_are_cleared_with_the_rest(redis_url, name):
    with closing(RedisAnswers(redis_url, LIMITS)) as store, redis.Redis.from_url(redis_url) as server:
        store.put(answer("paris", scope="s", vector=b"v"))
        server.delete(f"{{chatcli:answers:1}}:{name}")
        server.hset(f"{{chatcli:answers:1}}:{name}", "hits", "many")
        for use in (lambda: store.look_up("paris", "owner", LEASE_S), store.statistics):
            with suppress(StoreUnavailable):
                use()
        store.clear()
        assert not list(server.scan_iter("{chatcli:answers:*"))
        store.put(answer("rome"))
        assert store.get("rome") == answer("rome").content


def test_a_server_without_memory_still_gives_what_it_has(redis_url):
    with closing(RedisAnswers(redis_url, LIMITS)) as store, redis.Redis.from_url(redis_url) as server:
        store.put(answer("paris"))
        server.config_set("maxmemory", 1)
        try:
            assert store.get("paris") == answer("paris").content
            with pytest.raises(StoreUnavailable) as refused:
                store.put(answer("rome"))
            assert "script" not in str(refused.value)
        finally:
            server.config_set("maxmemory", 0)
            store.clear()
