"""Answers from PostgreSQL: all waiting questions go into one query.

If the server is stopped, paused or killed, questions raise `Unavailable` within the time-out, and
then immediately until a connection succeeds again. No error of a server is ever read as "not
found".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from accounts.lookup.ask import TABLES, Ask, RowAnswer, Table, Unavailable, Unresolvable
from accounts.sources.postgres_rows import GENERATION, QUERIES, TooManyRowsError
from accounts.sources.round import Round
from accounts.sources.source import SourceAnswers, is_storable
from gatepost.logs import get_logger

CHANNEL = "gatepost_accounts"
"""The channel of NOTIFY; the payload is the generation."""

CONNECTIONS = 2
"""Connections of a process: while one waits for its rows, another one asks."""

TIMEOUT = 3.0
"""Time limit in seconds for a question and for an attempt to connect. Postfix waits 100."""

BATCH = 500
"""Maximum number of keys in one query."""

MAX_WAITING = 50_000
"""Maximum number of waiting questions; further ones raise `Unavailable` immediately."""

LOOK = 5.0
"""Seconds without a question after which a connection reads the generation, which reveals dead
connections and missed notifications."""

PAUSES = (0.05, 0.1, 0.2, 0.5)
"""Seconds between attempts to connect; the last one is repeated."""

log = get_logger("accounts")


def connect_arguments(url: str) -> dict[str, Any]:
    """Return the arguments of `asyncpg.connect` for the URL of `[accounts.database]`.

    ``postgresql://user@host:port/name?host=/run/postgresql&ssl=verify-full``
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = query.get("host") or parts.hostname
    port = query.get("port") or parts.port
    arguments: dict[str, Any] = {"database": unquote(parts.path.removeprefix("/"))}
    if host:
        arguments["host"] = host
    if port:
        arguments["port"] = int(port)
    if parts.username:
        arguments["user"] = unquote(parts.username)
    if "ssl" in query:
        arguments["ssl"] = query["ssl"]
    return arguments


class PostgresSource:
    """A database on a PostgreSQL server. Call `start()` in the event loop that uses it.

    `arguments` are the arguments of `asyncpg.connect` for its address; `password` is called for
    each connection. `changed` is called with each generation that is announced.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        *,
        password: Callable[[], str | None] = lambda: None,
        timeout: float = TIMEOUT,
        connections: int = CONNECTIONS,
        changed: Callable[[int], None] | None = None,
    ) -> None:
        self._arguments = dict(arguments)
        self._password = password
        self._timeout = timeout
        self._count = connections
        self._changed = changed
        self._waiting: dict[Table, dict[str, list[Round]]] = {table: {} for table in TABLES}
        self._waiting_count = 0
        self._wake = asyncio.Event()
        self._connected: set[int] = set()
        self._away: str | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._generation = 0

    @property
    def generation(self) -> int:
        """The latest generation that was announced or read."""
        return self._generation

    @property
    def is_away(self) -> bool:
        """Return whether no connection is possible."""
        return self._away is not None

    def start(self) -> None:
        """Start to connect; earlier questions wait for a connection."""
        loop = asyncio.get_running_loop()
        self._workers = [loop.create_task(self._work(number)) for number in range(self._count)]

    def ask(self, asks: Sequence[Ask]) -> asyncio.Future[SourceAnswers]:
        """Put questions into the next query; raises `Unavailable` and `Unresolvable`.

        The answer comes within the time-out.
        """
        loop = asyncio.get_running_loop()
        a_round = Round(asks, loop)
        if self._away is not None:
            a_round.fail(Unavailable(self._away))
        elif self._waiting_count >= MAX_WAITING:
            a_round.fail(Unavailable("too many questions wait for the database"))
        else:
            for ask in a_round.missing:
                if is_storable(ask.key):
                    waiting = self._waiting[ask.table].setdefault(ask.key, [])
                    waiting.append(a_round)
                    self._waiting_count += 1
            for ask in [ask for ask in a_round.missing if not is_storable(ask.key)]:
                a_round.give(ask, () if ask.table in ("wildcards", "rights") else None)
            if not a_round.future.done():
                a_round.expire_after(self._timeout)
                self._wake.set()
        return a_round.future

    async def close(self) -> None:
        """Close all connections; waiting and later questions raise `Unavailable`."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []
        self._away = "the look-ups have ended"  # expected, so no warning
        self._give_up(self._away)

    async def _work(self, number: int) -> None:
        tries = 0
        while True:
            try:
                connection = await self._connect()
            except Exception as error:  # errors of the server, the network or the password file
                if not self._connected:
                    self._give_up(_described(error))
                await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
                continue
            tries = 0
            try:
                await self._begin(number, connection)
                while True:
                    await self._serve(connection)
            except Exception as error:
                log.info("database connection lost", error=_described(error))
            finally:
                self._connected.discard(number)
                connection.terminate()

    async def _connect(self) -> Any:
        milliseconds = str(round(self._timeout * 1000))
        async with asyncio.timeout(self._timeout):
            return await asyncpg.connect(
                **self._arguments,
                password=self._password(),
                timeout=self._timeout,
                server_settings={
                    "application_name": "gatepost look-ups",
                    "default_transaction_read_only": "on",
                    "jit": "off",
                    "statement_timeout": milliseconds,
                },
            )

    async def _begin(self, number: int, connection: Any) -> None:
        """Prepare a new connection for questions."""
        async with asyncio.timeout(self._timeout):
            if number == 0:
                await connection.add_listener(CHANNEL, self._hear)
            await self._look(connection)
        self._connected.add(number)
        if self._away is not None:
            log.info("database back")
        self._away = None

    async def _look(self, connection: Any) -> None:
        generation = await connection.fetchval(GENERATION)
        if generation is None:
            raise ValueError("the table state is empty")
        self._note(int(generation))

    def _hear(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        with contextlib.suppress(ValueError):  # anybody with a login may NOTIFY
            self._note(max(self._generation, int(str(payload)[:20])))

    def _note(self, generation: int) -> None:
        if generation != self._generation:
            self._generation = generation
            if self._changed is not None:
                self._changed(generation)

    async def _serve(self, connection: Any) -> None:
        """Answer the waiting questions of one table, or check that the connection is alive."""
        table = max(TABLES, key=lambda table: len(self._waiting[table]))
        if not self._waiting[table]:
            self._wake.clear()
            try:
                async with asyncio.timeout(LOOK):
                    await self._wake.wait()
            except TimeoutError:
                async with asyncio.timeout(self._timeout):
                    await self._look(connection)
            return
        taken = self._take(table)
        try:
            await self._answer(connection, table, taken)
        except TimeoutError:
            # the questions have waited long enough; the server is silent, not gone
            self._connected.clear()
            self._give_up("the database does not answer")
            _fail(taken, Unavailable("the database does not answer"))
            raise
        except Exception as error:
            if connection.is_closed():
                self._put_back(table, taken)
                raise
            described = _described(error)
            log.error("look-up failed in the database", error=described)  # noqa: TRY400
            _fail(taken, Unavailable(described))
        except asyncio.CancelledError:
            _fail(taken, Unavailable("the look-ups have ended"))
            raise

    def _take(self, table: Table) -> dict[str, list[Round]]:
        waiting = self._waiting[table]
        if len(waiting) <= BATCH:
            self._waiting[table] = {}
            taken = waiting
        else:
            taken = {key: waiting.pop(key) for key in list(waiting)[:BATCH]}
        self._waiting_count -= sum(map(len, taken.values()))
        return taken

    def _put_back(self, table: Table, taken: dict[str, list[Round]]) -> None:
        """Return questions to the queue for another connection; each has its own time-out."""
        for key, rounds in taken.items():
            open_rounds = [a_round for a_round in rounds if not a_round.future.done()]
            if open_rounds:
                self._waiting[table].setdefault(key, []).extend(open_rounds)
                self._waiting_count += len(open_rounds)
        self._wake.set()

    async def _answer(self, connection: Any, table: Table, taken: dict[str, list[Round]]) -> None:
        query = QUERIES[table]
        keys = list(taken)
        try:
            async with asyncio.timeout(self._timeout):
                rows = await connection.fetch(query.sql, keys)
            answers = query.read(keys, rows)
        except (asyncpg.DataError, TooManyRowsError) as error:
            if (
                len(keys) > 1
            ):  # one question causes the error: ask each alone, so that the others are answered
                for key in keys:
                    await self._answer(connection, table, {key: taken[key]})
                return
            if isinstance(error, TooManyRowsError):
                _fail(taken, Unresolvable(str(error)))
                return
            raise
        for key, rounds in taken.items():
            ask = Ask(table, key)
            answer: RowAnswer = answers[key]
            for a_round in rounds:
                a_round.give(ask, answer)

    def _give_up(self, reason: str) -> None:
        """Fail all waiting questions, and later ones until a connection succeeds."""
        if self._away is None:
            log.warning("database away", error=reason)
        self._away = reason
        for table in TABLES:
            taken, self._waiting[table] = self._waiting[table], {}
            _fail(taken, Unavailable(reason))
        self._waiting_count = 0


def _fail(taken: dict[str, list[Round]], error: Unavailable | Unresolvable) -> None:
    for rounds in taken.values():
        for a_round in rounds:
            a_round.fail(error)


def _described(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
