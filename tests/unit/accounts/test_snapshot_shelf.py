"""Snapshots of a datastore: their content, when they are made again, and who waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from accounts.directory import (
    aliases,
    app_passwords,
    audit,
    dkim_keys,
    domain_preferences,
    domains,
    listed_senders,
    mailboxes,
    preferences,
    sender_rights,
)
from accounts.lookup.terms import LookupTerms
from accounts.snapshots import making
from accounts.snapshots.access import Access, TokenError, Tokens, access_of
from accounts.snapshots.contents import CONTENTS, SnapshotInputs
from accounts.snapshots.history import note_restore, read_history
from accounts.snapshots.making import MadeSnapshot
from accounts.snapshots.settings import SnapshotSettings
from accounts.snapshots.shelf import SnapshotShelf
from accounts.store import schema
from accounts.store.errors import DatastoreUnavailable
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write
from gatepost.config import SecretFile
from gatepost.key_pair import new_key
from gatepost.snapshots.form import parse
from gatepost.snapshots.recipients import RecipientPreferences, check_recipients
from msgauth.mail_address import MailAddress
from tests.unit.accounts import files
from tests.unit.accounts.desk import HASH, ME, NOW, OTHER_HASH, Desk
from tests.unit.accounts.test_sender_snapshot import made, unpacked

SEAL = SecretSeal([b"k" * 32])


class Bench:
    """A datastore with two mailboxes, and a shelf with clocks of the test."""

    def __init__(self, path: Path) -> None:
        self.desk = Desk(files.make(path))
        self.desk.domain()
        self.desk.mailbox("anna@example.org", password=HASH)
        self.desk.mailbox("bob@example.org", password=HASH)
        self.now = NOW
        self.delimiter = "+"
        self.seal = SEAL
        self.monotonic = 100.0
        self.shelf = SnapshotShelf(
            self.desk.database,
            lambda: SnapshotInputs(LookupTerms(self.now, self.delimiter), self.seal),
            lambda: self.monotonic,
        )
        self.ended = asyncio.Event()

    def get(self, name: str, tag: str = "") -> MadeSnapshot:
        """Return the snapshot as it is now."""
        self.monotonic += 100
        return self.desk.run(self.shelf.wait(name, tag, 0, self.ended))[0]

    def write(self, work: Callable[[Write], Any]) -> None:
        self.desk.write(work)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made_bench = Bench(tmp_path / "accounts.db")
    yield made_bench
    made_bench.desk.close()


def add_key(bench: Bench, selector: str, domain: str = "example.org") -> bytes:
    pem = new_key("ed25519")
    bench.write(lambda w: dkim_keys.add(w, SEAL, domain, selector, private=pem))
    return pem


ANNA = "anna@example.org"
KEY = new_key("ed25519")

CHANGES: dict[str, tuple[Callable[[Write], Any], set[str]]] = {
    "password": (lambda w: mailboxes.change(w, ANNA, None, password=OTHER_HASH), set()),
    "name": (lambda w: mailboxes.change(w, ANNA, None, display_name="A"), set()),
    "app": (
        lambda w: app_passwords.add(w, ANNA, "phone", password=HASH, protocols=["imap"]),
        set(),
    ),
    "may_send": (lambda w: mailboxes.change(w, ANNA, None, may_send=False), {"senders"}),
    "off": (lambda w: mailboxes.change(w, ANNA, None, enabled=False), {"senders"}),
    "store": (lambda w: mailboxes.change(w, ANNA, None, store="s2"), {"stores"}),
    "new": (lambda w: mailboxes.add(w, "carl@example.org"), {"senders"}),
    "rename": (lambda w: mailboxes.rename(w, ANNA, "anne@example.org"), {"senders"}),
    "gone": (lambda w: mailboxes.remove(w, ANNA), {"senders"}),
    "right": (lambda w: sender_rights.add(w, ANNA, "@far.example"), {"senders"}),
    "greylist": (
        lambda w: preferences.change(w, ANNA, None, greylist=False),
        {"recipients"},
    ),
    "domain block": (
        lambda w: listed_senders.OF_DOMAIN.add(w, "example.org", "block", "@spam.example"),
        {"recipients"},
    ),
    "domain preferences": (
        lambda w: domain_preferences.change(w, "example.org", None, languages=("en",)),
        {"recipients"},
    ),
    "block": (
        lambda w: listed_senders.add(w, ANNA, "block", "@spam.example"),
        {"recipients"},
    ),
    "alias": (
        lambda w: aliases.add(w, "i@example.org", targets=[ANNA], members_may_send=True),
        {"senders"},
    ),
    "domain": (lambda w: domains.add(w, "example.net"), {"senders", "recipients"}),
    "domain off": (
        lambda w: domains.change(w, "example.org", None, enabled=False),
        {"senders", "recipients"},
    ),
    "key": (lambda w: dkim_keys.add(w, SEAL, "example.org", "s", private=KEY), set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_concerns_those_that_have_it(bench: Bench, change: str) -> None:
    work, concerned = CHANGES[change]
    before = {name: bench.get(name).tag for name in CONTENTS}
    bench.write(work)
    after = {name: bench.get(name).tag for name in CONTENTS}
    assert {name for name in CONTENTS if before[name] != after[name]} == concerned
    # what is not made again is what would be made
    for name in CONTENTS:
        anew = made(bench.desk, name, LookupTerms(NOW), SEAL)
        assert anew.seal.tag == after[name]


def test_nothing_is_made_again_for_what_does_not_concern_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    real = making.make

    def counted(connection: Any, name: str, *rest: Any) -> MadeSnapshot:
        built.append(name)
        return real(connection, name, *rest)

    monkeypatch.setattr("accounts.snapshots.shelf.make", counted)
    for name in CONTENTS:
        bench.get(name)
        bench.get(name)
    assert built == list(CONTENTS)
    built.clear()
    bench.write(CHANGES["password"][0])
    bench.write(CHANGES["app"][0])
    for name in CONTENTS:
        bench.get(name)
    assert built == []
    bench.write(CHANGES["store"][0])
    for name in CONTENTS:
        bench.get(name)
    assert built == ["stores"]


def test_a_refusal_does_not_hide_a_change_with_a_lower_id(bench: Bench) -> None:
    """In PostgreSQL a refusal may come between the entry of a change and its commit."""

    def forbid(write: Write) -> None:
        mailboxes.change(write, ANNA, None, may_send=False)
        write._entries[-1]["id"] = last + 1

    before = bench.get("senders")
    bench.write(lambda w: mailboxes.change(w, ANNA, None, display_name="A"))
    last = bench.desk.read(lambda c: audit.find(c, limit=1))[0].id
    enter_refusal(bench, last + 2)
    assert bench.get("senders").tag == before.tag
    bench.write(forbid)
    assert bench.get("senders").tag != before.tag


def test_refusals_make_no_snapshot_again_and_no_other_lineage(bench: Bench) -> None:
    lineage = bench.desk.read(read_history).lineage
    known = bench.get("senders")
    enter_refusal(bench, 0)
    assert bench.desk.read(read_history).lineage == lineage
    bench.write(lambda w: mailboxes.change(w, ANNA, None, display_name="A"))
    enter_refusal(bench, 1000)
    assert bench.get("senders") is known


def enter_refusal(bench: Bench, number: int) -> None:
    """Enter a refusal in the audit log under an id."""
    entry = {"id": number, "at": NOW, "actor": "x", "action": "mailbox.remove", "object": ANNA}
    statement = insert(schema.audit).values(**entry, details={"refused": "No."})

    def enter(connection: Connection) -> None:
        connection.execute(statement)

    bench.desk.run(bench.desk.database.record(enter))


def test_keys_that_are_active_have_their_private_part(bench: Bench) -> None:
    pems = {selector: add_key(bench, selector) for selector in ("new", "old", "now")}
    bench.write(lambda w: dkim_keys.activate(w, "example.org", "old"))
    bench.write(lambda w: dkim_keys.activate(w, "example.org", "now"))
    read = parse(unpacked(bench.get("dkim_keys").packed), "dkim_keys")
    assert list(read.items()) == [
        (
            "key:example.org/now",
            {"algorithm": "ed25519", "private": pems["now"].decode()},
        )
    ]
    bench.write(lambda w: domains.change(w, "example.org", None, enabled=False))
    assert bench.get("dkim_keys").records == 0


def test_a_key_that_cannot_be_unsealed_is_told_and_comes_with_the_right_key(bench: Bench) -> None:
    add_key(bench, "s")
    bench.write(lambda w: dkim_keys.activate(w, "example.org", "s"))
    bench.seal = SecretSeal([b"other key of 32 octets for tests"])
    read = parse(unpacked(bench.get("dkim_keys").packed), "dkim_keys")
    assert "private" not in read.get("key:example.org/s")
    assert "the key file does not have" in read.get("key:example.org/s")["problem"]
    bench.seal = SEAL
    read = parse(unpacked(bench.get("dkim_keys").packed), "dkim_keys")
    assert "private" in read.get("key:example.org/s")


def test_domains_whose_names_begin_alike_are_in_order(bench: Bench) -> None:
    for name in ("a.example", "a-b.example", "a.b.example", "ab.example"):
        bench.desk.domain(name)
        add_key(bench, "s", name)
        bench.write(lambda w, name=name: dkim_keys.activate(w, name, "s"))  # type: ignore[misc]
    assert parse(unpacked(bench.get("dkim_keys").packed), "dkim_keys").seal.records == 4


def test_an_alias_that_expires_is_gone_in_time(bench: Bench) -> None:
    bench.write(
        lambda w: aliases.add(
            w,
            "i@example.org",
            targets=["bob@example.org"],
            members_may_send=True,
            expires=NOW + 60,
        )
    )
    before = bench.get("senders")
    assert before.until == NOW + 60
    bench.now = NOW + 59
    assert bench.get("senders").tag == before.tag
    bench.now = NOW + 60
    after = bench.get("senders")
    assert after.tag != before.tag
    assert parse(unpacked(after.packed), "senders").get("name:i@example.org") == []


def test_another_delimiter_is_another_snapshot(bench: Bench) -> None:
    before = bench.get("senders").tag
    bench.delimiter = "-"
    assert bench.get("senders").tag != before


def test_preferences_and_aliases_of_those_who_want_no_greylisting(bench: Bench) -> None:
    bench.desk.domain("alias.example", alias_of="example.org")

    def fill(write: Write) -> None:
        preferences.change(write, "anna@example.org", None, greylist=False, spam_junk_score=3.5)
        preferences.change(write, "bob@example.org", None, virus_check=False)
        listed_senders.add(write, "bob@example.org", "allow", "@good.example")
        listed_senders.add(write, "bob@example.org", "block", "bad@far.example")
        aliases.add(write, "one@example.org", targets=["anna@example.org"])
        aliases.add(write, "both@example.org", targets=["anna@example.org", "bob@example.org"])
        aliases.add(write, "far@example.org", targets=["anna@example.org", "x@far.example"])
        aliases.add(write, "off@example.org", targets=["anna@example.org"], enabled=False)

    bench.write(fill)
    read = parse(unpacked(bench.get("recipients").packed), "recipients")
    check_recipients(read)
    assert read.get("name:bob@example.org") == {
        "virus_check": False, "allow": ["@good.example"], "block": ["bad@far.example"],
    }  # fmt: skip
    wishes = RecipientPreferences()
    assert wishes.wants_greylisting(MailAddress.parse("anna@example.org")), "nothing is known yet"
    wishes.take(read)
    for address, wants in {
        "anna@example.org": False,
        "Anna+news@Example.ORG": False,
        "anna@alias.example": False,
        "one@example.org": False,
        "one+x@alias.example": False,
        "bob@example.org": True,
        "both@example.org": True,
        "far@example.org": True,
        "off@example.org": True,
        "nobody@example.org": True,
        "anna@far.example": True,
        "anna": True,
    }.items():
        assert wishes.wants_greylisting(MailAddress.parse(address)) is wants, address
    assert wishes.find(MailAddress.parse("anna@example.org"))["spam_junk_score"] == 3.5


def test_preferences_of_a_domain_are_one_record(bench: Bench) -> None:
    bench.desk.domain("alias.example", alias_of="example.org")
    before = bench.get("recipients").tag

    def fill(write: Write) -> None:
        domain_preferences.change(
            write,
            "example.org",
            None,
            spam_junk_score=6.0,
            languages=("en", "de"),
            subject_tag="[S]",
            rule_scores={"B": 1, "A": 2.5},
        )
        listed_senders.OF_DOMAIN.add(write, "example.org", "block", "@bad.example")
        preferences.change(write, "anna@example.org", None, subject_tag="", languages=("all",))

    bench.write(fill)
    assert bench.get("recipients").tag != before
    read = parse(unpacked(bench.get("recipients").packed), "recipients")
    check_recipients(read)
    expected = {
        "spam_junk_score": 6.0,
        "languages": ["de", "en"],
        "subject_tag": "[S]",
        "rule_scores": {"A": 2.5, "B": 1.0},
        "block": ["@bad.example"],
    }
    assert read.get("defaults:example.org") == expected
    assert read.get("name:anna@example.org") == {"subject_tag": "", "languages": ["all"]}
    wishes = RecipientPreferences()
    wishes.take(read)
    for address in ("bob@example.org", "anna+x@alias.example"):
        names = wishes.names(MailAddress.parse(address))
        assert wishes.defaults(names) == expected
    assert wishes.defaults(wishes.names(MailAddress.parse("x@far.example"))) == {}
    bench.write(lambda w: domains.remove(w, "alias.example"))
    bench.write(lambda w: domains.remove(w, "example.org"))
    read = parse(unpacked(bench.get("recipients").packed), "recipients")
    assert read.get("defaults:example.org") is None


def test_somebody_waits_for_a_change_that_concerns_him(bench: Bench) -> None:
    bench.shelf._monotonic = time.monotonic
    tag = bench.desk.run(bench.shelf.wait("stores", "", 0, bench.ended))[0].tag

    async def wait() -> tuple[str, int]:
        waiting = asyncio.ensure_future(bench.shelf.wait("stores", tag, 30, bench.ended))
        await asyncio.sleep(0.1)
        await bench.desk.database.write(ME, CHANGES["password"][0])
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await bench.desk.database.write(ME, CHANGES["store"][0])
        found, history = await waiting
        return found.tag, history.generation

    new, generation = bench.desk.run(wait())
    assert new != tag
    assert generation == bench.desk.database.generation


def test_an_end_and_the_time_end_a_wait(bench: Bench) -> None:
    bench.shelf._monotonic = time.monotonic
    tag = bench.desk.run(bench.shelf.wait("stores", "", 0, bench.ended))[0].tag

    async def wait() -> None:
        assert (await bench.shelf.wait("stores", tag, 0.05, bench.ended))[0].tag == tag
        waiting = asyncio.ensure_future(bench.shelf.wait("stores", tag, 60, bench.ended))
        await asyncio.sleep(0.05)
        bench.ended.set()
        assert (await asyncio.wait_for(waiting, 5))[0].tag == tag

    bench.desk.run(wait())


def test_a_restore_begins_another_lineage(bench: Bench) -> None:
    before = bench.desk.read(read_history)
    bench.write(CHANGES["store"][0])
    same = bench.desk.read(read_history)
    assert (before.lineage, before.generation + 1) == (same.lineage, same.generation)
    bench.write(note_restore)
    assert bench.desk.read(read_history).lineage not in ("", before.lineage)


def test_an_empty_database_has_no_lineage(tmp_path: Path) -> None:
    desk = Desk(files.make(tmp_path / "empty.db"))
    assert desk.read(read_history) == (0, "", None)
    desk.close()


def test_the_last_one_is_sent_while_the_database_is_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = bench.get("stores").tag
    bench.write(CHANGES["store"][0])

    async def away(_work: object) -> None:
        raise DatastoreUnavailable("away")

    monkeypatch.setattr(bench.desk.database, "read", away)
    assert bench.get("stores").tag == tag
    with pytest.raises(DatastoreUnavailable):
        bench.get("senders")


def secret(path: Path, text: str) -> SecretFile:
    path.write_text(text)
    path.chmod(0o600)
    return SecretFile(path)


def test_who_may_fetch_what(tmp_path: Path) -> None:
    tokens = Tokens.read(
        SnapshotSettings(
            token_file=secret(tmp_path / "plain", "p" * 16 + "\n"),
            keys_token_file=secret(tmp_path / "keys", "k" * 16),
        )
    )

    def ask(field: bytes | None, peer: int | None = None) -> Access:
        return access_of(field, peer, tokens, {0, 1000})

    assert ask(b"Bearer " + b"k" * 16) is Access.ALL
    assert ask(b"bearer  " + b"p" * 16) is Access.PLAIN
    for field in (b"Bearer x", b"Bearer ", b"", b"Basic " + b"k" * 16, b"k" * 16):
        assert ask(field) is Access.NOTHING
        assert ask(field, 1000) is Access.NOTHING, "a wrong token is not made up for by the user"
    assert ask(None) is Access.NOTHING
    assert ask(None, 0) is ask(None, 1000) is Access.ALL
    assert ask(None, 1001) is Access.NOTHING
    assert access_of(b"Bearer ", None, Tokens(), set()) is Access.NOTHING
    assert [name for name in CONTENTS if not Access.PLAIN.allows(name)] == ["dkim_keys"]


@pytest.mark.parametrize(
    ("plain", "keys", "why"),
    [
        ("short", None, "at least 16"),
        ("x" * 20 + "\ny", None, "at least 16"),
        ("x" * 20, "x" * 20, "the same token"),
        ("ü" * 20, None, "ASCII"),
    ],
)
def test_tokens_that_are_none(tmp_path: Path, plain: str, keys: str | None, why: str) -> None:
    settings = SnapshotSettings(
        token_file=secret(tmp_path / "plain", plain),
        keys_token_file=None if keys is None else secret(tmp_path / "keys", keys),
    )
    with pytest.raises(TokenError, match=why):
        Tokens.read(settings)
