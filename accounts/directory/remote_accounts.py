"""Accounts at other providers from which mail is fetched. Their passwords are encrypted."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Select, delete, func, insert, select

from accounts.address import AccountAddress
from accounts.directory import fields, mailboxes
from accounts.directory.changes import change_row, differences, expect, told
from accounts.directory.paging import PAGE, page
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write

MAX_ACCOUNTS = 50
"""Maximum number of remote accounts of a mailbox."""
MIN_INTERVAL = 60
MAX_INTERVAL = 7 * 86400
"""Allowed seconds between two checks for new mail."""
MAX_SECRET = 1000
"""Characters of a password."""
DEFAULT_INTERVAL = 300

_PORTS = {
    ("imap", "implicit"): 993,
    ("imap", "starttls"): 143,
    ("pop3", "implicit"): 995,
    ("pop3", "starttls"): 110,
}
"""Ports of IMAP and POP3 (RFC 9051 section 2.1, RFC 1939 section 3, RFC 8314 section 3)."""

_TABLE = schema.remote_account


@dataclass(frozen=True, slots=True)
class RemoteAccount:
    """A remote account, without its password.

    `folder` is the remote folder, `destination` the local one (None: the filters decide).
    `interval` is in seconds, `keep` says whether mail stays on the remote server.
    """

    id: int
    mailbox: str
    protocol: str
    host: str
    port: int
    tls: str
    login: str
    folder: str
    destination: str | None
    interval: int
    keep: bool
    enabled: bool
    version: int
    created: int
    changed: int


class RemoteAccountFields(TypedDict, total=False):
    """The fields that `add` and `change` set."""

    port: int
    tls: str
    folder: str
    destination: str | None
    interval: int
    keep: bool
    enabled: bool


def _host(field: str, value: Any) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        return fields.domain(field, value)


_NAMED: dict[str, fields.FieldCheck] = {
    "protocol": lambda field, value: fields.choice(field, value, ("imap", "pop3")),
    "host": _host,
    "login": fields.name,
}
_CHECKS: dict[str, fields.FieldCheck] = {
    "port": lambda field, value: fields.number(field, value, 1, 65535),
    "tls": lambda field, value: fields.choice(field, value, ("implicit", "starttls")),
    "folder": fields.name,
    "destination": fields.optional(fields.name),
    "interval": lambda field, value: fields.number(field, value, MIN_INTERVAL, MAX_INTERVAL),
    "keep": fields.flag,
    "enabled": fields.flag,
}


def get(connection: Connection, row: int) -> RemoteAccount:
    """Return the remote account with an id; raises `NoSuchObject`."""
    number = fields.number("id", row)
    found = connection.execute(_select().where(_TABLE.c.id == number)).one_or_none()
    if found is None:
        raise NoSuchObject(f"There is no remote account {number}.")
    return RemoteAccount(**found._asdict())


def find(
    connection: Connection,
    *,
    mailbox: str | AccountAddress | None = None,
    after: int | None = None,
    limit: int = PAGE,
) -> list[RemoteAccount]:
    """Return remote accounts after the id `after`: of a mailbox, or all."""
    statement = _select()
    if mailbox is not None:
        statement = statement.where(_TABLE.c.mailbox_id == mailboxes.id_of(connection, mailbox))
    rows = connection.execute(page(statement, _TABLE.c.id, after, limit))
    return [RemoteAccount(**row._asdict()) for row in rows]


def secret(connection: Connection, seal: SecretSeal, account: RemoteAccount) -> str:
    """Return the password; raises `SealError`."""
    sealed = connection.execute(
        select(_TABLE.c.secret).where(_TABLE.c.id == account.id)
    ).scalar_one()
    return seal.open(sealed, purpose(account.protocol, account.host, account.login)).decode()


def add(
    write: Write,
    seal: SecretSeal,
    mailbox: str | AccountAddress,
    /,
    *,
    protocol: str,
    host: str,
    login: str,
    secret: str,
    **values: Unpack[RemoteAccountFields],
) -> RemoteAccount:
    """Add a remote account; raises `SealError` if there is no key to encrypt its password."""
    with write.attempt("remote-account.add", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        named = fields.checked({"protocol": protocol, "host": host, "login": login}, _NAMED)
        defaults: dict[str, Any] = {"tls": "implicit", "interval": DEFAULT_INTERVAL}
        checked = defaults | fields.checked(values, _CHECKS)
        octets = _secret(secret)
        checked.setdefault("port", _PORTS[named["protocol"], checked["tls"]])
        taken = select(_TABLE.c.id).where(
            _TABLE.c.mailbox_id == owner.id,
            *(_TABLE.c[field] == value for field, value in named.items()),
        )
        if write.connection.scalar(taken) is not None:
            raise AlreadyThere(f"{owner.address} has this remote account already.")
        count = select(func.count()).where(_TABLE.c.mailbox_id == owner.id)
        if write.connection.execute(count).scalar_one() >= MAX_ACCOUNTS:
            raise Invalid("host", f"A mailbox has at most {MAX_ACCOUNTS} remote accounts.")
        row = write.connection.execute(
            insert(_TABLE)
            .values(
                mailbox_id=owner.id,
                **named,
                **checked,
                secret=seal.close(octets, purpose(**named)),
                created=write.now,
                changed=write.now,
            )
            .returning(_TABLE.c.id)
        ).scalar_one()
        write.audit("remote-account.add", owner.address, id=row, **named, **checked)
        return get(write.connection, row)


def change(
    write: Write, row: int, version: int | None, /, **values: Unpack[RemoteAccountFields]
) -> RemoteAccount:
    """Change a remote account."""
    with write.attempt("remote-account.change", row):
        before = get(write.connection, row)
        expect(before.version, version)
        checked = differences(before, fields.checked(values, _CHECKS))
        if not checked:
            return before
        change_row(write, _TABLE, before.id, checked)
        write.audit("remote-account.change", before.mailbox, id=row, **told(before, checked))
        return get(write.connection, before.id)


def set_secret(
    write: Write, seal: SecretSeal, row: int, secret: str, version: int | None = None
) -> RemoteAccount:
    """Replace the password."""
    with write.attempt("remote-account.change", row):
        before = get(write.connection, row)
        expect(before.version, version)
        bound = purpose(before.protocol, before.host, before.login)
        change_row(write, _TABLE, before.id, {"secret": seal.close(_secret(secret), bound)})
        write.audit("remote-account.change", before.mailbox, id=row, secret="changed")  # noqa: S106
        return get(write.connection, before.id)


def remove(write: Write, row: int, version: int | None = None) -> None:
    """Remove a remote account; the mail on the remote server stays."""
    with write.attempt("remote-account.remove", row):
        before = get(write.connection, row)
        expect(before.version, version)
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == before.id))
        write.audit(
            "remote-account.remove", before.mailbox, id=row, host=before.host, login=before.login
        )


def purpose(protocol: str, host: str, login: str) -> str:
    """Return the text that a password is bound to."""
    return f"the password of {login} at {host} ({protocol})"


def _secret(value: Any) -> bytes:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SECRET:
        raise Invalid("secret", f"It must have 1 to {MAX_SECRET} characters.")
    try:
        octets = value.encode()
    except UnicodeEncodeError:
        octets = b"\0"
    if any(octet < 0x20 for octet in octets) or not (octets.isascii() or value.isprintable()):
        raise Invalid("secret", "It has a character that cannot be typed.")
    return octets


def _select() -> Select[Any]:
    columns = [column for column in _TABLE.c if column.name not in ("mailbox_id", "secret")]
    return select(*columns, schema.mailbox.c.address.label("mailbox")).join_from(
        _TABLE, schema.mailbox
    )
