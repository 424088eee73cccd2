"""Behaviour of the datastore in every database, as a class of tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from accounts.directory import audit, domains, mailboxes
from accounts.store import migrate, schema
from accounts.store.database import Database
from accounts.store.errors import AlreadyThere, DatastoreError, Invalid, NoSuchObject
from accounts.store.revisions import REVISIONS
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from gatepost.errors import StartError
from tests.unit.accounts.desk import ME, NOW, Desk


def enter(write: Write) -> str:
    write.audit("test", "something", field=["a", "b"])
    return "done"


class DatabaseSuite:
    """The tests. `make()` makes a database, with its tables or without."""

    def make(self, *, migrated: bool = True) -> DatabaseSettings:
        raise NotImplementedError

    @pytest.fixture
    def desk(self) -> Iterator[Desk]:
        desk = Desk(self.make())
        yield desk
        desk.close()

    # transactions

    def test_a_write_returns_what_was_done_and_it_is_kept(self, desk: Desk) -> None:
        assert desk.write(enter) == "done"
        (entry,) = desk.read(audit.find)
        assert entry == audit.AuditEntry(
            entry.id, NOW, ME.name, ME.client, "test", "something", {"field": ["a", "b"]}
        )

    def test_each_change_raises_the_generation_by_one(self, desk: Desk) -> None:
        before = desk.database.generation
        desk.write(enter)
        desk.write(enter)
        assert desk.database.generation == before + 2

    def test_a_transaction_that_changes_nothing_leaves_the_generation(self, desk: Desk) -> None:
        desk.write(enter)
        desk.write(lambda write: None)
        assert desk.database.generation == 1
        assert len(desk.read(audit.find)) == 1

    def test_what_an_error_leaves_is_nothing(self, desk: Desk) -> None:
        def fail(write: Write) -> None:
            domains.add(write, "example.org")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            desk.write(fail)
        assert desk.read(domains.find) == []
        assert desk.read(audit.find) == []
        assert desk.run(desk.database.wait_for_change(1, 0)) == 0

    def test_a_refusal_is_in_the_audit_log_and_changes_nothing(self, desk: Desk) -> None:
        def refuse(write: Write) -> None:
            domains.add(write, "example.org")
            domains.add(write, "no domain\0\x1b[31m")

        with pytest.raises(Invalid):
            desk.write(refuse)
        assert desk.read(domains.find) == []
        assert desk.database.generation == 0
        (entry,) = desk.read(audit.find)
        assert (entry.action, entry.object) == ("domain.add", "no domain\\x00\\x1b[31m")
        assert entry.client == ME.client
        assert "is not a domain name" in entry.details["refused"]

    def test_a_refusal_that_is_caught_undoes_its_own_part_alone(self, desk: Desk) -> None:
        def add_some(write: Write) -> None:
            domains.add(write, "example.org")
            mailboxes.add(write, "anna@example.org")
            with pytest.raises(Invalid):  # found when all is written
                mailboxes.add(write, "ben@example.org", forwards=["ben@example.org"])
            mailboxes.add(write, "carl@example.org")

        desk.write(add_some)
        assert [box.address for box in desk.read(mailboxes.find)] == [
            "anna@example.org",
            "carl@example.org",
        ]
        assert [entry.object for entry in desk.read(audit.find)] == [
            "carl@example.org",
            "anna@example.org",
            "example.org",
        ]

    def test_actors_are_made_fit_to_be_read(self, desk: Desk) -> None:
        desk.write(enter, Actor("a\0\n\ud800" + "x" * 1000, "\x1b[2J"))
        (entry,) = desk.read(audit.find)
        assert entry.actor.startswith("a\\x00\\n\\ud800xxx")
        assert len(entry.actor) < 500
        assert entry.client == "\\x1b[2J"

    def test_a_rehearsal_returns_what_would_be_and_keeps_nothing(self, desk: Desk) -> None:
        made = desk.run(desk.database.rehearse(ME, lambda write: domains.add(write, "example.org")))
        assert made.name == "example.org"
        assert desk.read(domains.find) == []
        assert desk.read(audit.find) == []
        with pytest.raises(Invalid):
            desk.run(desk.database.rehearse(ME, lambda write: domains.add(write, "-")))

    def test_what_is_recorded_is_no_change(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        before = desk.database.generation
        desk.run(
            desk.database.record(
                lambda connection: mailboxes.note_login(connection, "anna@example.org", NOW)
            )
        )
        box = desk.read(lambda connection: mailboxes.get(connection, "anna@example.org"))
        assert (box.last_login, box.version) == (NOW, 1)
        assert desk.run(desk.database.wait_for_change(before, 0.5)) == before
        assert len(desk.read(audit.find)) == 2

    def test_what_a_reader_writes_is_not_kept(self, desk: Desk) -> None:
        def write(connection: Connection) -> None:
            connection.execute(insert(schema.audit).values(ENTRY))

        with contextlib.suppress(DatastoreError):  # PostgreSQL refuses it
            desk.read(write)
        assert desk.read(audit.find) == []

    def test_writers_in_two_places_are_one_after_another(self, desk: Desk) -> None:
        desk.domain(max_mailboxes=30)

        async def write_at_once() -> list[mailboxes.Mailbox | BaseException]:
            async with Database.open(desk.settings) as other:

                def add(number: int) -> Callable[[Write], mailboxes.Mailbox]:
                    return lambda write: mailboxes.add(write, f"u{number}@example.org")

                return await asyncio.gather(
                    *(desk.database.write(ME, add(number)) for number in range(25)),
                    *(other.write(ME, add(number)) for number in range(25, 50)),
                    return_exceptions=True,
                )

        results = desk.run(write_at_once())
        # the limit that each of them has looked at holds
        assert sum(isinstance(result, mailboxes.Mailbox) for result in results) == 30
        assert sum(isinstance(result, Invalid) for result in results) == 20
        assert desk.count(schema.mailbox) == 30
        assert desk.run(desk.database.wait_for_change(-1, 0)) >= 1
        assert desk.read(lambda c: c.scalar(select(schema.state.c.generation))) == 31

    def test_a_change_is_heard_of_here(self, desk: Desk) -> None:
        async def scene() -> int:
            waiting = asyncio.create_task(desk.database.wait_for_change(0, 60))
            await asyncio.sleep(0)
            await desk.database.write(ME, enter)
            return await waiting

        assert desk.run(scene()) == 1

    def test_a_change_is_heard_of_elsewhere(self, desk: Desk) -> None:
        async def scene() -> list[int]:
            async with Database.open(desk.settings) as other:
                heard = []
                for generation in range(3):
                    waiting = asyncio.create_task(other.wait_for_change(generation, 60))
                    await asyncio.sleep(0)
                    await desk.database.write(ME, enter)
                    heard.append(await waiting)
                return heard

        assert desk.run(scene()) == [1, 2, 3]

    def test_without_a_change_the_wait_ends(self, desk: Desk) -> None:
        assert desk.run(desk.database.wait_for_change(0, 0.3)) == 0

    def test_a_generation_that_is_lower_after_a_restore_is_heard_of(self, desk: Desk) -> None:
        for _ in range(3):
            desk.write(enter)

        def restore(connection: Connection) -> None:
            connection.execute(update(schema.state).values(generation=1))

        async def scene() -> int:
            async with Database.open(desk.settings) as other:
                assert other.generation == 3
                await desk.database.record(restore)
                return await other.wait_for_change(3, 60)

        assert desk.run(scene()) == 1

    # migrations

    def test_the_migrations_make_the_tables_of_the_code(self, desk: Desk) -> None:
        def compare(connection: Connection) -> list[Any]:
            here = connection.dialect.name

            def belongs(item: Any, _name: Any, _kind: str, reflected: bool, _other: Any) -> bool:
                # what the database has always counts, so that it must be in the code
                return reflected or item.info.get(schema.DIALECT, here) == here

            options = {"compare_type": True, "include_object": belongs}
            context = MigrationContext.configure(connection, opts=options)
            return list(compare_metadata(context, schema.metadata))

        assert desk.read(compare) == []

    def test_the_tables_are_made_alike_by_migrations_and_by_the_code(self) -> None:
        migrated, made = self.make(), self.make(migrated=False)

        def work(connection: Connection) -> None:
            schema.metadata.create_all(connection)

        migrate._run(made, work)
        described = [migrate._run(one, self.describe) for one in (migrated, made)]
        assert described[0] == described[1]
        assert len(described[0]) >= len(schema.metadata.tables)

    def describe(self, connection: Connection) -> dict[str, Any]:
        """Return all that the database says of tables, indexes and constraints."""
        raise NotImplementedError

    def test_migrations_go_up_down_and_up_again(self) -> None:
        settings = self.make(migrated=False)
        assert migrate.upgrade(settings) == (None, REVISIONS[-1])
        assert migrate.upgrade(settings) == (REVISIONS[-1], REVISIONS[-1])
        assert migrate.current(settings) == REVISIONS[-1]
        desk = Desk(settings)
        desk.domain()
        desk.mailbox(forwards=["x@example.net"])
        desk.close()
        for revision in (*reversed(REVISIONS[:-1]), migrate.NOTHING):
            migrate.downgrade(settings, revision)
        assert migrate.current(settings) is None
        assert set(migrate._run(settings, self.describe)) <= {"alembic_version"}
        migrate.upgrade(settings)
        desk = Desk(settings)
        assert desk.read(domains.find) == []
        desk.domain()
        desk.close()

    def test_a_migration_that_fails_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = self.make(migrated=False)
        upgrade = command.upgrade

        def break_off(*arguments: Any) -> None:
            upgrade(*arguments)
            raise ZeroDivisionError

        monkeypatch.setattr(command, "upgrade", break_off)
        with pytest.raises(ZeroDivisionError):
            migrate.upgrade(settings)
        monkeypatch.undo()
        assert migrate._run(settings, self.describe) == {}
        assert migrate.upgrade(settings) == (None, REVISIONS[-1])

    def test_a_revision_that_is_none(self) -> None:
        with pytest.raises(StartError, match=r"there is no revision '9999': write base, 0001"):
            migrate.downgrade(self.make(), "9999")

    def test_data_of_a_later_version_are_left_alone(self) -> None:
        settings = self.make()
        self.set_revision(settings, "0999")
        with pytest.raises(StartError, match=r"later version of Gatepost \(revision '0999'"):
            Database.open(settings)
        for change in (migrate.upgrade, lambda one: migrate.downgrade(one, migrate.NOTHING)):
            with pytest.raises(StartError, match="only that version can change them"):
                change(settings)

    def test_data_of_an_earlier_version_are_not_served(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = self.make()
        monkeypatch.setattr("accounts.store.revisions.REVISIONS", (*REVISIONS, "0998"))
        with pytest.raises(StartError, match=r"earlier version .* `gatepost accounts migrate`"):
            Database.open(settings)

    def test_a_database_without_data_is_not_served(self) -> None:
        with pytest.raises(StartError, match="`gatepost accounts migrate`"):
            Database.open(self.make(migrated=False))

    def set_revision(self, settings: DatabaseSettings, revision: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})

        migrate._run(settings, work)

    # what the database itself refuses

    def refused(self, desk: Desk, *statements: Any) -> None:
        def work(connection: Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        with pytest.raises((Invalid, AlreadyThere)):
            desk.run(desk.database.record(work))

    def test_the_audit_log_is_only_ever_appended_to(self, desk: Desk) -> None:
        desk.write(enter)
        self.refused(desk, update(schema.audit).values(actor="somebody else"))
        self.refused(desk, delete(schema.audit))
        assert len(desk.read(audit.find)) == 1

    def test_a_name_is_not_a_mailbox_and_an_alias(self, desk: Desk) -> None:
        domain = desk.domain().id
        desk.mailbox()
        row = {"domain_id": domain, "address": "anna@example.org", "created": 1, "changed": 1}
        self.refused(desk, insert(schema.alias).values(row))
        self.refused(
            desk,
            insert(schema.name).values(address=row["address"], kind="alias", domain_id=domain),
        )
        self.refused(desk, insert(schema.alias).values(row | {"kind": "mailbox"}))
        self.refused(desk, insert(schema.mailbox).values(row | {"address": "nameless@example.org"}))

    @pytest.mark.parametrize(
        ("table", "values"),
        [
            (schema.state, {"id": 2, "generation": 0}),
            (schema.domain, {"name": "example.org", "created": 1, "changed": 1}),
            (schema.domain, {"name": "a.example", "alias_of": 99, "created": 1, "changed": 1}),
            (schema.domain, {"name": "a.example", "max_quota": -1, "created": 1, "changed": 1}),
            (schema.forward, {"mailbox_id": 99, "position": 0, "target": "a@example.net"}),
            (schema.listed_sender, {"mailbox_id": 1, "kind": "maybe", "pattern": "a@b.example"}),
            (
                schema.administrator,
                {"login": "a", "role": "king", "created": 1, "changed": 1},
            ),
            (schema.token, {"name": "a", "digest": b"short", "scopes": "a", "created": 1}),
        ],
    )
    def test_constraints(self, desk: Desk, table: Any, values: dict[str, Any]) -> None:
        desk.domain()
        desk.mailbox()
        self.refused(desk, insert(table).values(values))

    def test_a_domain_signs_with_one_key_of_an_algorithm(self, desk: Desk) -> None:
        row = {
            "domain_id": desk.domain().id,
            "algorithm": "rsa",
            "private": b"x",
            "public_record": "x",
            "state": "active",
            "created": 1,
        }
        self.refused(
            desk,
            insert(schema.dkim_key).values(row | {"selector": "a"}),
            insert(schema.dkim_key).values(row | {"selector": "b"}),
        )

    def test_what_belongs_to_a_domain_goes_with_it(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox(forwards=["x@example.net"])
        desk.alias("info@example.org", "anna@example.org")
        desk.write(lambda write: domains.remove(write, "example.org"))
        for table in schema.metadata.sorted_tables:
            if table.name not in ("state", "audit", "deleted_mailbox"):
                assert desk.count(table) == 0, table.name
        assert desk.count(schema.deleted_mailbox) == 1

    def test_an_error_of_the_driver_does_not_leave(self, desk: Desk) -> None:
        def nonsense(connection: Connection) -> None:
            connection.execute(text("SELECT * FROM nowhere"))

        for call in (desk.database.read, desk.database.record):
            with pytest.raises(DatastoreError) as caught:
                desk.run(call(nonsense))
            assert "\n" not in str(caught.value)
            assert isinstance(caught.value.__cause__, DBAPIError)
        # and the connection is as good as before
        assert desk.write(enter) == "done"

    def test_not_found_is_no_unavailable(self, desk: Desk) -> None:
        with pytest.raises(NoSuchObject):
            desk.read(lambda connection: domains.get(connection, "example.org"))


ENTRY = {"at": 1, "actor": "a", "action": "b", "object": "c", "details": {}}
