"""Servers that answer mail programs, each with its protocol, bounds and metrics.

Each calls `answer(request)`, which returns the answer or an awaitable for it. `start` takes
listening sockets (`gatepost.daemon.RequestServer`).
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from structlog.typing import FilteringBoundLogger

from accounts.protocols.dovecot_auth import AuthConnection, AuthRequest, Verdict
from accounts.protocols.dovecot_dict import DictConnection
from accounts.protocols.dovecot_dict import DictReply as DictReply
from accounts.protocols.dovecot_dict import DictRequest as DictRequest
from accounts.protocols.socketmap import TABLES, SocketmapConnection
from accounts.protocols.table import TableAnswer, TableLookup
from accounts.protocols.tcp_table import TcpTableConnection
from gatepost.daemon import ConnectionBounds, RequestServer, ServerCounts
from gatepost.logs import get_logger
from gatepost.metrics import Counter, Gauge

_LABELS: Final = ["listener"]
CONNECTIONS: Final = Gauge(
    "gatepost_accounts_connections",
    "Open connections from mail programs",
    _LABELS,
    across="sum",
)
REFUSED: Final = Counter(
    "gatepost_accounts_connections_refused_total",
    "Connections beyond the limit, refused",
    _LABELS,
)
MADE_ROOM: Final = Counter(
    "gatepost_accounts_connections_made_room_total",
    "Idle connections closed to make room for new ones",
    _LABELS,
)
MALFORMED: Final = Counter(
    "gatepost_accounts_malformed_total", "Requests that could not be parsed", _LABELS
)
FAILED: Final = Counter(
    "gatepost_accounts_failed_total",
    "Requests answered with a temporary error, because the answer failed or took too long",
    _LABELS,
)

TABLE_BOUNDS: Final = ConnectionBounds(
    idle_timeout=300, request_timeout=10, answer_timeout=20, max_connections=5000
)
"""Postfix waits 100 seconds for an answer, and closes a socketmap connection after 10 idle ones."""
AUTH_BOUNDS: Final = ConnectionBounds(
    idle_timeout=3600, request_timeout=10, answer_timeout=8, max_connections=5000
)
"""Postfix waits 10 seconds for an answer, and an smtpd process keeps its connection for life."""
DICT_BOUNDS: Final = ConnectionBounds(
    idle_timeout=300, request_timeout=10, answer_timeout=20, max_connections=1000
)
"""Dovecot waits 30 seconds for an answer."""

_Bounds = Callable[[], ConnectionBounds]


def socketmap_server(
    answer: Callable[[TableLookup], TableAnswer | Awaitable[TableAnswer]],
    bounds: _Bounds = lambda: TABLE_BOUNDS,
    tables: Collection[str] = TABLES,
) -> RequestServer[TableLookup, TableAnswer]:
    """Return a server of socketmap_table(5) for these tables."""
    return RequestServer(
        lambda: SocketmapConnection(tables), answer, bounds, *_counts_and_log("socketmap")
    )


def tcp_table_server(
    table: str,
    answer: Callable[[TableLookup], TableAnswer | Awaitable[TableAnswer]],
    bounds: _Bounds = lambda: TABLE_BOUNDS,
) -> RequestServer[TableLookup, TableAnswer]:
    """Return a server of tcp_table(5) for one table."""
    return RequestServer(
        lambda: TcpTableConnection(table), answer, bounds, *_counts_and_log(f"tcp_table_{table}")
    )


def auth_server(
    answer: Callable[[AuthRequest], Verdict | Awaitable[Verdict]],
    bounds: _Bounds = lambda: AUTH_BOUNDS,
) -> RequestServer[AuthRequest, Verdict]:
    """Return a server of Dovecot's authentication protocol, for Postfix's SASL."""
    numbers = itertools.count(1)

    def connection() -> AuthConnection:
        return AuthConnection(os.getpid(), next(numbers), secrets.token_hex(16))

    return RequestServer(connection, answer, bounds, *_counts_and_log("auth"))


def dict_server(
    answer: Callable[[DictRequest], DictReply | Awaitable[DictReply]],
    bounds: _Bounds = lambda: DICT_BOUNDS,
) -> RequestServer[DictRequest, DictReply]:
    """Return a server of Dovecot's dict protocol."""
    return RequestServer(DictConnection, answer, bounds, *_counts_and_log("dict"))


def _counts_and_log(name: str) -> tuple[ServerCounts, FilteringBoundLogger]:
    counts = ServerCounts(
        CONNECTIONS.labels(name),
        REFUSED.labels(name),
        MADE_ROOM.labels(name),
        MALFORMED.labels(name),
        FAILED.labels(name),
    )
    return counts, get_logger("accounts").bind(listener=name)
