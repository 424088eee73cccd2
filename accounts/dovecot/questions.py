"""Answers to Dovecot about passwords and mailboxes.

A failure is never reported as "wrong" or "unknown": Dovecot would refuse its user, or return mail.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from structlog.typing import FilteringBoundLogger

from accounts import login
from accounts.attempts import ClientAddress
from accounts.counts import LookupCounts
from accounts.login import LoginOutcome, Reason
from accounts.login_log import note_login
from accounts.login_rules import LoginRules, verify_login
from accounts.lookup import dovecot
from accounts.lookup.ask import Unavailable
from accounts.passwords import BadPassword, Password
from gatepost.printable import escape

MAX_NOTED: Final = 100
"""Characters of a text from Dovecot that are logged."""

# Dovecot's names of protocols; any other accepts only the mailbox's own password
_PROTOCOLS: Final = {
    "imap": login.Protocol.IMAP,
    "pop3": login.Protocol.POP3,
    "sieve": login.Protocol.SIEVE,
    "submission": login.Protocol.SMTP,
    "smtp": login.Protocol.SMTP,
}


class Word(StrEnum):
    """Answer in one word; Dovecot's script looks at nothing else."""

    OK = "ok"
    MISMATCH = "mismatch"
    """The password is wrong."""
    DISABLED = "disabled"
    """The password is right, but the login is not allowed."""
    UNKNOWN = "unknown"
    """There is no such mailbox."""
    TEMPORARY = "temporary"
    """The question failed for now: try again."""


@dataclass(frozen=True, slots=True)
class DovecotReply:
    """An answer, with Dovecot's fields if it is `OK`."""

    word: Word
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verify:
    """A question whether a password is right. `client` is the address of the user."""

    user: str
    password: bytes = field(repr=False)
    protocol: str
    client: ClientAddress | None = None
    session: str = ""
    secured: str = ""


class DovecotQuestions:
    """Answers to questions by the rules in use.

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
        self._counts = LookupCounts()

    async def verify(self, asked: Verify) -> DovecotReply:
        """Check a password; an exception is a temporary error."""
        try:
            password = Password(asked.password)
        except BadPassword:
            self._note(asked, login.Login(LoginOutcome.WRONG, Reason.MALFORMED_PASSWORD))
            return DovecotReply(Word.MISMATCH)
        protocol = _PROTOCOLS.get(asked.protocol, login.Protocol.API)
        ended = await verify_login(self._rules(), asked.user, password, protocol, asked.client)
        self._note(asked, ended)
        match ended.outcome:
            case LoginOutcome.OK if ended.row is not None:
                self._succeeded(ended, password)
                return DovecotReply(Word.OK, dovecot.home_of(ended.row).fields("userdb_"))
            case LoginOutcome.WRONG:
                is_unknown = ended.reason in (Reason.UNKNOWN_USER, Reason.MALFORMED_LOGIN)
                return DovecotReply(Word.UNKNOWN if is_unknown else Word.MISMATCH)
            case LoginOutcome.DISABLED:
                return DovecotReply(Word.DISABLED)
            case _:
                return DovecotReply(Word.TEMPORARY)

    async def userdb(self, user: str, protocol: str) -> DovecotReply:
        """Find a mailbox, in the cache if the database is away; raises what a rule raises."""
        rules = self._rules()
        lookup = dovecot.userdb(user, protocol, rules.settings.default_domain)
        try:
            driven = await rules.answers.drive(lookup)
        except Unavailable:
            self._counts.answered("userdb", "temporary", is_stale=True)
            return DovecotReply(Word.TEMPORARY)
        home = driven.result
        if home is not None:
            self._counts.answered("userdb", "found", driven.is_stale)
            return DovecotReply(Word.OK, home.fields())
        if driven.is_stale:  # otherwise mail that Postfix has accepted would be returned
            self._counts.answered("userdb", "temporary", is_stale=True)
            return DovecotReply(Word.TEMPORARY)
        self._counts.answered("userdb", "not_found", is_stale=False)
        return DovecotReply(Word.UNKNOWN)

    def _note(self, asked: Verify, ended: login.Login) -> None:
        """Count and log a login, with "other" for an unknown protocol."""
        is_known = asked.protocol in _PROTOCOLS or asked.protocol == "doveadm"
        note_login(
            self._log,
            ended,
            asked.protocol if is_known else "other",
            asked.client,
            session=escape(asked.session[:MAX_NOTED]),
            secured=escape(asked.secured[:MAX_NOTED]),
        )


def read_client(text: str) -> ClientAddress | None:
    """Return the address of a client; None if the text is not one."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
