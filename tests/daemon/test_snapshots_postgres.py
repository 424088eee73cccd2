"""Snapshots from PostgreSQL: the same as from SQLite."""

from __future__ import annotations

from pathlib import Path

from accounts.directory import (
    aliases,
    dkim_keys,
    domains,
    listed_senders,
    mailboxes,
    preferences,
    sender_rights,
)
from accounts.lookup.terms import LookupTerms
from accounts.snapshots.contents import CONTENTS
from accounts.snapshots.history import Changes, read_changes, read_history
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write
from gatepost.key_pair import new_key
from tests.daemon import accounts_postgres
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts import files
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.test_sender_snapshot import made

SEAL = SecretSeal([b"k" * 32])
KEY = new_key("ed25519")


def fill(write: Write) -> None:
    for name in ("a.example", "a-b.example", "a.b.example"):
        domains.add(write, name)
        dkim_keys.add(write, SEAL, name, "s", private=KEY)
        dkim_keys.activate(write, name, "s")
    domains.add(write, "z.example", alias_of="a.example")
    for name in ("anna", "bob", "jörg", "x-1", "x.1", "x+1", "x_1"):
        mailboxes.add(write, f"{name}@a.example", store="s1")
    targets = ["anna@z.example", "bob@a.example"]
    aliases.add(write, "both@a.example", targets=targets, members_may_send=True)
    aliases.add(write, "nested@a.example", targets=["both@a.example"], members_may_send=True)
    aliases.add(write, "s-*@a.example", targets=["bob@a.example"], members_may_send=True)
    aliases.add(write, "one@a.example", targets=["anna@a.example"], expires=NOW + 5)
    sender_rights.add(write, "bob@a.example", "@a-b.example")
    sender_rights.add(write, "anna@a.example", "@a-b.example")
    sender_rights.add(write, "anna@a.example", "x@far.example")
    preferences.change(write, "anna@a.example", None, greylist=False, spam_junk_score=2.5)
    listed_senders.add(write, "bob@a.example", "allow", "@good.example")


def test_both_databases_make_the_same(postgres: PostgresServer, tmp_path: Path) -> None:
    desks = [Desk(files.make(tmp_path / "a.db")), Desk(accounts_postgres.make(postgres))]
    tags = []
    for desk in desks:
        before = desk.read(read_history)
        desk.write(fill)
        tags.append({name: made(desk, name, LookupTerms(NOW), SEAL).seal.tag for name in CONTENTS})
        changes = desk.read(lambda connection, since=before: read_changes(connection, since))  # type: ignore[misc]
        assert all(content.is_concerned(changes) for content in CONTENTS.values())
        now = desk.read(read_history)
        same = desk.read(lambda connection, since=now: read_changes(connection, since))  # type: ignore[misc]
        assert same == Changes(frozenset())
        desk.close()
    assert tags[0] == tags[1]
