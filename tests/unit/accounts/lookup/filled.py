"""Rows of a `World`, written into a real database."""

from sqlalchemy import Connection, Table, create_engine, insert, update
from sqlalchemy.pool import NullPool

from accounts.store import schema
from tests.unit.accounts.lookup.world import NOW, World


def fill(connection: Connection, world: World) -> None:
    """Make the tables and write all rows; the generation is 1."""
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.state).values(id=1, generation=1))
    domains = {}
    for row in world.domains.values():
        domains[row.name] = add(
            connection,
            schema.domain,
            name=row.name,
            catch_all=row.catch_all,
            enabled=row.enabled,
            transport=row.transport,
            is_relay=row.is_relay,
            created=NOW,
            changed=NOW,
        )
    for row in world.domains.values():
        if row.alias_of is not None:
            connection.execute(
                update(schema.domain)
                .where(schema.domain.c.name == row.name)
                .values(alias_of=domains[row.alias_of])
            )
    mailboxes = {}
    for box in world.mailboxes.values():
        domain = domains[box.address.rpartition("@")[2]]
        add_name(connection, box.address, "mailbox", domain)
        mailboxes[box.address] = add(
            connection,
            schema.mailbox,
            domain_id=domain,
            address=box.address,
            enabled=box.enabled,
            may_send=box.may_send,
            may_receive=box.may_receive,
            keep_copy=box.keep_copy,
            store=box.store,
            quota=box.quota,
            created=NOW,
            changed=NOW,
        )
        for place, rule in enumerate(world.rules.get(box.address, ())):
            add(
                connection,
                schema.sieve_rule,
                mailbox_id=mailboxes[box.address],
                position=place,
                name=rule.name,
                enabled=rule.enabled,
                rule=rule.rule,
            )
        for place, target in enumerate(box.forwards):
            connection.execute(
                insert(schema.forward).values(
                    mailbox_id=mailboxes[box.address], position=place, target=target
                )
            )
    for alias in world.aliases.values():
        domain = domains[alias.address.rpartition("@")[2]]
        add_name(connection, alias.address, "alias", domain)
        number = add(
            connection,
            schema.alias,
            domain_id=domain,
            address=alias.address,
            is_wildcard="*" in alias.address,
            enabled=alias.enabled,
            expires=alias.expires,
            members_may_send=alias.members_may_send,
            created=NOW,
            changed=NOW,
        )
        for place, target in enumerate(alias.targets):
            connection.execute(
                insert(schema.alias_target).values(alias_id=number, position=place, target=target)
            )
    for login, sender in world.rights:
        add(connection, schema.sender_right, mailbox_id=mailboxes[login], sender=sender)


def add_name(connection: Connection, address: str, kind: str, domain: int) -> None:
    connection.execute(insert(schema.name).values(address=address, kind=kind, domain_id=domain))


def add(connection: Connection, table: Table, **values: object) -> int:
    done = connection.execute(insert(table).values(**values).returning(table.c.id))
    return int(done.scalar_one())


def fill_file(path: str, world: World) -> None:
    """Make a file of SQLite in WAL mode with all rows."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    with engine.begin() as connection:
        fill(connection, world)
    engine.dispose()
