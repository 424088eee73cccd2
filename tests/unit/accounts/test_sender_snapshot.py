"""Sender rights by chance: the snapshot answers as the map that Postfix asks."""

from __future__ import annotations

import contextlib
import hashlib
import random
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.address import fold_local_part
from accounts.directory import aliases, domains, mailboxes, sender_rights
from accounts.lookup import postfix
from accounts.lookup.ask import Unresolvable, solve
from accounts.lookup.key import read_key
from accounts.lookup.terms import LookupTerms
from accounts.snapshots.contents import CONTENTS, SnapshotInputs
from accounts.snapshots.making import make
from accounts.sources.sqlite import SqliteSource
from accounts.store.errors import RefusalError
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write
from gatepost.ownership import OwnerSettings, RightsUnknownError
from gatepost.snapshots.form import SnapshotData, parse
from gatepost.snapshots.names import fold, read_local_part
from gatepost.snapshots.senders import (
    AccountOwners,
    AccountRights,
    check_senders,
    join_rights,
)
from msgauth.mail_address import MailAddress
from tests.unit.accounts import files
from tests.unit.accounts.desk import NOW, Desk

DOMAINS = ("a.example", "b.example", "c.example", "xn--bcher-kva.example")
LOCALS = ("anna", "bob", "info", "sales", "anna+x", "s-1", "jörg", "owner-x", "x-request")
PATTERNS = ("*", "s-*", "sales-*", "*-1", "an*a")
ASKED = (
    *LOCALS, "ANNA", "Anna+News", "anna+x+y", "s-2", "sales-q-1", "+x", "anna+", "nobody", "JÖRG",
    "jo\u0308rg+ä", "double-bounce", "owner-x-1", "x" * 65, "a/b", "anna-1", "s-*", "a..b",
)  # fmt: skip
FAR = "far.example"


def made(desk: Desk, name: str, terms: LookupTerms, seal: SecretSeal | None = None) -> SnapshotData:
    """Make a snapshot and read it as a daemon does."""
    inputs = SnapshotInputs(terms, seal or SecretSeal([]))
    snapshot = desk.read(lambda connection: make(connection, name, CONTENTS[name], inputs))
    return parse(unpacked(snapshot.packed), name)


def unpacked(parts: tuple[bytes, ...]) -> bytes:
    unpack = zlib.decompressobj(31)
    data = b"".join(unpack.decompress(part) for part in parts)
    assert unpack.eof
    return data


def change(chance: random.Random) -> Callable[[Write], Any]:
    """Return a change by chance, which may be refused."""
    name, other = chance.choice(DOMAINS), chance.choice(DOMAINS)
    address = f"{chance.choice(LOCALS)}@{name}"
    wide = f"{chance.choice(PATTERNS)}@{name}"
    targets = [
        f"{chance.choice(LOCALS)}@{chance.choice((*DOMAINS, FAR))}"
        for _ in range(chance.randint(1, 4))
    ]
    yes: Callable[[float], bool] = lambda share: chance.random() < share  # noqa: E731
    expires = chance.choice((None, NOW - 1, NOW, NOW + 1, NOW + 100))
    box: dict[str, Any] = {"enabled": yes(0.8), "may_send": yes(0.8)}
    alias: dict[str, Any] = {
        "targets": targets, "enabled": yes(0.9), "members_may_send": yes(0.7), "expires": expires,
    }  # fmt: skip
    sender = chance.choice((address, f"@{name}", f"bob@{FAR}", f"@{FAR}", wide))
    return chance.choice(
        (
            lambda w: domains.add(w, name),
            lambda w: domains.add(w, name, alias_of=other),
            lambda w: domains.change(w, name, None, enabled=yes(0.7)),
            lambda w: domains.change(w, name, None, catch_all=f"anna@{other}"),
            lambda w: domains.change(w, name, None, is_relay=yes(0.2)),
            lambda w: mailboxes.add(w, address, **box),
            lambda w: mailboxes.add(w, address, **box),
            lambda w: mailboxes.change(w, address, None, **box),
            lambda w: mailboxes.remove(w, address),
            lambda w: aliases.add(w, address, **alias),
            lambda w: aliases.add(w, wide, **alias),
            lambda w: aliases.change(w, address, None, **alias),
            lambda w: sender_rights.add(w, address, sender),
            lambda w: sender_rights.add(w, targets[0], sender),
        )
    )


@pytest.mark.parametrize("delimiter", ["+", "", "-+"])
@pytest.mark.parametrize("seed", range(3))
def test_the_snapshot_answers_as_the_map(tmp_path: Path, seed: int, delimiter: str) -> None:
    chance = random.Random(seed)
    path = tmp_path / "accounts.db"
    desk = Desk(files.make(path))
    source = SqliteSource(path)
    terms = LookupTerms(NOW, delimiter)
    for name in DOMAINS[:2]:
        desk.domain(name)
    answered = 0
    try:
        for _ in range(5):
            for _ in range(60):
                with contextlib.suppress(RefusalError):
                    desk.write(change(chance))
            snapshot = made(desk, "senders", terms)
            check_senders(snapshot)
            owners = AccountOwners(snapshot)
            for local in ASKED:
                for domain in (*DOMAINS, FAR, "bücher.example", "A.Example", "none.example"):
                    answered += agrees(owners, source, terms, f"{local}@{domain}")
    finally:
        desk.run(source.close())
        desk.close()
    assert answered > 50, "the map has to say something often enough"


def agrees(owners: AccountOwners, source: SqliteSource, terms: LookupTerms, address: str) -> bool:
    """Compare both for one address; whether anybody may send as it."""
    sender = MailAddress.parse(address)
    try:
        said = solve(postfix.senders(address, terms), source.ask)
    except Unresolvable:
        with pytest.raises(RightsUnknownError):
            owners.logins(sender)
        return False
    logins = set() if isinstance(said, postfix.Nothing) else set(said.split(", "))
    assert owners.logins(sender) == logins, address
    assert owners.is_owned(sender) == bool(logins), address
    for login in sorted(logins):
        assert owners.may_use(login.upper() if login.isascii() else login, sender)
    assert not owners.may_use("nobody@none.example", sender)
    assert not owners.may_use("", sender)
    return bool(logins)


def test_who_owns_a_whole_domain_owns_every_address(tmp_path: Path) -> None:
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain("a.example")
    desk.domain("b.example", alias_of="a.example")
    desk.mailbox("anna@a.example")
    desk.mailbox("bob@a.example")
    desk.write(lambda w: sender_rights.add(w, "bob@a.example", "@a.example"))
    owners = AccountOwners(made(desk, "senders", LookupTerms(NOW)))
    for domain in ("a.example", "b.example"):
        whole = MailAddress("", domain, f"@{domain}")
        assert owners.may_use("bob@a.example", whole)
        assert not owners.may_use("anna@a.example", whole)
    assert owners.may_use("bob@a.example", MailAddress.parse("anna@b.example"))
    # Postfix takes the route off, and the quotes that nobody needs
    assert owners.may_use("anna@a.example", MailAddress.parse('"anna"@a.example'))
    assert owners.may_use("anna@a.example", MailAddress.parse('"@relay.example:anna"@a.example'))
    assert not owners.may_use("anna@a.example", MailAddress.parse("anna"))
    desk.close()


def test_aliases_that_nobody_can_resolve_are_unknown(tmp_path: Path) -> None:
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain("a.example")
    desk.mailbox("anna@a.example")
    targets = ["anna@a.example"]
    desk.write(lambda w: aliases.add(w, "info@a.example", targets=targets, members_may_send=True))
    terms = LookupTerms(NOW, max_targets=1)
    owners = AccountOwners(made(desk, "senders", terms))
    with pytest.raises(RightsUnknownError, match=r"info@a\.example"):
        owners.may_use("anna@a.example", MailAddress.parse("info@a.example"))
    assert owners.may_use("anna@a.example", MailAddress.parse("anna@a.example"))
    desk.close()


def test_a_mailbox_that_is_newer_than_the_snapshot_waits(tmp_path: Path) -> None:
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain("a.example")
    desk.domain("b.example", alias_of="a.example")
    desk.mailbox("anna@a.example")
    desk.mailbox("mute@a.example", may_send=False)
    accounts = AccountRights()
    rights = join_rights(OwnerSettings(), accounts)
    accounts.take(made(desk, "senders", LookupTerms(NOW)))
    for login in ("new@a.example", "NEW@b.example"):
        with pytest.raises(RightsUnknownError, match="has not sent the rights"):
            rights.may_use(login, MailAddress.parse("new@a.example"))
    anna = MailAddress.parse("anna@a.example")
    for login in ("mute@a.example", "mute@b.example", "new@far.example", "root"):
        assert not rights.may_use(login, anna)
        assert not rights.may_use(login, MailAddress.parse("mute@a.example"))
    assert rights.may_use("new@far.example", MailAddress.parse("new@far.example"))
    desk.close()


@pytest.mark.parametrize("delimiter", ["+", "-", "+-", ""])
def test_addresses_are_taken_apart_as_accounts_does(delimiter: str) -> None:
    for local in (*ASKED, '"a b"', "a b", "İ", "x\u0300", "anna+\x00", "\ud800"):
        key = read_key(f"{local}@a.example", delimiter)
        assert key is not None
        assert read_local_part(local, delimiter) == (key.folded, key.names)
        assert fold(local) == fold_local_part(local)
        assert unicodedata.is_normalized("NFC", fold(local))


def test_the_size_of_a_site(tmp_path: Path) -> None:
    """The memory of a step of the making does not grow with the site."""
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain("a.example")
    count = 1200

    def fill(write: Write) -> None:
        for number in range(count):
            mailboxes.add(write, f"user{number}@a.example")

    desk.write(fill)
    snapshot = made(desk, "senders", LookupTerms(NOW))
    assert snapshot.seal.records == count + 2
    assert hashlib.sha256(snapshot.data[: snapshot.data.rindex(b"\n", 0, -1) + 1]).hexdigest() == (
        snapshot.seal.tag
    )
    owners = AccountOwners(snapshot)
    for number in (0, 599, count - 1):
        address = f"user{number}@a.example"
        assert owners.logins(MailAddress.parse(address)) == {address}
    desk.close()
