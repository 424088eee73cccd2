"""Whether somebody who has logged in may use a From: the section `[milters.ownership]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from gatepost.config import Section
from gatepost.config.types import parse_hostname
from milters.author import Author
from msgauth.domain import DomainError, to_alabels


def _check_sender(text: str) -> str:
    """An address or ``@`` and a domain, with the domain in A-labels as From is compared."""
    local, at, name = text.strip().rpartition("@")
    try:
        domain = parse_hostname(name)
    except ValueError:
        domain = ""
    if not at or not domain:
        raise ValueError(f"{text!r}: write user@example.org or @example.org")
    if "*" in local:
        raise ValueError(f"{text!r}: there are no patterns; write @{domain} for all of it")
    return f"{local}@{domain}"


Sender = Annotated[str, AfterValidator(_check_sender)]
"""Whom mail may come From."""


class OwnershipSettings(Section):
    """Which From a client that has logged in may use; another one is refused with 550 5.7.1."""

    enforce: bool = Field(
        default=False,
        description="Refuse mail whose From does not belong to the login. False: anybody who has "
        "logged in may use any From of a domain that is signed for.",
    )
    senders: dict[str, tuple[Sender, ...]] = Field(
        default={},
        description="For a login, the addresses (`user@example.org`) and domains (`@example.org`) "
        "that its mail may come From, besides the login itself where that is an address. The login "
        '`"*"` stands for every other one.',
    )


class Ownership:
    """Says which From a login may use."""

    def __init__(self, settings: OwnershipSettings) -> None:
        self._enforce = settings.enforce
        self._senders = {
            login.lower(): frozenset(sender.lower() for sender in senders)
            for login, senders in settings.senders.items()
        }

    def allows(self, login: str, authors: Sequence[Author]) -> bool:
        """Return whether `login` may send mail From all of `authors`; without any it may not.

        An author without a local part belongs to the owner of the whole domain alone.
        """
        if not self._enforce:
            return True
        login = login.lower()
        senders = self._senders.get(login)
        if senders is None:
            senders = self._senders.get("*", frozenset())
        own = _in_alabels(login)
        return bool(authors) and all(
            author.address.lower() == own
            or author.address.lower() in senders
            or f"@{author.domain}" in senders
            for author in authors
        )


def _in_alabels(login: str) -> str:
    """Return a login as the address that it may be: authors have their domains in A-labels."""
    local, at, domain = login.rpartition("@")
    try:
        return f"{local}@{to_alabels(domain)}" if at else login
    except DomainError:
        return login
