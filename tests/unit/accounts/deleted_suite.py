"""Mailboxes that were removed, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from accounts.directory import (
    administrators,
    aliases,
    app_passwords,
    audit,
    deleted_mailboxes,
    domains,
    keeping,
    listed_senders,
    mailboxes,
    preferences,
    remote_accounts,
    sender_rights,
    sieve_rules,
    tokens,
)
from accounts.directory.deleted_mailboxes import LEASE, SETTLING, DeletedMailbox
from accounts.exchange.export import export
from accounts.store import migrate, schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.revisions import REVISIONS
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write
from tests.unit.accounts.desk import HASH, ME, NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase

ANNA = "anna@example.org"
DAY = 86_400
KEEP = 30.0 * DAY
SEAL = SecretSeal([b"k" * 32])
RULE = {"match": "always", "conditions": [], "actions": [{"kind": "discard"}]}


def everything(write: Write) -> None:
    """Give Anna one of everything."""
    mailboxes.change(
        write,
        ANNA,
        None,
        display_name="Anna",
        password=HASH,
        quota=1 << 40,
        forwards=["x@example.net", "a@example.net"],
        may_send=False,
        store="store-1",
    )
    sender_rights.add(write, ANNA, "info@example.net")
    app_passwords.add(write, ANNA, "phone", password=HASH, protocols=["imap"], expires=NOW + 9)
    preferences.change(write, ANNA, None, spam_junk_score=2.5, greylist=False)
    listed_senders.add(write, ANNA, "block", "@spam.example")
    remote_accounts.add(
        write, SEAL, ANNA, protocol="imap", host="imap.example.net", login="x", secret="s3cret"
    )
    sieve_rules.add(write, ANNA, "invoices", rule=RULE)
    tokens.add(write, "mine", scopes=["own"], mailbox=ANNA)


class DeletedSuite(DirectoryBase):
    """The tests."""

    def removed(self, desk: Desk, address: str = ANNA) -> DeletedMailbox:
        desk.write(lambda w: mailboxes.remove(w, address))
        return desk.read(lambda c: deleted_mailboxes.pick(c, address))

    def claim(self, desk: Desk, keep: float = KEEP) -> DeletedMailbox | None:
        now = int(desk.clock.now)
        return desk.run(desk.database.record(lambda c: deleted_mailboxes.claim(c, keep, now)))

    def test_a_removed_mailbox_comes_back_with_everything_but_its_tokens(
        self, filled: Desk
    ) -> None:
        filled.write(everything)
        before = filled.read(lambda c: mailboxes.get(c, ANNA))
        whole = filled.read(lambda c: export(c, seal=SEAL)).mailboxes
        filled.clock.now += 5
        kept = self.removed(filled)
        assert (kept.address, kept.display_name, kept.home) == (ANNA, "Anna", before.home)
        assert (kept.removed, kept.removed_by) == (NOW + 5, ME.name)
        assert (kept.store, kept.octets, kept.claimed) == ("store-1", None, None)
        for table in (*keeping.BELONGINGS, schema.mailbox, schema.name, schema.token):
            assert filled.count(table) == 0, table.name
        # neither the list nor the audit log has the hash
        assert HASH not in str(filled.read(deleted_mailboxes.find))
        assert HASH not in str(filled.read(audit.find))
        filled.clock.now += 5
        made = filled.write(lambda w: deleted_mailboxes.restore(w, "Anna@Example.org"))
        assert (made.home, made.password, made.forwards) == (before.home, HASH, before.forwards)
        assert made.created == before.created
        (again,) = filled.read(lambda c: export(c, seal=SEAL)).mailboxes
        assert again.model_copy(update={"changed": whole[0].changed}) == whole[0]
        assert filled.read(deleted_mailboxes.find) == []
        assert filled.count(schema.token) == 0
        entries = filled.read(lambda c: audit.find(c, object=ANNA, limit=2))
        assert [one.action for one in entries] == ["mailbox.restore", "mailbox.remove"]
        assert {one.details["home"] for one in entries} == {before.home}

    def test_a_new_mailbox_of_the_address_has_another_home(self, filled: Desk) -> None:
        first = self.removed(filled)
        filled.mailbox()
        second = self.removed(filled)
        third = filled.mailbox()
        assert len({first.home, second.home, third.home}) == 3
        told = self.refused(filled, AlreadyThere, lambda w: deleted_mailboxes.restore(w, ANNA))
        assert told == f"There is already a mailbox {ANNA}."
        filled.write(lambda w: mailboxes.rename(w, ANNA, "old@example.org"))
        assert filled.read(lambda c: mailboxes.get(c, "old@example.org")).home == third.home
        # the one that was removed last, unless there is a number
        made = filled.write(lambda w: deleted_mailboxes.restore(w, ANNA, first.id))
        assert made.home == first.home
        self.removed(filled)
        made = filled.write(lambda w: deleted_mailboxes.restore(w, ANNA))
        assert made.home == first.home
        assert [one.home for one in filled.read(deleted_mailboxes.find)] == [second.home]

    def test_a_restore_is_refused_for_a_reason(self, filled: Desk) -> None:
        self.refused(filled, NoSuchObject, lambda w: deleted_mailboxes.restore(w, ANNA))
        kept = self.removed(filled)
        for number in (kept.id + 1, 0):
            told = self.refused(
                filled,
                NoSuchObject,
                lambda w: deleted_mailboxes.restore(w, ANNA, number),  # noqa: B023
            )
            assert told == f"There is no deleted mailbox {ANNA} with the number {number}."
        filled.write(lambda w: aliases.add(w, ANNA, targets=["x@example.net"]))
        told = self.refused(filled, AlreadyThere, lambda w: deleted_mailboxes.restore(w, ANNA))
        assert told == f"There is already an alias {ANNA}."
        filled.write(lambda w: aliases.remove(w, ANNA))
        filled.write(lambda w: domains.change(w, "example.org", None, max_mailboxes=0))
        self.refused(filled, Invalid, lambda w: deleted_mailboxes.restore(w, ANNA))
        filled.write(
            lambda w: domains.change(w, "example.org", None, max_mailboxes=None, max_quota=5)
        )
        self.refused(filled, Invalid, lambda w: deleted_mailboxes.restore(w, ANNA))
        filled.write(lambda w: domains.change(w, "example.org", None, max_quota=None))
        filled.write(lambda w: deleted_mailboxes.restore(w, ANNA))

    def test_a_circle_is_refused(self, filled: Desk) -> None:
        filled.write(lambda w: mailboxes.change(w, ANNA, None, forwards=["list@example.org"]))
        self.removed(filled)
        filled.write(lambda w: aliases.add(w, "list@example.org", targets=[ANNA]))
        self.refused(filled, Invalid, lambda w: deleted_mailboxes.restore(w, ANNA))

    def test_mailboxes_of_a_removed_domain(
        self, filled: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeping, "AT_ONCE", 2)
        filled.write(everything)
        for number in range(4):
            filled.mailbox(f"m{number}@example.org")
        filled.domain("example.net")
        filled.mailbox("zoe@example.net")
        filled.write(lambda w: domains.remove(w, "example.org"))
        kept = filled.read(deleted_mailboxes.find)
        names = [ANNA, *(f"m{number}@example.org" for number in range(4))]
        assert [one.address for one in kept] == names
        told = self.refused(filled, Invalid, lambda w: deleted_mailboxes.restore(w, ANNA))
        assert told == "address: There is no domain example.org."
        filled.domain()
        # the administrator of the new domain may be somebody else
        ada = filled.write(lambda w: administrators.add(w, "ada", domains=["example.org"])).id
        assert filled.read(lambda c: deleted_mailboxes.find(c, administrator=ada)) == []
        for work in (deleted_mailboxes.restore, deleted_mailboxes.expire):
            act: Callable[..., Any] = work
            self.refused(filled, NoSuchObject, lambda w: act(w, ANNA, None, ada))  # noqa: B023
        filled.write(lambda w: deleted_mailboxes.restore(w, ANNA))
        (found,) = filled.read(lambda c: app_passwords.find(c, ANNA))
        assert found.name == "phone"
        self.removed(filled)
        (mine,) = filled.read(lambda c: deleted_mailboxes.find(c, administrator=ada))
        filled.write(lambda w: deleted_mailboxes.restore(w, ANNA, mine.id, ada))

    def test_mail_is_claimed_when_its_time_is_over(self, filled: Desk) -> None:
        kept = self.removed(filled)
        filled.clock.now = NOW + KEEP - 1
        assert self.claim(filled) is None
        filled.clock.now = NOW + KEEP
        found = self.claim(filled)
        assert found is not None
        assert (found.id, found.claimed) == (kept.id, NOW + KEEP)
        # somebody works on it: nobody else, and nobody brings it back
        assert self.claim(filled) is None
        self.refused(filled, Invalid, lambda w: deleted_mailboxes.restore(w, ANNA))
        filled.clock.now += LEASE
        assert self.claim(filled) is not None
        assert filled.write(lambda w: deleted_mailboxes.forget(w, found))
        generation = filled.database.generation
        assert not filled.write(lambda w: deleted_mailboxes.forget(w, found))
        assert filled.database.generation == generation
        assert filled.count(schema.deleted_mailbox) == 0
        entries = filled.read(lambda c: audit.find(c, object=ANNA, limit=1))
        assert (entries[0].action, entries[0].details["home"]) == ("mailbox.purge", kept.home)

    def test_a_restore_that_comes_too_late(
        self, filled: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process claims the mail after the restore has looked."""
        seen = self.removed(filled)
        filled.clock.now = NOW + KEEP
        assert self.claim(filled) is not None
        monkeypatch.setattr(deleted_mailboxes, "pick", lambda *_: seen)
        told = self.refused(filled, Invalid, lambda w: deleted_mailboxes.restore(w, ANNA))
        assert told == f"address: The removal of the mail of {ANNA} has begun."
        assert filled.count(schema.mailbox) == 0

    def test_without_a_time_mail_goes_after_a_minute(self, filled: Desk) -> None:
        self.removed(filled)
        filled.clock.now = NOW + SETTLING - 1
        assert self.claim(filled, 0.0) is None
        filled.clock.now += 1
        assert self.claim(filled, 0.0) is not None

    def test_mail_that_is_to_go_goes_before_its_time(self, filled: Desk) -> None:
        self.refused(filled, NoSuchObject, lambda w: deleted_mailboxes.expire(w, ANNA))
        self.removed(filled)
        for _ in range(2):
            assert filled.write(lambda w: deleted_mailboxes.expire(w, ANNA)).is_due
        entries = filled.read(lambda c: audit.find(c, object=ANNA, limit=2))
        assert [one.action for one in entries] == ["mailbox.expire", "mailbox.remove"]
        assert self.claim(filled) is None
        filled.clock.now = NOW + SETTLING
        assert self.claim(filled) is not None

    def test_sizes(self, filled: Desk) -> None:
        kept = self.removed(filled)

        def unknown(connection: Connection) -> list[int]:
            return [one.id for one in deleted_mailboxes.without_size(connection, NOW, 5)]

        assert filled.read(unknown) == [kept.id]
        filled.run(filled.database.record(lambda c: deleted_mailboxes.note_size(c, kept, 1 << 40)))
        assert filled.read(unknown) == []
        assert filled.read(lambda c: deleted_mailboxes.pick(c, ANNA)).octets == 1 << 40

    def test_lists_have_pages(self, filled: Desk) -> None:
        for _ in range(3):
            self.removed(filled)
            filled.mailbox()
        filled.mailbox("ben@example.org")
        self.removed(filled, "ben@example.org")
        first = filled.read(lambda c: deleted_mailboxes.find(c, limit=2))
        rest = filled.read(lambda c: deleted_mailboxes.find(c, after=first[-1].id))
        assert [one.address for one in (*first, *rest)] == [ANNA, ANNA, ANNA, "ben@example.org"]
        assert len(filled.read(lambda c: deleted_mailboxes.find(c, text="BEN"))) == 1
        assert len(filled.read(lambda c: deleted_mailboxes.find(c, address=ANNA))) == 3

    def test_a_home_is_taken_from_an_export_once(self, filled: Desk) -> None:
        def add(address: str, home: Any) -> Callable[[Write], Any]:
            return lambda w: mailboxes.add(w, address, home=home)

        home = filled.read(lambda c: mailboxes.get(c, ANNA)).home
        told = self.refused(filled, AlreadyThere, add("ben@example.org", home))
        assert told == f"The folder {home} has the mail of the mailbox {ANNA}."
        self.removed(filled)
        told = self.refused(filled, AlreadyThere, add("ben@example.org", home))
        assert told == f"The folder {home} has the mail of the deleted mailbox {ANNA}."
        leaving = ("../a", "a/..", "./a", "a/.", "/a", "a/")
        for wrong in (*leaving, "", "a", "a/b/c", "a/\n", "a/\0", 1, f"a/{'b' * 400}"):
            self.refused(filled, Invalid, add("ben@example.org", wrong))
        made = filled.write(add("ben@example.org", "example.org/ben"))
        assert made.home == "example.org/ben"
        # an import brings back what was removed since the export
        assert filled.write(add(ANNA, home)).home == home
        assert filled.count(schema.deleted_mailbox) == 0

    def test_a_restore_survives_other_columns(self, filled: Desk) -> None:
        """A later version may have other columns than the one that wrote the record."""
        kept = self.removed(filled)
        table = schema.deleted_mailbox

        def age(connection: Connection) -> None:
            written = connection.scalar(select(table.c.belongings))
            assert written is not None
            written["mailbox"]["former"] = 1
            del written["mailbox"]["may_send"]
            written["former"] = [{"x": 1}]
            connection.execute(update(table).values(belongings=written))

        filled.run(filled.database.record(age))
        made = filled.write(lambda w: deleted_mailboxes.restore(w, ANNA))
        assert (made.home, made.may_send) == (kept.home, True)

    def test_mail_from_before_stays_where_it_is(self) -> None:
        settings = self.make()
        migrate.downgrade(settings, REVISIONS[1])

        def fill(connection: Connection) -> None:
            row = {"created": 1, "changed": 1}
            connection.execute(insert(schema.domain).values(id=1, name="example.org", **row))
            for number, address in enumerate((ANNA, "o'x+y@example.org"), 1):
                named = {"address": address, "domain_id": 1}
                connection.execute(insert(schema.name).values(kind="mailbox", **named))
                connection.execute(insert(schema.mailbox).values(id=number, **named, **row))

        migrate._run(settings, fill)
        migrate.upgrade(settings)
        desk = Desk(settings)
        found = {one.address: one.home for one in desk.read(mailboxes.find)}
        assert found == {ANNA: "example.org/anna", "o'x+y@example.org": "example.org/o'x+y"}
        desk.write(lambda w: mailboxes.remove(w, ANNA))
        assert desk.mailbox().home.startswith("example.org/anna-")
        desk.close()
