"""Copies of a mailbox from one mail store to another, made by doveadm of the first."""

from __future__ import annotations

import json
from typing import Any, Final

from accounts.dovecot import doveadm
from accounts.dovecot.doveadm import DoveadmError
from gatepost.doveadm import is_pattern

LOCK_WAIT: Final = 20
"""Seconds that a copy waits for another one of the same mailbox. It must be shorter than
`accounts.directory.moves.LEASE`: a copy that a killed process has left behind must not begin after
the mailbox is used in its new store."""


async def copy(url: str, key: str, user: str, peer: str, timeout: float) -> None:
    """Make the mailbox of a user at `peer` the same as that at `url`, Sieve scripts included.

    `peer` is HOST:PORT of doveadm. Raises `DoveadmError`, also if messages changed meanwhile and
    the copy has to be repeated.
    """
    await _run(url, key, "backup", user, peer, timeout)


async def merge(url: str, key: str, user: str, peer: str, timeout: float) -> None:
    """Add to the mailbox at `peer` whatever it lacks; raises `DoveadmError`.

    Messages that were deleted at `peer` since the copy stay deleted: Dovecot's log has them.
    """
    await _run(url, key, "sync", user, peer, timeout, onewaySync=True)


async def _run(
    url: str, key: str, command: str, user: str, peer: str, timeout: float, **more: Any
) -> None:
    if is_pattern(user):
        raise DoveadmError(f"doveadm takes {user} for the names of several users")
    parameters = {"user": user, "lockTimeout": LOCK_WAIT, "destination": [f"tcp:{peer}"], **more}
    body = await doveadm.ask(url, key, [[command, parameters, "0"]], timeout)
    try:
        ((kind, payload, _),) = json.loads(body)
        code = None if kind == "doveadmResponse" else payload["exitCode"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DoveadmError("cannot parse its answer") from None
    if code is not None:
        raise DoveadmError(f"it does not copy to {peer} (exit code {code}): its log has the reason")
