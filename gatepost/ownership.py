"""Ownership of sender addresses: which login may send as which address.

Each line of a table has a sender and the logins that own it, separated by blanks or commas, as in
Postfix's smtpd_sender_login_maps::

    alice@example.org    alice
    info@example.org     alice, bob@example.org
    @example.net         carol
    @example.com         *

``@example.net`` covers every address of the domain without a line of its own. An address with an
extension (``alice+lists@example.org``) belongs to the owners of the plain address, unless it has a
line of its own. ``*`` stands for every login that no line names. Case does not matter, and
a domain may be written in U-labels or in A-labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import Field, field_validator

from gatepost.config import Section, WatchedPath
from gatepost.list_file import ListFileError, read_lines
from msgauth.mail_address import MailAddress, without_route

MAX_SHOWN = 200
"""Maximum characters of a line in an error; a continued line may be as long as its file."""

ANY_OTHER_LOGIN = "*"
"""Stands for every login that no line of a table names."""

_NO_DELIMITER = re.compile(r"[\w\s@]")
# Postfix never takes an extension off these (split_addr)
_WHOLE = frozenset({"mailer-daemon", "double-bounce"})
# RFC 5321 section 4.1.3: an address literal; other text that is no domain is a mistake
_LITERAL = re.compile(r"\[[0-9A-Za-z:.]+\]\Z")


class OwnershipError(ValueError):
    """A line of a table is invalid; the message gives the place and the allowed form."""


class RightsUnknownError(Exception):
    """It is not known now who may send as an address: the mail has to wait."""


class SenderRights(Protocol):
    """The rights of logins to send as an address, from a table or another source.

    Its methods raise `RightsUnknownError`.
    """

    def may_use(self, login: str, sender: MailAddress) -> bool:
        """Return whether `login` may send as `sender`.

        A sender without a local part stands for every address of its domain: the login has to own
        them all.
        """

    def is_owned(self, sender: MailAddress) -> bool:
        """Return whether a particular login is known to own `sender`."""


class Owned(NamedTuple):
    """A line of a table: a sender and the logins that own it."""

    sender: MailAddress
    logins: frozenset[str]
    """Logins in the form of `login_key`."""


class OwnerTable:
    """Senders and their owners; the `SenderRights` of a configuration and its files.

    `delimiters` are the characters that may separate a local part from its extension.
    With `login_owns_itself`, a login that is an address may use that address, with or without an
    extension.
    """

    def __init__(
        self, lines: Iterable[Owned] = (), *, delimiters: str = "+", login_owns_itself: bool = True
    ) -> None:
        self._delimiters = re.compile(f"[{re.escape(delimiters)}]") if delimiters else None
        self._keeps_list_names = "-" in delimiters
        self._login_owns_itself = login_owns_itself
        # added to in place: a sender may have a line for each of its logins
        self._owners: dict[str, set[str]] = {}
        self._named: set[str] = set()
        for sender, logins in lines:
            self._owners.setdefault(_key(sender), set()).update(logins)
            self._named |= logins
        self._named.discard(ANY_OTHER_LOGIN)
        self._all_of = self._owners_of_all()

    def may_use(self, login: str, sender: MailAddress) -> bool:
        """Return whether `login` may send as `sender`: see `SenderRights`."""
        login, sender = login_key(login), routed(sender)
        if not login:
            return False
        owners = self._find(sender)
        if owners is not None and (
            login in owners or (ANY_OTHER_LOGIN in owners and login not in self._named)
        ):
            return True
        return (
            self._login_owns_itself
            and bool(sender.unquoted_local)
            and login in self._own_keys(sender)
        )

    def is_owned(self, sender: MailAddress) -> bool:
        """Return whether the table has a line for `sender`, its plain address or its domain."""
        return self._find(routed(sender)) is not None

    def _find(self, sender: MailAddress) -> AbstractSet[str] | None:
        """Return the owners of `sender` by the most specific line, as Postfix looks them up."""
        if sender.domain and not sender.unquoted_local:
            return self._all_of.get(sender.domain)
        for key in self._own_keys(sender):
            if (found := self._owners.get(key)) is not None:
                return found
        return self._owners.get(f"@{sender.domain}") if sender.domain else None

    def _own_keys(self, sender: MailAddress) -> tuple[str, ...]:
        """Return the address unchanged, and without its extension."""
        full = _key(sender)
        mailbox = sender.unquoted_local.lower()
        plain = self._without_extension(mailbox) if sender.domain else mailbox
        return (full,) if plain == mailbox else (full, f"{plain}@{sender.domain}")

    def _without_extension(self, mailbox: str) -> str:
        if self._delimiters is None or mailbox in _WHOLE:
            return mailbox
        # Postfix's owner_request_special, which is on by default
        if self._keeps_list_names and mailbox.startswith("owner-"):
            return mailbox
        if self._keeps_list_names and mailbox.endswith("-request"):
            return mailbox
        found = self._delimiters.search(mailbox)
        # An address that begins with a delimiter has no extension, whatever follows
        return mailbox[: found.start()] if found and found.start() else mailbox

    def _owners_of_all(self) -> dict[str, set[str]]:
        """Return who owns every address of a domain: its own line and all lines below it."""
        all_of = {key[1:]: owners for key, owners in self._owners.items() if key[0] == "@"}
        for key, owners in self._owners.items():
            domain = key.rpartition("@")[2]
            if domain in all_of:
                all_of[domain] = all_of[domain] & owners
        return all_of


class OwnerSettings(Section):
    """Settings of sender ownership, the same for each daemon that uses them."""

    owners: tuple[str, ...] = Field(
        default=(),
        description="Senders and the logins that own them, written like the lines of "
        "`owners_files`.",
    )
    owners_files: tuple[WatchedPath, ...] = Field(
        default=(),
        description="Files in the format of Postfix's smtpd_sender_login_maps: a sender "
        "(`user@example.org`, or `@example.org` for all addresses of the domain without a line of "
        "their own), followed by the logins that own it. The login `*` stands for all logins that "
        "no line names.",
    )
    login_owns_itself: bool = Field(
        default=True,
        description="A login that is a mail address may send as that address, with or without an "
        "extension, even if no table lists it.",
    )
    recipient_delimiter: str = Field(
        default="+",
        description="Characters that separate an address from its extension, like "
        "`recipient_delimiter` in main.cf: the owner of `user@example.org` also owns "
        "`user+extension@example.org`. Empty: extensions are not recognised.",
    )

    @field_validator("owners")
    @classmethod
    def _check_owners(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        for line in owners:
            parse_owned(line)
        return owners

    @field_validator("recipient_delimiter")
    @classmethod
    def _check_delimiter(cls, delimiter: str) -> str:
        if _NO_DELIMITER.search(delimiter):
            raise ValueError("write punctuation other than @ and _, such as +")
        return delimiter


def read_rights(settings: OwnerSettings) -> SenderRights:
    """Return the rights from the settings and their files; raises `OwnershipError`."""
    return OwnerTable(
        _all_lines(settings),
        delimiters=settings.recipient_delimiter,
        login_owns_itself=settings.login_owns_itself,
    )


def read_owner_lines(settings: OwnerSettings) -> OwnerTable:
    """Return the rights that lines give, without those of a login to itself; raises
    `OwnershipError`."""
    return OwnerTable(
        _all_lines(settings), delimiters=settings.recipient_delimiter, login_owns_itself=False
    )


def parse_owned(line: str) -> Owned:
    """Return the parsed line; raises `OwnershipError`."""
    first, *logins = line.replace(",", " ").split() or [""]
    sender = MailAddress.parse(first)
    is_address = sender.domain or (sender.local and _LITERAL.search(first))
    # "" in quotes is a local part that no mailbox has; it must not become a whole domain
    is_empty = sender.local and not sender.unquoted_local
    is_route = sender.unquoted_local.startswith("@")
    if not is_address or is_empty or is_route or not logins:
        raise OwnershipError(
            f"{_shown(line)} is no owner: write user@example.org or @example.org, and after it the "
            "logins that own it"
        )
    if "*" in sender.local:
        raise OwnershipError(
            f"{_shown(line)}: there are no patterns; write @{sender.domain} for all of it"
        )
    return Owned(sender, frozenset(map(login_key, logins)))


def read_owned(path: Path) -> Iterator[Owned]:
    """Yield the lines of a file; raises `OwnershipError` with file and line.

    A line that begins with a blank continues the previous line, as in Postfix's tables. If it could
    also be a line of its own, it is refused, because one of the two readings would grant rights.
    """
    at: int = 0
    line: list[str] = []
    try:
        for number, text in read_lines(path):
            if text[0].isspace() and line:
                if _is_owned(text):
                    raise OwnershipError(
                        f"{path}:{number}: begins with a blank, so it may continue the line "
                        "before: remove the blank, or join the two lines"
                    )
                line.append(text)
                continue
            if line:
                yield _parse_at(path, at, "".join(line))
            at, line = number, [text]
        if line:
            yield _parse_at(path, at, "".join(line))
    except ListFileError as error:
        raise OwnershipError(str(error)) from None


def login_key(login: str) -> str:
    """Return a login for comparison: in lower case, with the domain of an address in A-labels."""
    return _key(MailAddress.parse(login))


def _all_lines(settings: OwnerSettings) -> Iterator[Owned]:
    yield from map(parse_owned, settings.owners)
    for path in settings.owners_files:
        yield from read_owned(path)


def _parse_at(path: Path, number: int, line: str) -> Owned:
    try:
        return parse_owned(line)
    except OwnershipError as error:
        raise OwnershipError(f"{path}:{number}: {error}") from None


def _shown(line: str) -> str:
    return repr(line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}...")


def _is_owned(line: str) -> bool:
    try:
        parse_owned(line)
    except OwnershipError:
        return False
    return True


def routed(sender: MailAddress) -> MailAddress:
    """Return the sender without a quoted source route, which Postfix would remove."""
    local = sender.unquoted_local
    plain = without_route(local)
    return sender if plain == local else sender._replace(local=plain)


def _key(address: MailAddress) -> str:
    if not address.domain:
        return address.text.lower()
    return f"{address.unquoted_local.lower()}@{address.domain}"
