"""Sender ownership: may this login use this sender?"""

from __future__ import annotations

from policyd.action import refuse
from policyd.checks import Outcome
from policyd.facts import NO_FACTS, Facts
from policyd.owners import OwnerTable, read_owners
from policyd.reasons import reply
from policyd.request import Request
from policyd.settings.accounts import OwnershipSettings
from policyd.template import fill, of_request

REASON_NOT_OWNER = "sender-not-owned"
REASON_NOT_LOGGED_IN = "sender-needs-login"


class Ownership:
    """The check `ownership`. Making it raises `MatchError` for a file that cannot be read."""

    name = "ownership"
    states = frozenset({"MAIL", "RCPT", "DATA", "END-OF-MESSAGE"})

    def __init__(self, settings: OwnershipSettings, hostname: str) -> None:
        self._settings = settings
        self._hostname = hostname
        self._table = OwnerTable(settings.owners)
        for path in settings.owners_files:
            read_owners(path, self._table)

    async def check(self, request: Request, _facts: Facts = NO_FACTS) -> Outcome | None:
        """Refuse a login that does not own its sender, and perhaps a stranger that uses ours."""
        sender, user = request.sender, request.sasl_username.lower()
        if not sender:
            if not user or self._settings.null_sender:
                return None
            return self._refuse("null sender", request)
        owners = self._table.owners(sender)
        if not user:
            if owners is None or self._settings.strangers == "allow":
                return None
            text = fill(self._settings.strangers_text, of_request(request, self._hostname))
            told = reply(REASON_NOT_LOGGED_IN, text, temporary=False)
            return Outcome("needs login", refuse(told), REASON_NOT_LOGGED_IN)
        if owners is not None and user in owners:
            return Outcome("owned")
        if self._settings.login_owns_itself and user in (sender.lower(), _plain(sender)):
            return Outcome("owned")
        return self._refuse("not owned", request)

    def _refuse(self, finding: str, request: Request) -> Outcome:
        text = fill(self._settings.text, of_request(request, self._hostname))
        told = reply(REASON_NOT_OWNER, text, temporary=False)
        return Outcome(finding, refuse(told), REASON_NOT_OWNER, request.sasl_username)


def _plain(sender: str) -> str:
    """Return the sender without its extension, in lower case."""
    user, _, domain = sender.lower().rpartition("@")
    return f"{user.partition('+')[0]}@{domain}"
