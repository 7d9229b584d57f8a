"""The ``AnswerStore`` in a Redis server, shared by all who use that server.

Each operation is one script, which the server runs without interruption: https://redis.io/docs/latest/commands/eval.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from chatcli.storage.answer_store import (
    MOST_COMPARED,
    StoreStatistics,
    StoreUnavailable,
    sound_counters,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chatcli.storage.answer_store import StoredAnswer, StoreLimits

_PREFIX: Final = "{chatcli:answers:1}:"
"""In braces, so that a cluster keeps all keys in one place; the number is that of the layout."""

_TIMEOUT_S: Final = 2.0

_SHARED: Final = """
local prefix, now, key = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
local function text(number) return string.format('%.6f', number) end
local function drop(each)
  local size = redis.call('HGET', prefix .. 'sizes', each)
  if size then redis.call('HINCRBY', prefix .. 'totals', 'bytes', '-' .. size) end
  local scope = redis.call('HGET', prefix .. 'scopes', each)
  if scope then redis.call('HDEL', prefix .. 'scope:' .. scope, each) end
  redis.call('HDEL', prefix .. 'sizes', each)
  redis.call('HDEL', prefix .. 'scopes', each)
  redis.call('ZREM', prefix .. 'used', each)
  redis.call('ZREM', prefix .. 'expires', each)
  redis.call('DEL', prefix .. 'content:' .. each)
end
local function drop_expired()
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'expires', '-inf', text(now))) do drop(each) end
end
local function content()
  local expires = redis.call('ZSCORE', prefix .. 'expires', key)
  if not expires or tonumber(expires) <= now then return false end
  local found = redis.call('GET', prefix .. 'content:' .. key)
  -- That it was used cannot be noted where memory is short.
  if found then redis.pcall('ZADD', prefix .. 'used', text(now), key) else drop(key) end
  return found
end
local claims, owners = prefix .. 'claims', prefix .. 'owners'
local function claim(owner, lease)
  redis.call('ZADD', claims, text(now + lease), key)
  redis.call('HSET', owners, key, owner)
  redis.call('PEXPIRE', claims, math.ceil(lease * 1000))
  redis.call('PEXPIRE', owners, math.ceil(lease * 1000))
end
local function release(each)
  redis.call('ZREM', claims, each)
  redis.call('HDEL', owners, each)
end
"""
_LOOK_UP: Final = (
    _SHARED
    + """
local found = content()
if found then return {1, found} end
for _, each in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', text(now))) do release(each) end
local holder = redis.call('HGET', owners, key)
if holder and holder ~= ARGV[4] then return {0, holder} end
claim(ARGV[4], tonumber(ARGV[5]))
return {0, ARGV[4]}
"""
)
_GET: Final = _SHARED + "return content()"
_RENEW: Final = (
    _SHARED
    + """
if redis.call('HGET', owners, key) == ARGV[4] then claim(ARGV[4], tonumber(ARGV[5])) end
"""
)
_RELEASE: Final = _SHARED + "if redis.call('HGET', owners, key) == ARGV[4] then release(key) end"
_PUT: Final = (
    _SHARED
    + """
local scope, size, ttl, most = ARGV[5], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
drop_expired()
drop(key)
if size > most then return end
local kept_ms = math.ceil(ttl * 1000)
redis.call('SET', prefix .. 'content:' .. key, ARGV[4], 'PX', kept_ms)
redis.call('ZADD', prefix .. 'used', text(now), key)
redis.call('ZADD', prefix .. 'expires', text(now + ttl), key)
redis.call('HSET', prefix .. 'sizes', key, size)
if scope ~= '' then
  redis.call('HSET', prefix .. 'scopes', key, scope)
  redis.call('HSET', prefix .. 'scope:' .. scope, key, ARGV[6])
end
local bytes = redis.call('HINCRBY', prefix .. 'totals', 'bytes', size)
for _, name in ipairs({'used', 'expires', 'sizes', 'scopes', 'scope:' .. scope, 'totals'}) do
  if redis.call('PTTL', prefix .. name) < kept_ms then redis.call('PEXPIRE', prefix .. name, kept_ms) end
end
while bytes > most do
  local oldest = redis.call('ZRANGE', prefix .. 'used', 0, 1)
  local evicted = oldest[1] == key and oldest[2] or oldest[1]
  if not evicted then break end
  drop(evicted)
  bytes = tonumber(redis.call('HGET', prefix .. 'totals', 'bytes'))
end
"""
)
_VECTORS: Final = (
    _SHARED
    + """
drop_expired()
return redis.call('HGETALL', prefix .. 'scope:' .. key)
"""
)
_STATISTICS: Final = (
    _SHARED
    + """
drop_expired()
return {redis.call('ZCARD', prefix .. 'expires'), tonumber(redis.call('HGET', prefix .. 'totals', 'bytes') or 0),
        redis.call('HGETALL', prefix .. 'counters')}
"""
)
_CLEAR: Final = (
    _SHARED
    + """
local cleared, cursor = 0, '0'
local pattern = prefix:gsub('[%[%]*?\\\\]', '\\\\%0')
repeat
  local scanned = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', 1000)
  cursor = scanned[1]
  for _, each in ipairs(scanned[2]) do
    if each:sub(#prefix + 1, #prefix + 8) == 'content:' then cleared = cleared + 1 end
    redis.call('DEL', each)
  end
until cursor == '0'
return cleared
"""
)
"""Every key, whatever it holds: what others have damaged cannot be read."""


class RedisAnswers:
    """The store in the server at ``url``; its own clock counts, unless ``clock_s`` gives seconds since the epoch."""

    def __init__(self, url: str, limits: StoreLimits, *, clock_s: Callable[[], float] | None = None) -> None:
        try:
            import redis  # noqa: PLC0415 - an extra, slow to import
        except ImportError as error:
            raise StoreUnavailable(
                "the package redis is not installed (in the checkout: pip install '.[redis]')"
            ) from error
        self._limits = limits
        self._clock_s = clock_s
        self._failures: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        try:
            # The older protocol spares a round trip.
            self._client: Any = redis.Redis.from_url(
                url,
                protocol=2,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=None,
            )
            self._scripts = {
                script: self._client.register_script(script)
                for script in (_LOOK_UP, _GET, _RENEW, _RELEASE, _PUT, _VECTORS, _STATISTICS, _CLEAR)
            }
        except (*self._failures, ValueError) as error:
            raise _unavailable(error) from None

    def look_up(self, key: str, owner: str, lease_s: float) -> bytes | str:
        with self._translated():
            is_found, value = self._run(_LOOK_UP, key, owner, lease_s)
            return bytes(value) if is_found else str(value.decode())

    def get(self, key: str) -> bytes | None:
        with self._translated():
            content = self._run(_GET, key)
            return None if content is None else bytes(content)

    def renew(self, key: str, owner: str, lease_s: float) -> None:
        with self._translated():
            self._run(_RENEW, key, owner, lease_s)

    def release(self, key: str, owner: str) -> None:
        with self._translated():
            self._run(_RELEASE, key, owner)

    def put(self, answer: StoredAnswer) -> None:
        with self._translated():
            self._run(
                _PUT,
                answer.key,
                answer.content,
                answer.scope,
                answer.vector,
                answer.size_bytes,
                self._limits.ttl_s,
                self._limits.most_bytes,
            )

    def vectors(self, scope: str) -> Sequence[tuple[str, bytes]]:
        with self._translated():
            listed = self._run(_VECTORS, scope)
            pairs = zip(listed[::2], listed[1::2], strict=True)
            return [(key.decode(), bytes(vector)) for key, vector in pairs][-MOST_COMPARED:]

    def count(self, amounts: Mapping[str, float]) -> None:
        with self._translated():
            pipeline = self._client.pipeline(transaction=False)
            for name, amount in amounts.items():
                pipeline.hincrbyfloat(f"{_PREFIX}counters", name, amount)
            pipeline.execute()

    def statistics(self) -> StoreStatistics:
        with self._translated():
            answers, size_bytes, listed = self._run(_STATISTICS, "")
            counters = zip(listed[::2], listed[1::2], strict=True)
            read = ((name.decode(), _number(amount)) for name, amount in counters)
            return StoreStatistics(int(answers), int(size_bytes or 0), sound_counters(read))

    def clear(self) -> int:
        with self._translated():
            return int(self._run(_CLEAR, ""))

    def close(self) -> None:
        self._client.close()

    def _run(self, script: str, key: str, *arguments: str | bytes | float) -> Any:
        now_s = -1.0 if self._clock_s is None else self._clock_s()
        return self._scripts[script](args=[_PREFIX, f"{now_s:.6f}", key, *arguments])

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise ``StoreUnavailable`` for every failure, and for an answer that no Redis server gives."""
        try:
            yield
        except self._failures as error:
            raise _unavailable(error) from None
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise StoreUnavailable("Redis: the server answers something else") from error


def _unavailable(error: Exception) -> StoreUnavailable:
    # Without the address, which may hold a password, and the place in a script of this module.
    words = str(error).partition("\n")[0].partition(" script: ")[0]
    return StoreUnavailable(f"Redis: {words or type(error).__name__}")


def _number(amount: bytes) -> float | None:
    try:
        return float(amount)
    except ValueError:
        return None
