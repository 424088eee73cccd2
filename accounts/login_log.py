"""Log line and metrics of a login, the same for every protocol."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from accounts.attempts import ClientAddress
from accounts.counts import LOGINS
from accounts.login import Login


def note_login(
    log: FilteringBoundLogger,
    ended: Login,
    protocol: str,
    client: ClientAddress | None,
    **facts: object,
) -> None:
    """Count and log the outcome of a login.

    A login name is logged only if it is an address: some people type their password there.
    """
    LOGINS.labels(protocol, ended.outcome.value, ended.reason.value).inc()
    if ended.app_password is not None:
        facts["app_password"] = ended.app_password
    if ended.seconds:
        facts["again_after"] = round(ended.seconds, 1)
    if ended.problems:
        facts["problems"] = list(ended.problems)
    log.info(
        "login",
        result=ended.outcome.value,
        reason=ended.reason.value,
        address=ended.address,
        protocol=protocol,
        client=str(client or ""),
        **facts,
    )
