"""Changes by chance: whatever is written, the rules of look-ups find no circle in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from accounts.directory import aliases, domains, mailboxes
from accounts.lookup.ask import AliasRow, Ask, DomainRow, MailboxRow, RowAnswer, solve
from accounts.lookup.find import AddressKind, AddressMeaning, find
from accounts.lookup.key import read_key
from accounts.lookup.terms import LookupTerms
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write
from tests.unit.accounts import files
from tests.unit.accounts.desk import Desk

DOMAINS = ("a.example", "b.example", "c.example", "d.example")
LOCALS = ("x", "y", "z", "x+1", "s-1", "*", "s-*", "-bad")
CHANGES = 400
ROUNDS = 4


class World:
    """All rows, and answers from them."""

    def __init__(self, connection: Connection) -> None:
        self.domains = {
            one.name: DomainRow(one.name, one.alias_of, one.catch_all, is_relay=one.is_relay)
            for one in domains.find(connection)
        }
        self.names: dict[str, MailboxRow | AliasRow] = {
            one.address: MailboxRow(one.address, forwards=one.forwards)
            for one in mailboxes.find(connection)
        }
        self.wildcards: dict[str, list[AliasRow]] = {}
        for one in aliases.find(connection):
            row = AliasRow(one.address, targets=one.targets)
            self.names[one.address] = row
            if one.is_wildcard:
                self.wildcards.setdefault(one.domain, []).append(row)

    def answer(self, asks: tuple[Ask, ...]) -> tuple[RowAnswer, ...]:
        tables: dict[str, Callable[[str], RowAnswer]] = {
            "domain": self.domains.get,
            "name": self.names.get,
            "wildcards": lambda name: tuple(self.wildcards.get(name, ())),
        }
        return tuple(tables[ask.table](ask.key) for ask in asks)

    def step(self, address: str) -> tuple[str, tuple[str, ...]]:
        """Return the place that an address leads to, and where mail goes from there."""
        key = read_key(address, "+")
        assert key is not None
        found: AddressMeaning = solve(find(key, LookupTerms(now=0)), self.answer)
        if found.mailbox is not None:
            return found.mailbox.address, found.mailbox.forwards
        if found.alias is not None:
            return found.alias.address, found.alias.targets
        if found.kind is AddressKind.CATCH_ALL:
            return f"catch-all to {found.target}", (found.target,)
        return address, ()

    def circle(self, address: str, way: tuple[str, ...] = ()) -> tuple[str, ...]:
        place, targets = self.step(address)
        if place in way:
            return (*way, place)
        return next(filter(None, (self.circle(one, (*way, place)) for one in targets)), ())


def change(chance: random.Random) -> Callable[[Write], Any]:
    def address() -> str:
        return f"{chance.choice(LOCALS)}@{chance.choice(DOMAINS)}"

    def some() -> list[str]:
        return [address().replace("*", "t") for _ in range(chance.randint(1, 2))]

    one, other, several, name = address(), address(), some(), chance.choice(DOMAINS)
    alias_of = chance.choice((None, *DOMAINS))
    catch_all = chance.choice((None, *several))
    return chance.choice(
        (
            lambda w: mailboxes.add(w, one, forwards=several[: chance.randint(0, 2)]),
            lambda w: mailboxes.change(w, one, None, forwards=several),
            lambda w: mailboxes.remove(w, one),
            lambda w: mailboxes.rename(w, one, other, keep_alias=chance.random() < 0.5),
            lambda w: aliases.add(w, one, targets=several),
            lambda w: aliases.add(w, one, targets=several),
            lambda w: aliases.change(w, one, None, targets=several),
            lambda w: aliases.remove(w, one),
            lambda w: aliases.rename(w, one, other),
            lambda w: domains.add(w, name, alias_of=alias_of),
            lambda w: domains.change(w, name, None, alias_of=alias_of),
            lambda w: domains.change(w, name, None, is_relay=chance.random() < 0.3),
            lambda w: domains.change(w, name, None, catch_all=catch_all),
            lambda w: domains.change(w, name, None, catch_all=catch_all),
        )
    )


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_change_makes_a_circle(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    desk = Desk(files.make(tmp_path / "accounts.db"))
    for name in DOMAINS[:2]:
        desk.domain(name)
    done, circles = 0, 0

    def look(connection: Connection) -> None:
        world = World(connection)
        asked = {f"{local}@{name}" for local in (*LOCALS, "other") for name in DOMAINS}
        for one in sorted(asked):
            if not one.startswith(("-", "*")):
                assert world.circle(one) == ()

    def work(write: Write) -> None:
        nonlocal done, circles
        for _ in range(CHANGES):
            try:
                change(chance)(write)
            except Invalid as error:
                circles += "circle" in str(error)
            except (AlreadyThere, NoSuchObject):
                pass
            else:
                done += 1
                look(write.connection)

    desk.write(work)
    desk.close()
    # both happen often enough to tell
    assert done > CHANGES / 10
    assert circles > CHANGES / 100
