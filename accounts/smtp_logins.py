"""Adapter between Postfix's SASL requests and `accounts.login`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from accounts import login
from accounts.login import LoginOutcome, Reason
from accounts.login_log import note_login
from accounts.login_rules import LoginRules, verify_login
from accounts.passwords import BadPassword, Password
from accounts.protocols.dovecot_auth import (
    Accepted,
    AuthRequest,
    AuthUnavailable,
    Code,
    Denied,
    Verdict,
)


class SmtpLogins:
    """Verifier of logins by the rules in use, with log and metrics.

    `succeeded` is called with each successful login, to write its effects.
    """

    def __init__(
        self,
        rules: Callable[[], LoginRules],
        succeeded: Callable[[login.Login, Password], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._rules = rules
        self._succeeded = succeeded
        self._log = log

    async def answer(self, event: AuthRequest) -> Verdict:
        """Return the verdict on a login; an exception is a temporary error."""
        try:
            password = Password(event.password)
        except BadPassword:
            ended = login.Login(LoginOutcome.WRONG, Reason.MALFORMED_PASSWORD)
            self._note(event, ended)
            return Denied()
        ended = await verify_login(
            self._rules(), event.login, password, login.Protocol.SMTP, event.client
        )
        self._note(event, ended)
        if ended.outcome is LoginOutcome.OK:
            self._succeeded(ended, password)
            return Accepted(ended.address)
        if ended.outcome is LoginOutcome.TEMPORARY:
            return AuthUnavailable()
        return Denied(*_SAID.get(ended.reason, ()))

    def _note(self, event: AuthRequest, ended: login.Login) -> None:
        note_login(self._log, ended, "smtp", event.client, mechanism=event.mechanism)


_SAID: Final[dict[Reason, tuple[str, Code]]] = {
    Reason.DISABLED: ("this account is disabled", Code.DISABLED),
    Reason.DOMAIN_DISABLED: ("this account is disabled", Code.DISABLED),
    Reason.MAY_NOT_LOGIN: ("this account may not log in", Code.NOT_AUTHORIZED),
    Reason.MAY_NOT_SEND: ("this account may not send", Code.NOT_AUTHORIZED),
    Reason.APP_PASSWORD_PROTOCOL: ("this password is not for sending", Code.NOT_AUTHORIZED),
    Reason.APP_PASSWORD_EXPIRED: ("this password has expired", Code.EXPIRED),
}
"""Replies to a client that knows the password."""
