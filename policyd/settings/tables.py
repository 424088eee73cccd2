"""The section `[policyd.tables]`."""

from __future__ import annotations

from pydantic import Field, field_validator

from gatepost.config import WatchedPath
from policyd.match import AddressTable, ClientTable, NameTable
from policyd.settings.base import CheckSection
from policyd.template import check_template

TEXT_FIELDS = frozenset({"client", "name", "helo", "sender", "recipient", "hostname"})

_CLIENTS = "`example.org` (host names there and below), `192.0.2.0/24`, `2001:db8::/32`, `/regex/`"
_ADDRESSES = "`user@example.org`, `user@`, `example.org` (and below), `@example.org`, `/regex/`"


class TablesSettings(CheckSection):
    """Tables of mail that is always allowed or always refused. Allow tables win.

    A client matches by its address and its verified host name; `deny_clients` also matches a host
    name that is not verified. HELO names and senders can be forged: do not rely on them to allow
    mail.
    """

    allow_clients: tuple[str, ...] = Field(
        default=(), description=f"Clients for which no further check runs: {_CLIENTS}."
    )
    allow_clients_files: tuple[WatchedPath, ...] = Field(
        default=(), description="Files with more clients, one per line."
    )
    allow_helo: tuple[str, ...] = Field(
        default=(), description="HELO names and the names below them; or `/regex/`."
    )
    allow_senders: tuple[str, ...] = Field(default=(), description=f"Senders: {_ADDRESSES}.")
    allow_senders_files: tuple[WatchedPath, ...] = Field(
        default=(), description="Files with more senders, one per line."
    )
    allow_recipients: tuple[str, ...] = Field(default=(), description=f"Recipients: {_ADDRESSES}.")
    allow_recipients_files: tuple[WatchedPath, ...] = Field(
        default=(), description="Files with more recipients, one per line."
    )
    allow_users: tuple[str, ...] = Field(default=(), description="SASL logins, or `/regex/`.")
    deny_clients: tuple[str, ...] = Field(
        default=(), description=f"Clients that are refused: {_CLIENTS}."
    )
    deny_clients_files: tuple[WatchedPath, ...] = Field(
        default=(), description="Files with more clients, one per line."
    )
    deny_helo: tuple[str, ...] = Field(
        default=(), description="HELO names and the names below them; or `/regex/`."
    )
    deny_senders: tuple[str, ...] = Field(default=(), description=f"Senders: {_ADDRESSES}.")
    deny_senders_files: tuple[WatchedPath, ...] = Field(
        default=(), description="Files with more senders, one per line."
    )
    deny_recipients: tuple[str, ...] = Field(default=(), description=f"Recipients: {_ADDRESSES}.")
    deny_recipients_files: tuple[WatchedPath, ...] = Field(
        default=(), description="Files with more recipients, one per line."
    )
    deny_users: tuple[str, ...] = Field(default=(), description="SASL logins, or `/regex/`.")
    text: str = Field(
        default="Access denied",
        description="Text after `554 5.7.1` for a denied client; may use {client}, {name}, "
        "{helo}, {sender}, {recipient} and {hostname}.",
    )

    @field_validator("deny_clients")
    @classmethod
    def _check_clients(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        ClientTable(entries)
        return entries

    @field_validator("allow_clients")
    @classmethod
    def _check_allowed(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        ClientTable(entries).require_own()
        return entries

    @field_validator("allow_senders", "allow_recipients", "deny_senders", "deny_recipients")
    @classmethod
    def _check_addresses(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        AddressTable(entries)
        return entries

    @field_validator("allow_helo", "deny_helo", "allow_users", "deny_users")
    @classmethod
    def _check_names(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        NameTable(entries, domains=True)
        return entries

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)
