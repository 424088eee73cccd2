"""Allow and deny tables: an allow entry wins over a deny entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gatepost.reply import Reply
from policyd.action import refuse
from policyd.checks import CheckResult, accept
from policyd.facts import NO_FACTS, Facts
from policyd.match import AddressTable, ClientTable, NameTable, read_addresses, read_clients
from policyd.reasons import reply
from policyd.request import Request, State
from policyd.settings.tables import TablesSettings
from policyd.template import fill, of_request

REASONS = ("client", "helo", "sender", "recipient", "user")
"""The subject of a table; the reason id of a refusal is ``denied-`` followed by it."""


class TablesCheck:
    """The check `tables`. The constructor raises `MatchError` if it cannot read a file."""

    name = "tables"
    states = frozenset(State)

    def __init__(self, settings: TablesSettings, hostname: str) -> None:
        self._settings = settings
        self._hostname = hostname
        self._allow = _rows(
            clients=clients(settings.allow_clients, settings.allow_clients_files).require_own(),
            helo=settings.allow_helo,
            senders=addresses(settings.allow_senders, settings.allow_senders_files),
            recipients=addresses(settings.allow_recipients, settings.allow_recipients_files),
            users=settings.allow_users,
            unverified=False,
        )
        self._deny = _rows(
            clients=clients(settings.deny_clients, settings.deny_clients_files),
            helo=settings.deny_helo,
            senders=addresses(settings.deny_senders, settings.deny_senders_files),
            recipients=addresses(settings.deny_recipients, settings.deny_recipients_files),
            users=settings.deny_users,
            unverified=True,
        )

    @property
    def used(self) -> bool:
        """Whether any table has an entry."""
        return bool(self._allow or self._deny)

    async def check(self, request: Request, _facts: Facts = NO_FACTS) -> CheckResult | None:
        """Accept or refuse a request that a table matches."""
        for word, match in self._allow:
            if entry := match(request):
                return accept(f"{word} allowed", entry)
        for word, match in self._deny:
            if entry := match(request):
                reason = f"denied-{word}"
                return CheckResult(
                    f"{word} denied", refuse(self._reply(request, reason)), reason, entry
                )
        return None

    def _reply(self, request: Request, reason: str) -> Reply:
        text = fill(self._settings.text, of_request(request, self._hostname))
        return reply(reason, text, temporary=False)


def _rows(
    *,
    clients: ClientTable,
    helo: Sequence[str],
    senders: AddressTable,
    recipients: AddressTable,
    users: Sequence[str],
    unverified: bool,
) -> list[tuple[str, Callable[[Request], str]]]:
    """Return the tables that have entries, each with the function that matches it."""
    rows: list[tuple[str, Callable[[Request], str]]] = []
    if clients:

        def match_client(request: Request) -> str:
            found = clients.match(request.client, request.client_name)
            if not found and unverified:
                found = clients.match(None, request.reverse_client_name)
            return found

        rows.append(("client", match_client))
    if helo:
        helo_names = NameTable(helo, domains=True)
        rows.append(("helo", lambda request: helo_names.match(request.helo_name)))
    if senders:
        rows.append(("sender", lambda request: senders.match(request.sender_address)))
    if recipients:
        rows.append(("recipient", lambda request: recipients.match(request.recipient_address)))
    if users:
        logins = NameTable(users, domains=False)
        rows.append(("user", lambda request: logins.match(request.sasl_username)))
    return rows


def clients(entries: Sequence[str], files: Sequence[Path]) -> ClientTable:
    """Return a table of clients from the configuration and its files; raises `MatchError`."""
    table = ClientTable(entries)
    for path in files:
        read_clients(path, table)
    return table


def addresses(entries: Sequence[str], files: Sequence[Path]) -> AddressTable:
    """Return a table of addresses from the configuration and its files; raises `MatchError`."""
    table = AddressTable(entries)
    for path in files:
        read_addresses(path, table)
    return table
