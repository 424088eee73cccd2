"""End of Dovecot sessions after the loss of a right: the losses, and the servers to tell."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from accounts.dovecot.kicks import Doveadm
from accounts.dovecot.losses import Losses
from accounts.dovecot_settings import DovecotSettings
from accounts.store.database import Database
from gatepost.metrics import Probes


class Sessions:
    """Sessions at all servers of `settings()`; the URLs are those of the start."""

    def __init__(self, database: Database, settings: Callable[[], DovecotSettings]) -> None:
        self._servers = [
            Doveadm(url, lambda: settings().doveadm_key_file) for url in settings().doveadm_url
        ]
        self._losses = Losses(database, self._kick)

    def add_probes(self, probes: Probes) -> None:
        """Add a remark to `/readyz` for each failing server."""
        for server in self._servers:
            probes.remark(f"doveadm {server.name}", server.limping)

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Return the coroutines that run all the time."""
        return (self._losses.run(), *(server.run() for server in self._servers))

    def _kick(self, mask: str, repeat: bool) -> None:
        for server in self._servers:
            server.add(mask, repeat=repeat)
