"""Names: each address belongs to one mailbox or one alias, and to a domain of ours."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, insert, select, update

from accounts.address import AccountAddress
from accounts.directory import domains
from accounts.directory.domains import Domain
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

_TABLE = schema.name


def domain_of(connection: Connection, address: AccountAddress) -> Domain:
    """Return the domain of an address; raises `Invalid` if it is not ours."""
    try:
        return domains.get(connection, address.domain)
    except NoSuchObject as error:
        raise Invalid("address", str(error)) from None


def insist_on_free(connection: Connection, address: AccountAddress) -> None:
    """Raise `AlreadyThere` for a name that is taken."""
    kind = connection.scalar(select(_TABLE.c.kind).where(_TABLE.c.address == str(address)))
    if kind is not None:
        article = "an alias" if kind == "alias" else "a mailbox"
        raise AlreadyThere(f"There is already {article} {address}.")


def insist_on_room(connection: Connection, domain: Domain, table: Table) -> None:
    """Raise `Invalid` if a domain has its maximum number of mailboxes or aliases."""
    is_alias = table is schema.alias
    most = domain.max_aliases if is_alias else domain.max_mailboxes
    if most is not None and domains.count(connection, table, domain.id) >= most:
        kind = "aliases" if is_alias else "mailboxes"
        raise Invalid("address", f"{domain.name} has as many {kind} as it may have: {most}.")


def take(write: Write, address: AccountAddress, kind: str, domain: Domain) -> None:
    """Take a name; its mailbox or alias is added next."""
    insist_on_free(write.connection, address)
    write.connection.execute(
        insert(_TABLE).values(address=str(address), kind=kind, domain_id=domain.id)
    )


def give_back(write: Write, address: str) -> None:
    """Remove a name, and its mailbox or alias with it."""
    write.connection.execute(delete(_TABLE).where(_TABLE.c.address == address))


def rename(write: Write, before: str, after: AccountAddress, table: Table, domain: Domain) -> None:
    """Give a mailbox or an alias another name, perhaps in another domain."""
    insist_on_free(write.connection, after)
    write.connection.execute(
        update(_TABLE)
        .where(_TABLE.c.address == before)
        .values(address=str(after), domain_id=domain.id)
    )
    write.connection.execute(
        update(table).where(table.c.address == str(after)).values(domain_id=domain.id)
    )
