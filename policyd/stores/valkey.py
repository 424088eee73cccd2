"""The store on a Valkey (or Redis) server, shared by every replica of the policy server.

All updates that wait go as one batch: one MGET, the decisions, and one script that writes each
update's entries if they are still what the decision was made on. An update that lost against
another replica is decided anew. The server forgets what has expired by itself.

One server, or a primary with replicas behind one address; not a cluster, whose keys a script
cannot all reach.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import valkey.asyncio
import valkey.exceptions

from policyd.stores import Change, Entry, StoreError, T
from policyd.stores.batch import Done, Job, run

MAX_BATCH = 512
"""Updates in one call of the script: a few milliseconds in which the server does nothing else."""
MAX_TRIES = 8
"""How often an update is decided anew because another replica was faster."""
SCAN_STEP = 500

_WRITE = """
local key, arg, written = 1, 2, {}
for group = 1, tonumber(ARGV[1]) do
  local size = tonumber(ARGV[arg])
  arg = arg + 1
  local same = 1
  for n = 0, size - 1 do
    if (redis.call('GET', KEYS[key + n]) or '') ~= ARGV[arg + 3 * n] then
      same = 0
      break
    end
  end
  if same == 1 then
    for n = 0, size - 1 do
      local value = ARGV[arg + 3 * n + 1]
      if value == '' then
        redis.call('DEL', KEYS[key + n])
      else
        redis.call('SET', KEYS[key + n], value, 'EXAT', ARGV[arg + 3 * n + 2])
      end
    end
  end
  written[group] = same
  key = key + size
  arg = arg + 3 * size
end
return written
"""


class ValkeyStore:
    """Entries on the server of `url` (``valkey://host:6379/0``, ``unix:///run/valkey.sock``).

    `prefix` begins every key of ours; `timeout` is how many seconds the server has to answer.
    Nothing is connected before the first update, so a server that is down at the start is like one
    that goes down later.
    """

    name = "valkey"

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "gatepost:",
        password: str | None = None,
        timeout: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client: Any = valkey.asyncio.Valkey.from_url(
            url,
            password=password,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            decode_responses=True,
            encoding_errors="backslashreplace",
        )
        self._script = self._client.register_script(_WRITE)
        self._prefix = prefix
        self._clock = clock
        self._waiting: list[tuple[Job, int]] = []
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    def update(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
        """As `Store.update`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(StoreError("valkey: closed"))
            return future
        self._waiting.append((Job(keys, change, future), 0))
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        return future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    await self._batch(batch)
                except (valkey.exceptions.ValkeyError, OSError, EOFError) as error:
                    failure = StoreError(f"valkey: {_told(error)}")
                    for job, _ in batch:
                        if not job.future.done():
                            job.future.set_exception(failure)
        finally:
            self._worker = None

    async def _batch(self, batch: Sequence[tuple[Job, int]]) -> None:
        jobs = [job for job, _ in batch if not job.future.done()]
        keys = list(dict.fromkeys(key for job in jobs for key in job.keys))
        raw = await self._client.mget([self._prefix + key for key in keys]) if keys else []
        known = {key: _decode(text) for key, text in zip(keys, raw, strict=True)}
        tries = {id(job): tried for job, tried in batch}
        done = run(jobs, known, self._clock())
        writing = [one for one in done if one.writes]
        lost: set[int] = set()
        if writing:
            written = await self._write(writing)
            lost = {id(one.job) for one, same in zip(writing, written, strict=True) if not same}
        for one in done:
            job = one.job
            if id(job) in lost:
                if tries[id(job)] + 1 < MAX_TRIES:
                    self._waiting.append((job, tries[id(job)] + 1))
                elif not job.future.done():
                    job.future.set_exception(StoreError("valkey: too many writers of one key"))
            elif not job.future.done():
                if one.error is None:
                    job.future.set_result(one.result)
                else:
                    job.future.set_exception(one.error)

    async def _write(self, writing: Sequence[Done]) -> Sequence[int]:
        keys: list[str] = []
        args: list[str | int] = [len(writing)]
        for one in writing:
            args.append(len(one.writes))
            for key, old, new in one.writes:
                keys.append(self._prefix + key)
                args += (_encode(old), _encode(new), max(1, new.expires) if new else 0)
        result: Sequence[int] = await self._script(keys=keys, args=args)
        return result

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, Entry]]:
        """As `Store.scan`."""
        pattern = "".join(f"\\{c}" if c in "*?[]\\^" else c for c in self._prefix + prefix) + "*"
        cursor = 0
        seen: set[str] = set()
        while True:
            try:
                cursor, keys = await self._client.scan(cursor, match=pattern, count=SCAN_STEP)
                values = await self._client.mget(keys) if keys else []
            except (valkey.exceptions.ValkeyError, OSError, EOFError) as error:
                raise StoreError(f"valkey: {_told(error)}") from None
            for key, text in zip(keys, values, strict=True):
                # the server may tell of a key twice
                if (entry := _decode(text)) is not None and key not in seen:
                    seen.add(key)
                    yield key.removeprefix(self._prefix), entry
            if int(cursor) == 0:
                return

    async def sweep(self) -> int:
        """Nothing to do: the server removes what has expired."""
        return 0

    async def close(self) -> None:
        """As `Store.close`."""
        self._closed = True
        if self._worker is not None:
            with suppress(asyncio.CancelledError):
                await self._worker
        await self._client.aclose()


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _encode(entry: Entry | None) -> str:
    return "" if entry is None else f"{entry.expires} {entry.value}"


def _decode(text: str | None) -> Entry | None:
    """An entry; None for what is not there, or was not written by us."""
    if not text:
        return None
    expires, space, value = text.partition(" ")
    return Entry(value, int(expires)) if space and expires.isdecimal() else None
