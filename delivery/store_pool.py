"""Idle connections to mail stores, for the next message: connecting costs more than delivering.

A connection is used again only after a complete transaction, and only while the store has said
nothing on it: one that closes idle connections is noticed here.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final, NamedTuple

from delivery.protocols.lmtp_client import QUIT
from gatepost.listen import SocketAddress
from gatepost.peer.connection import PeerConnection

MAX_IDLE: Final = 8
"""Connections to one store that are kept: each occupies a process of Dovecot."""
IDLE_TIME: Final = 10.0
"""Seconds for which a connection is kept: less than any store keeps it."""


class IdleStoreConnection(NamedTuple):
    """A connection after a complete transaction."""

    peer: PeerConnection
    extensions: frozenset[str]
    timer: asyncio.TimerHandle


class StorePool:
    """Idle connections by the address of the store."""

    def __init__(self) -> None:
        self._idle: defaultdict[SocketAddress, list[IdleStoreConnection]] = defaultdict(list)

    def take(self, address: SocketAddress) -> tuple[PeerConnection, frozenset[str]] | None:
        """Return a connection and the extensions of its store; None if there is no idle one."""
        while idle := self._idle[address]:
            peer, extensions, timer = idle.pop()
            timer.cancel()
            if peer.is_silent:
                return peer, extensions
            peer.close()
        return None

    def keep(
        self, address: SocketAddress, peer: PeerConnection, extensions: frozenset[str]
    ) -> None:
        """Keep a connection for a while, or close it if there are enough."""
        idle = self._idle[address]
        if len(idle) >= MAX_IDLE:
            peer.close(QUIT)
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(IDLE_TIME, self._expire, address, peer)
        idle.append(IdleStoreConnection(peer, extensions, timer))

    def close(self) -> None:
        """Close all."""
        for idle in self._idle.values():
            for one in idle:
                one.timer.cancel()
                one.peer.close(QUIT)
        self._idle.clear()

    def _expire(self, address: SocketAddress, peer: PeerConnection) -> None:
        idle = self._idle[address]
        self._idle[address] = [one for one in idle if one.peer is not peer]
        peer.close(QUIT)
