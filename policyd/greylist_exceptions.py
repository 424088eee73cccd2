"""Exceptions from the greylist that administrators have made in accounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gatepost.logs import get_logger
from gatepost.snapshots.form import SnapshotData
from gatepost.snapshots.greylist import read_exceptions
from msgauth.address import IpAddress
from msgauth.mail_address import MailAddress
from policyd.match import AddressTable, ClientTable, MatchError

log = get_logger("policyd")


class _Tables(NamedTuple):
    """The exceptions for the recipients of one domain, or for all."""

    clients: ClientTable
    senders: AddressTable

    def match(self, client: IpAddress | None, name: str, sender: MailAddress) -> str:
        """Return the pattern that matches, empty if none does."""
        return self.clients.match(client, name) or self.senders.match(sender)


class GreylistExceptions:
    """The exceptions in use in this process; before the first snapshot there are none."""

    def __init__(self) -> None:
        self._for_all = _Tables(ClientTable(), AddressTable())
        self._by_domain: dict[str, _Tables] = {}

    @property
    def by_domain(self) -> bool:
        """Return whether some are for the recipients of one domain."""
        return bool(self._by_domain)

    def take(self, snapshot: SnapshotData) -> None:
        """Take a snapshot into use; raises `SnapshotError`."""
        for_all = _Tables(ClientTable(), AddressTable())
        by_domain: dict[str, _Tables] = {}
        for one in read_exceptions(snapshot):
            tables = for_all
            if one.domain is not None:
                tables = by_domain.setdefault(one.domain, _Tables(ClientTable(), AddressTable()))
            if one.pattern.startswith(("/", "!")):
                continue  # accounts has no regular expressions
            try:
                (tables.clients if one.kind == "client" else tables.senders).add(one.pattern)
            except MatchError as error:
                log.warning("exception from the greylist left out", problem=str(error))
        self._for_all, self._by_domain = for_all, by_domain

    def match(
        self,
        client: IpAddress | None,
        name: str,
        sender: MailAddress,
        recipient_domains: Iterable[str],
    ) -> str:
        """Return the pattern that exempts an attempt, empty if none does.

        `name` is the verified host name of the client, or empty.
        """
        if found := self._for_all.match(client, name, sender):
            return found
        for domain in recipient_domains:
            tables = self._by_domain.get(domain)
            if tables is not None and (found := tables.match(client, name, sender)):
                return found
        return ""
