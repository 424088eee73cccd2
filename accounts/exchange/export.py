"""Export of a datastore as a document."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Select, Table, select

from accounts.directory import dkim_keys, remote_accounts
from accounts.exchange.document import Document
from accounts.store import schema
from accounts.store.seal import SecretSeal

Secrets: TypeAlias = Literal["clear", "sealed", "none"]
"""Private DKIM keys and passwords of remote accounts: in clear text, as the datastore encrypted
them (of use only with the same key file), or left out. Hashes of passwords are always there."""

_Rows: TypeAlias = Mapping[int, Sequence[dict[str, Any]]]


def export(
    connection: Connection,
    *,
    seal: SecretSeal,
    secrets: Secrets = "clear",
    domains: Collection[str] | None = None,
    now: int | None = None,
) -> Document:
    """Return everything of the datastore but tokens and the audit log.

    `domains`: only the mailboxes and aliases of these; all domains are there. `now` is noted as the
    time of writing. Raises `SealError` if `secrets` is `clear` and a secret cannot be decrypted.
    """
    return _Export(connection, seal, secrets, domains).document(now)


class _Export:
    def __init__(
        self,
        connection: Connection,
        seal: SecretSeal,
        secrets: Secrets,
        domains: Collection[str] | None,
    ) -> None:
        self._connection = connection
        self._seal = seal
        self._secrets = secrets
        statement = select(schema.domain.c.id, schema.domain.c.name)
        self._names = {row.id: row.name for row in connection.execute(statement)}
        self._only = domains

    def document(self, now: int | None) -> Document:
        """Return the whole document."""
        head = {"format": "gatepost accounts", "version": 1}
        if now is not None:
            head["written"] = now
        return Document.model_validate(
            head
            | {
                "domains": self._domains(),
                "mailboxes": self._mailboxes(),
                "aliases": self._aliases(),
                "administrators": self._administrators(),
            }
        )

    def _of_domains(self, statement: Select[Any], column: Any) -> Select[Any]:
        """Restrict a statement to the domains that are asked for."""
        if self._only is None:
            return statement
        ids = [row for row, name in self._names.items() if name in self._only]
        return statement.where(column.in_(ids))

    def _domains(self) -> tuple[dict[str, Any], ...]:
        table, keys = schema.domain, schema.dkim_key
        found = self._grouped(
            select(keys).order_by(keys.c.domain_id, keys.c.selector), "domain_id", self._key
        )
        wishes = self._grouped(select(schema.domain_preference), "domain_id", _wishes)
        allowed, blocked = self._listed_by_domains("allow"), self._listed_by_domains("block")
        made = []
        for row in self._connection.execute(select(table).order_by(table.c.name)).mappings():
            values = _without(row, "id", "version")
            values["preferences"] = next(iter(wishes.get(row["id"], ())), None)
            values["allowed_senders"] = allowed.get(row["id"], ())
            values["blocked_senders"] = blocked.get(row["id"], ())
            values["alias_of"] = self._names.get(row["alias_of"])
            values["dkim_keys"] = tuple(found.get(row["id"], ()))
            made.append(values)
        return tuple(made)

    def _listed_by_domains(self, kind: str) -> dict[int, tuple[str, ...]]:
        table = schema.domain_listed_sender
        statement = select(table.c.domain_id, table.c.pattern).where(table.c.kind == kind)
        found: dict[int, list[str]] = {}
        for owner, pattern in self._connection.execute(statement.order_by(*table.primary_key)):
            found.setdefault(owner, []).append(pattern)
        return {owner: tuple(patterns) for owner, patterns in found.items()}

    def _key(self, row: Mapping[str, Any]) -> dict[str, Any]:
        purpose = dkim_keys.purpose(self._names[row["domain_id"]], row["selector"])
        values = _without(row, "id", "domain_id", "version")
        return values | {"private": self._secret(row["private"], purpose)}

    def _secret(self, sealed: bytes, purpose: str) -> dict[str, str]:
        if self._secrets == "none":
            return {}
        if self._secrets == "sealed":
            return {"sealed": base64.b64encode(sealed).decode()}
        return {"clear": self._seal.open(sealed, purpose).decode()}

    def _mailboxes(self) -> tuple[dict[str, Any], ...]:
        table = schema.mailbox
        forwards = self._addresses(schema.forward, "target", "position")
        rights = self._addresses(schema.sender_right, "sender", "sender")
        allowed = self._addresses(schema.listed_sender, "pattern", "pattern", kind="allow")
        blocked = self._addresses(schema.listed_sender, "pattern", "pattern", kind="block")
        passwords = self._parts(schema.app_password, "name", _app_password)
        rules = self._parts(schema.sieve_rule, "position", _rule)
        accounts = self._parts(schema.remote_account, "id", self._account)
        preferences = self._parts(schema.preference, "mailbox_id", _wishes)
        made = []
        statement = self._of_domains(select(table), table.c.domain_id).order_by(table.c.address)
        for row in self._connection.execute(statement).mappings():
            values = _without(row, "id", "domain_id", "kind", "version", "locked_until")
            number = row["id"]
            made.append(
                values
                | {
                    "home": row["home"] or None,
                    "forwards": forwards.get(number, ()),
                    "rights": rights.get(number, ()),
                    "app_passwords": tuple(passwords.get(number, ())),
                    "sieve_rules": tuple(rules.get(number, ())),
                    "preferences": next(iter(preferences.get(number, ())), None),
                    "allowed_senders": allowed.get(number, ()),
                    "blocked_senders": blocked.get(number, ()),
                    "remote_accounts": tuple(accounts.get(number, ())),
                }
            )
        return tuple(made)

    def _account(self, row: Mapping[str, Any]) -> dict[str, Any]:
        purpose = remote_accounts.purpose(row["protocol"], row["host"], row["login"])
        values = _without(row, "id", "mailbox_id", "version")
        return values | {"secret": self._secret(row["secret"], purpose)}

    def _parts(
        self, table: Table, order: str, make: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> _Rows:
        """Return what belongs to mailboxes, by their ids."""
        statement = select(table).order_by(table.c.mailbox_id, table.c[order])
        return self._grouped(self._of_mailboxes(statement, table), "mailbox_id", make)

    def _addresses(
        self, table: Table, column: str, order: str, kind: str | None = None
    ) -> dict[int, tuple[str, ...]]:
        statement = select(table.c.mailbox_id, table.c[column])
        if kind is not None:
            statement = statement.where(table.c.kind == kind)
        statement = self._of_mailboxes(statement, table)
        found: dict[int, list[str]] = {}
        ordered = statement.order_by(table.c.mailbox_id, table.c[order])
        for row in self._connection.execute(ordered):
            found.setdefault(row[0], []).append(row[1])
        return {owner: tuple(addresses) for owner, addresses in found.items()}

    def _of_mailboxes(self, statement: Select[Any], table: Table) -> Select[Any]:
        if self._only is None:
            return statement
        mailbox = schema.mailbox
        joined = statement.join(mailbox, mailbox.c.id == table.c.mailbox_id)
        return self._of_domains(joined, mailbox.c.domain_id)

    def _grouped(
        self,
        statement: Select[Any],
        owner: str,
        make: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> _Rows:
        found: dict[int, list[dict[str, Any]]] = {}
        for row in self._connection.execute(statement).mappings():
            found.setdefault(row[owner], []).append(make(dict(row)))
        return found

    def _aliases(self) -> tuple[dict[str, Any], ...]:
        table, target = schema.alias, schema.alias_target
        targets: dict[int, list[str]] = {}
        listed = select(target.c.alias_id, target.c.target)
        if self._only is not None:
            joined = listed.join(table, table.c.id == target.c.alias_id)
            listed = self._of_domains(joined, table.c.domain_id)
        ordered = listed.order_by(target.c.alias_id, target.c.position)
        for row in self._connection.execute(ordered):
            targets.setdefault(row.alias_id, []).append(row.target)
        statement = self._of_domains(select(table), table.c.domain_id).order_by(table.c.address)
        return tuple(
            _without(row, "id", "domain_id", "kind", "version", "is_wildcard")
            | {"targets": tuple(targets.get(row["id"], ()))}
            for row in self._connection.execute(statement).mappings()
        )

    def _administrators(self) -> tuple[dict[str, Any], ...]:
        table, link = schema.administrator, schema.administrator_domain
        domains: dict[int, list[str]] = {}
        for row in self._connection.execute(select(link)):
            domains.setdefault(row.administrator_id, []).append(self._names[row.domain_id])
        return tuple(
            _without(row, "id", "version") | {"domains": tuple(sorted(domains.get(row["id"], ())))}
            for row in self._connection.execute(select(table).order_by(table.c.login)).mappings()
        )


def _without(row: Mapping[Any, Any], *columns: str) -> dict[str, Any]:
    return {str(column): value for column, value in row.items() if column not in columns}


def _app_password(row: Mapping[str, Any]) -> dict[str, Any]:
    values = _without(row, "id", "mailbox_id")
    return values | {"protocols": tuple(values["protocols"].split())}


def _rule(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": row["name"], "enabled": row["enabled"], "rule": row["rule"]}


def _wishes(row: Mapping[str, Any]) -> dict[str, Any]:
    values = _without(row, "mailbox_id", "domain_id", "version")
    return values | {"languages": tuple(row["languages"].split())}
