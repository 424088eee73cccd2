"""Sender ownership: may this login use this sender?"""

from __future__ import annotations

from gatepost.ownership import RightsUnknownError, SenderRights
from msgauth.mail_address import MailAddress
from policyd.action import refuse
from policyd.checks import CheckResult
from policyd.errors import CheckError
from policyd.facts import NO_FACTS, Facts
from policyd.reasons import reply
from policyd.request import Request
from policyd.settings.accounts import OwnershipSettings
from policyd.template import fill, of_request

REASON_NOT_OWNER = "sender-not-owned"
REASON_NOT_LOGGED_IN = "sender-needs-login"


class OwnershipCheck:
    """The check `ownership`."""

    name = "ownership"
    states = frozenset({"MAIL", "RCPT", "DATA", "END-OF-MESSAGE"})

    def __init__(self, settings: OwnershipSettings, rights: SenderRights, hostname: str) -> None:
        self._settings = settings
        self._rights = rights
        self._hostname = hostname

    async def check(self, request: Request, _facts: Facts = NO_FACTS) -> CheckResult | None:
        """Refuse a login that does not own its sender, and perhaps a stranger that uses ours."""
        user = request.sasl_username
        if not request.sender:
            if not user or self._settings.null_sender:
                return None
            return self._refuse("null sender", request)
        sender = request.sender_address
        try:
            return self._judge(request, user, sender)
        except RightsUnknownError as error:
            raise CheckError(str(error)) from None

    def _judge(self, request: Request, user: str, sender: MailAddress) -> CheckResult | None:
        if user:
            if self._rights.may_use(user, sender):
                return CheckResult("owned")
            return self._refuse("not owned", request)
        # Postfix completes an address without a domain: with its own, or out of `a%b` and `b!a`
        is_ours = not sender.host or self._rights.is_owned(sender)
        if self._settings.strangers == "allow" or not is_ours:
            return None
        text = fill(self._settings.strangers_text, of_request(request, self._hostname))
        told = reply(REASON_NOT_LOGGED_IN, text, temporary=False)
        return CheckResult("needs login", refuse(told), REASON_NOT_LOGGED_IN)

    def _refuse(self, finding: str, request: Request) -> CheckResult:
        text = fill(self._settings.text, of_request(request, self._hostname))
        told = reply(REASON_NOT_OWNER, text, temporary=False)
        return CheckResult(finding, refuse(told), REASON_NOT_OWNER, request.sasl_username)
