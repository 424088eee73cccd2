"""Answers to Dovecot about passwords and mailboxes.

A failure is never reported as "wrong" or "unknown": Dovecot would refuse its user, or return mail.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from structlog.typing import FilteringBoundLogger

from accounts import login
from accounts.attempts import ClientAddress
from accounts.counts import LookupCounts
from accounts.login import LoginOutcome, Reason
from accounts.login_log import note_login
from accounts.login_rules import LoginRules, verify_login
from accounts.lookup import dovecot
from accounts.lookup.ask import Ask, LoginRow, Unavailable
from accounts.passwords import BadPassword, Password
from gatepost.printable import escape

MAX_NOTED: Final = 100
"""Characters of a text from Dovecot that are logged."""

HOST: Final = "host"
"""The field for the host of the store, which a proxy connects to."""
DOVEADM: Final = "doveadm"
"""The protocol that doveadm names."""

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
    """A question whether a password is right. `client` is the address of the user.

    `store` is the name of the mail store that asks, empty if it has none. A proxy has no mail, and
    is told the store of the mailbox.
    """

    user: str
    password: bytes = field(repr=False)
    protocol: str
    client: ClientAddress | None = None
    session: str = ""
    secured: str = ""
    store: str = ""
    is_proxy: bool = False


Moving: TypeAlias = Callable[[str, str], Awaitable[bool]]
"""Returns whether a mailbox is being moved from a store or to it."""


async def _moves_never(address: str, store: str) -> bool:
    """Return False: nothing moves."""
    del address, store
    return False


class DovecotQuestions:
    """Answers to questions by the rules in use.

    `succeeded` is called with each successful login, to write its effects.
    """

    def __init__(
        self,
        rules: Callable[[], LoginRules],
        succeeded: Callable[[login.Login, Password], None],
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.time,
        is_moving: Moving = _moves_never,
    ) -> None:
        self._clock = clock
        self._is_moving = is_moving
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
                return await self._at_home(asked, ended.row)
            case LoginOutcome.WRONG:
                is_unknown = ended.reason in (Reason.UNKNOWN_USER, Reason.MALFORMED_LOGIN)
                return DovecotReply(Word.UNKNOWN if is_unknown else Word.MISMATCH)
            case LoginOutcome.DISABLED:
                return DovecotReply(Word.DISABLED)
            case _:
                return DovecotReply(Word.TEMPORARY)

    async def _at_home(self, asked: Verify, row: LoginRow) -> DovecotReply:
        """Return the answer to a right password: the mailbox, or for a proxy its store.

        With several stores, the row is read again: hashing takes time, in which a move to another
        store may have locked the mailbox and ended its sessions.
        """
        rules = self._rules()
        stores = rules.settings.stores
        if stores.named:
            (again,) = await rules.answers.ask((Ask("login", row.address),))
            if not isinstance(again, LoginRow) or again.id != row.id:
                return DovecotReply(Word.TEMPORARY)
            row = again
        store = stores.store_of(row.store)
        if asked.is_proxy:
            if store.settings is None or self._is_locked(row.locked_until):
                self._deferred(row.address, asked.store, store.name)
                return DovecotReply(Word.TEMPORARY)
            return DovecotReply(Word.OK, {"user": row.address, HOST: store.settings.host})
        if not stores.is_there(row.store, asked.store) or self._is_locked(row.locked_until):
            self._deferred(row.address, asked.store, store.name)
            return DovecotReply(Word.TEMPORARY)
        return DovecotReply(Word.OK, dovecot.home_of(row).fields("userdb_"))

    def _is_locked(self, until: int | None) -> bool:
        return until is not None and until > self._clock()

    def _deferred(self, address: str, asked: str, store: str) -> None:
        """Log that a mailbox was not opened: it is being moved, or is in another store."""
        self._log.info("mailbox not opened here", user=address, asked_by=asked, store=store)

    async def userdb(self, user: str, protocol: str, store: str = "") -> DovecotReply:
        """Find a mailbox, in the cache if the database is away; raises what a rule raises.

        `store` is the mail store that asks. Only doveadm opens a mailbox in another store
        than its own, while it is moved between the two; anywhere else it would find an
        empty one. With several stores, an answer of the cache is none: the mailbox may have
        moved meanwhile, and what is stored in the earlier place would be lost.
        """
        rules = self._rules()
        stores = rules.settings.stores
        lookup = dovecot.userdb(user, protocol, rules.settings.default_domain)
        try:
            driven = await rules.answers.drive(lookup)
        except Unavailable:
            self._counts.answered("userdb", "temporary", is_stale=True)
            return DovecotReply(Word.TEMPORARY)
        home = driven.result
        if home is not None and stores.named and driven.is_stale:
            self._counts.answered("userdb", "temporary", is_stale=True)
            return DovecotReply(Word.TEMPORARY)
        if home is not None and protocol == DOVEADM:
            is_there = stores.is_there(home.store, store)
            if not is_there and not await self._is_moving(home.address, store):
                self._counts.answered("userdb", "temporary", driven.is_stale)
                return DovecotReply(Word.TEMPORARY)
        elif home is not None and (
            not stores.is_there(home.store, store) or self._is_locked(home.locked_until)
        ):
            self._deferred(home.address, store, stores.store_of(home.store).name)
            self._counts.answered("userdb", "temporary", driven.is_stale)
            return DovecotReply(Word.TEMPORARY)
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
