"""DKIM keys of domains. The private part is encrypted; see `accounts.store.seal`.

A key is `new` until its record is published. Then it is `active`, and signs mail. Then it is
`retired`: its record is still needed to verify mail in transit. A domain signs with one active key
of each algorithm: activating a key retires the previous one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from accounts.directory import domains, fields
from accounts.directory.changes import change_row, expect
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write
from msgauth.domain import MAX_NAME
from msgauth.keys import BadKeyError, SigningKey

MAX_KEYS = 100
"""Maximum number of keys of a domain."""

# RFC 6376 section 3.1: selector = sub-domain *( "." sub-domain ); some zones have an underscore
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")

_TABLE = schema.dkim_key


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key, without its private part. `public_record` is the TXT record for DNS."""

    id: int
    domain: str
    selector: str
    algorithm: str
    """``rsa`` or ``ed25519``."""
    public_record: str
    state: str
    """``new``, ``active`` or ``retired``."""
    version: int
    created: int
    activated: int | None
    retired: int | None

    @property
    def record_name(self) -> str:
        """The name of the record in DNS (RFC 6376 section 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


def get(connection: Connection, domain: str, selector: str) -> DkimKey:
    """Return a key; raises `NoSuchObject`."""
    owner = domains.get(connection, domain)
    sought = _selector("selector", selector)
    statement = _select().where(_TABLE.c.domain_id == owner.id, _TABLE.c.selector == sought)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NoSuchObject(f"{owner.name} has no key with the selector {sought}.")
    return DkimKey(**row._asdict())


def find(
    connection: Connection, *, domain: str | None = None, state: str | None = None
) -> list[DkimKey]:
    """Return the keys of a domain, or of all; in one state, or in all."""
    statement = _select()
    if domain is not None:
        statement = statement.where(_TABLE.c.domain_id == domains.get(connection, domain).id)
    if state is not None:
        sought = fields.choice("state", state, ("new", "active", "retired"))
        statement = statement.where(_TABLE.c.state == sought)
    rows = connection.execute(statement.order_by(schema.domain.c.name, _TABLE.c.selector))
    return [DkimKey(**row._asdict()) for row in rows]


def private(connection: Connection, seal: SecretSeal, key: DkimKey) -> bytes:
    """Return the private key as `msgauth.keys.SigningKey.parse` reads it; raises `SealError`."""
    sealed = connection.execute(select(_TABLE.c.private).where(_TABLE.c.id == key.id)).scalar_one()
    return seal.open(sealed, purpose(key.domain, key.selector))


def add(write: Write, seal: SecretSeal, domain: str, selector: str, *, private: bytes) -> DkimKey:
    """Add a new key, in PEM; raises `SealError` if there is no key to encrypt it with."""
    with write.attempt("dkim-key.add", domain):
        owner = domains.get(write.connection, domain)
        named = _selector("selector", selector)
        if len(f"{named}._domainkey.{owner.name}") > MAX_NAME:
            raise Invalid("selector", f"The name of its record is longer than {MAX_NAME} octets.")
        try:
            key = SigningKey.parse(private)
        except BadKeyError as error:
            raise Invalid("private", f"{error}.") from None
        taken = select(_TABLE.c.id).where(
            _TABLE.c.domain_id == owner.id, _TABLE.c.selector == named
        )
        if write.connection.scalar(taken) is not None:
            raise AlreadyThere(f"{owner.name} has a key with the selector {named} already.")
        count = select(func.count()).where(_TABLE.c.domain_id == owner.id)
        if write.connection.execute(count).scalar_one() >= MAX_KEYS:
            raise Invalid("selector", f"A domain has at most {MAX_KEYS} keys.")
        write.connection.execute(
            insert(_TABLE).values(
                domain_id=owner.id,
                selector=named,
                algorithm=key.type,
                private=seal.close(private, purpose(owner.name, named)),
                public_record=key.public_record(),
                created=write.now,
            )
        )
        write.audit("dkim-key.add", owner.name, selector=named, algorithm=key.type)
        return get(write.connection, owner.name, named)


def activate(write: Write, domain: str, selector: str, version: int | None = None) -> DkimKey:
    """Sign with a key from now on, and retire the active key of the same algorithm."""
    with write.attempt("dkim-key.activate", domain):
        before = get(write.connection, domain, selector)
        expect(before.version, version)
        if before.state == "active":
            return before
        for other in find(write.connection, domain=before.domain, state="active"):
            if other.algorithm == before.algorithm:
                _change(write, other, state="retired", retired=write.now)
        _change(write, before, state="active", activated=write.now, retired=None)
        write.audit("dkim-key.activate", before.domain, selector=before.selector)
        return get(write.connection, before.domain, before.selector)


def retire(write: Write, domain: str, selector: str, version: int | None = None) -> DkimKey:
    """Stop signing with a key, whose record should stay in DNS for some days."""
    with write.attempt("dkim-key.retire", domain):
        before = get(write.connection, domain, selector)
        expect(before.version, version)
        if before.state == "retired":
            return before
        _change(write, before, state="retired", retired=write.now)
        write.audit("dkim-key.retire", before.domain, selector=before.selector)
        return get(write.connection, before.domain, before.selector)


def remove(write: Write, domain: str, selector: str, version: int | None = None) -> None:
    """Remove a key; raises `Invalid` for one that is active."""
    with write.attempt("dkim-key.remove", domain):
        before = get(write.connection, domain, selector)
        expect(before.version, version)
        if before.state == "active":
            raise Invalid("selector", "This key signs mail: retire it first.")
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == before.id))
        write.audit("dkim-key.remove", before.domain, selector=before.selector)


def purpose(domain: str, selector: str) -> str:
    """Return the text that the private part of a key is bound to."""
    return f"the DKIM key {selector}._domainkey.{domain}"


def _change(write: Write, key: DkimKey, **values: Any) -> None:
    change_row(write, _TABLE, key.id, values, is_dated=False)


def _select() -> Select[Any]:
    columns = [column for column in _TABLE.c if column.name not in ("domain_id", "private")]
    return select(*columns, schema.domain.c.name.label("domain")).join_from(_TABLE, schema.domain)


def _selector(field: str, value: Any) -> str:
    # RFC 4343: names in DNS are compared without regard to case
    if isinstance(value, str) and len(value) <= MAX_NAME and _SELECTOR.match(value.lower()):
        return value.lower()
    raise Invalid(
        field,
        "It must have letters, digits and hyphens, in labels of at most 63, separated by dots.",
    )
