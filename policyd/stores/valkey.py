"""The store on a Valkey (or Redis) server, shared by every replica of the policy server.

All waiting updates form one batch: one script reads, the decisions follow, and one script writes
each update's entries if they have not changed since. An update that lost to another replica is
decided again. The server removes expired entries by itself.

A script takes one text (JSON) and returns one, whatever the size of the batch: hundreds of small
arguments would cost more than the work itself.

It works with one server, or a primary with replicas behind one address, but not with a cluster,
where a script cannot reach all keys.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import valkey.asyncio
import valkey.credentials
import valkey.exceptions

from policyd.stores import Change, StoreEntry, StoreError, T
from policyd.stores.batch import Done, Job, run

MAX_BATCH = 512
"""Maximum updates in one call of the script: a few milliseconds in which the server does nothing
else."""
MAX_TRIES = 8
"""Maximum times an update is decided again because another replica was faster."""
SCAN_STEP = 500

_READ = """
local keys, values = cjson.decode(ARGV[1]), {}
for first = 1, #keys, 1000 do
  local last = math.min(first + 999, #keys)
  for n, value in ipairs(redis.call('MGET', unpack(keys, first, last))) do
    if not value or string.find(value, '%z') then value = '' end
    values[first + n - 1] = value
  end
end
return table.concat(values, '\\0')
"""
"""Takes a list of keys. Returns their values separated by NUL, empty for missing keys."""

_WRITE = """
local written = {}
for number, changes in ipairs(cjson.decode(ARGV[1])) do
  local same = '1'
  for _, change in ipairs(changes) do
    if (redis.call('GET', change[1]) or '') ~= change[2] then same = '0' end
  end
  if same == '1' then
    for _, change in ipairs(changes) do
      if change[3] == '' then
        redis.call('DEL', change[1])
      else
        redis.call('SET', change[1], change[3], 'EXAT', change[4])
      end
    end
  end
  written[number] = same
end
return table.concat(written)
"""
"""Takes a list of updates, which are lists of changes: the key, the value on which the decision was
based (empty: none), the new value (empty: delete), and its expiry. Returns 1 for each update that
was written, 0 for one to decide again."""


class _Password(valkey.credentials.CredentialProvider):
    """The password of a new connection."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def get_credentials(self) -> tuple[str]:
        """Return the password as it is now; raises `AuthenticationError`: after another error, the
        client would go on with the connection, which has no password."""
        try:
            return (self._read(),)
        except (OSError, ValueError) as error:
            raise valkey.exceptions.AuthenticationError(
                f"cannot read the password: {error}"
            ) from None


class ValkeyStore:
    """Entries on the server of `url` (``valkey://host:6379/0``, ``unix:///run/valkey.sock``).

    `prefix` begins all our keys; `timeout` is the number of seconds that the server has to answer.
    `password` is called at each connection, since the password may change while we run.
    It connects only at the first update, so a server that is down at the start is like one that
    goes down later.
    """

    name = "valkey"

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "gatepost:",
        password: Callable[[], str] | None = None,
        timeout: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client: Any = valkey.asyncio.Valkey.from_url(
            url,
            credential_provider=None if password is None else _Password(password),
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            decode_responses=True,
            encoding_errors="backslashreplace",
        )
        self._read = self._client.register_script(_READ)
        self._write = self._client.register_script(_WRITE)
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
                await self._burst()
        finally:
            self._worker = None

    async def _burst(self) -> None:
        """Process all waiting batches on one connection.

        The connection comes from the pool, which skips connections that the server has closed.
        Asking the pool once per command, as the client does, takes half the time of a command.
        """
        pool = self._client.connection_pool
        connection = None
        try:
            while self._waiting:
                await self._let_more_come()
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    if connection is None:
                        connection = await pool.get_connection("EVALSHA")
                    await self._batch(connection, batch)
                except Exception as error:  # after any error, the next batch has to run
                    failure = StoreError(f"valkey: {_told(error)}", readable=_only_reads(error))
                    for job, _ in batch:
                        if not job.future.done():
                            job.future.set_exception(failure)
                    break
        finally:
            if connection is not None:
                await pool.release(connection)

    async def _let_more_come(self) -> None:
        """Wait until a turn of the event loop has brought nothing more.

        Most of the cost of a batch is the same for one update and for a hundred.
        """
        seen = 0
        while seen < len(self._waiting) < MAX_BATCH:
            seen = len(self._waiting)
            await asyncio.sleep(0)

    async def _batch(self, connection: Any, batch: Sequence[tuple[Job, int]]) -> None:
        jobs = [job for job, _ in batch if not job.future.done()]
        keys = list(dict.fromkeys(key for job in jobs for key in job.keys))
        known: dict[str, StoreEntry | None] = {}
        if keys:
            texts = await _ask(connection, self._read, [self._prefix + key for key in keys])
            known = dict(zip(keys, map(_decode, texts.split("\0")), strict=True))
        tries = {id(job): tried for job, tried in batch}
        done = run(jobs, known, self._clock())
        writing = [one for one in done if one.writes]
        lost: set[int] = set()
        if writing:
            changes = [_changes(one, self._prefix) for one in writing]
            written = await _ask(connection, self._write, changes)
            lost = {id(one.job) for one, told in zip(writing, written, strict=True) if told == "0"}
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

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
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
                # the server may return a key twice
                if (entry := _decode(text)) is not None and key not in seen:
                    seen.add(key)
                    yield key.removeprefix(self._prefix), entry
            if int(cursor) == 0:
                return

    async def sweep(self) -> int:
        """Do nothing: the server removes expired entries."""
        return 0

    async def close(self) -> None:
        """As `Store.close`."""
        self._closed = True
        if self._worker is not None:
            with suppress(asyncio.CancelledError):
                await self._worker
        await self._client.aclose()


async def _ask(connection: Any, script: Any, what: Sequence[Any]) -> str:
    """Run a script; a broken connection is closed by the client, and an error is raised."""
    text = json.dumps(what)
    try:
        await connection.send_command("EVALSHA", script.sha, 0, text, check_health=False)
        answer: str = await connection.read_response()
    except valkey.exceptions.NoScriptError:  # the server has not seen it since its start
        await connection.send_command("EVAL", script.script, 0, text, check_health=False)
        answer = await connection.read_response()
    return answer


def _changes(done: Done, prefix: str) -> list[tuple[str, str, str, str]]:
    """Return an update in the form that `_WRITE` takes."""
    return [
        (prefix + key, _encode(old), _encode(new), str(max(1, new.expires) if new else 0))
        for key, old, new in done.writes
    ]


def _only_reads(error: Exception) -> bool:
    """Return whether the server answers but cannot write: its memory or disk is full, or it has
    become a replica."""
    full = (valkey.exceptions.OutOfMemoryError, valkey.exceptions.ReadOnlyError)
    return isinstance(error, full) or str(error).startswith(("MISCONF", "NOREPLICAS"))


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _encode(entry: StoreEntry | None) -> str:
    return "" if entry is None else f"{entry.expires} {entry.value}"


def _decode(text: str | None) -> StoreEntry | None:
    """Return an entry; None if it is missing or was not written by us."""
    if not text:
        return None
    expires, space, value = text.partition(" ")
    return StoreEntry(value, int(expires)) if space and expires.isdecimal() else None
