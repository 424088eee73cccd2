"""Aliases that owners of mailboxes make, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.address import parse_mailbox_address
from accounts.directory import (
    alias_names,
    aliases,
    audit,
    domains,
    mailboxes,
    personal_aliases,
    sender_rights,
)
from accounts.directory.domains import Domain
from accounts.directory.personal_aliases import PersonalAlias
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase

ANNA, BEN = "anna@example.org", "ben@example.org"


def adding(name: str | None) -> Callable[[Write], PersonalAlias]:
    """Return the addition of an alias of Anna."""
    return lambda write: personal_aliases.add(write, ANNA, name)


def allowing(pattern: object) -> Callable[[Write], Domain]:
    """Return the change of the pattern of names."""
    values: Any = {"named_alias_pattern": pattern}
    return lambda write: domains.change(write, "example.org", None, **values)


def ending(address: str, end: int) -> Callable[[Write], PersonalAlias]:
    """Return the change of the end of an alias of Anna."""
    return lambda write: personal_aliases.change(write, ANNA, address, None, expires=end)


class PersonalAliasesSuite(DirectoryBase):
    """The tests."""

    @pytest.fixture
    def free(self, filled: Desk) -> Desk:
        """Return a datastore with two owners, whose domain allows them named aliases."""
        filled.mailbox(BEN)
        filled.write(lambda w: domains.change(w, "example.org", None, named_aliases=3))
        return filled

    def test_a_disposable_alias(self, filled: Desk) -> None:
        filled.mailbox(BEN)
        made = filled.write(
            lambda w: personal_aliases.add(w, ANNA, description="shop", expires=NOW + 60)
        )
        assert (made.mailbox, made.kind, made.enabled) == (ANNA, "disposable", True)
        assert (made.description, made.expires) == ("shop", NOW + 60)
        found = filled.read(lambda c: aliases.get(c, made.address))
        assert found.targets == (ANNA,)
        assert found.members_may_send
        assert filled.read(lambda c: personal_aliases.find(c, ANNA)) == [made]
        assert filled.read(lambda c: personal_aliases.find(c, BEN)) == []
        entries = {one.action: one for one in filled.read(audit.find)}
        assert entries["personal-alias.add"].object == ANNA
        assert entries["personal-alias.add"].details == {"alias": made.address}

    def test_names_by_chance_differ_and_are_addresses(self) -> None:
        drawn = {alias_names.draw() for _ in range(2000)}
        assert len(drawn) == 2000
        for name in drawn:
            assert parse_mailbox_address(f"{name}@example.org").local == name

    def test_a_taken_name_is_drawn_again(
        self, filled: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        filled.mailbox(BEN)
        drawn = iter(["ben", "postfix-1", *["ben"] * 100])
        monkeypatch.setattr(alias_names, "draw", lambda: next(drawn))
        made = filled.write(lambda w: personal_aliases.add(w, ANNA))
        assert made.address == "postfix-1@example.org"
        told = self.refused(filled, AlreadyThere, lambda w: personal_aliases.add(w, ANNA))
        assert told == "No name is free in example.org."

    def test_a_named_alias(self, free: Desk) -> None:
        made = free.write(lambda w: personal_aliases.add(w, ANNA, "Anna.Shop"))
        assert (made.address, made.kind) == ("anna.shop@example.org", "named")
        # the part before the dot is her own alias now
        free.write(lambda w: personal_aliases.add(w, ANNA, "anni"))
        assert free.write(lambda w: personal_aliases.add(w, ANNA, "anni-x")).kind == "named"

    def test_domains_allow_no_names_at_first(self, filled: Desk) -> None:
        told = self.refused(filled, Invalid, lambda w: personal_aliases.add(w, ANNA, "anni"))
        assert "allows 0 named aliases" in told

    def test_limits(self, free: Desk) -> None:
        free.write(lambda w: domains.change(w, "example.org", None, disposable_aliases=2))
        for kind, most in (("disposable", 2), ("named", 3)):
            for number in range(most):
                name = None if kind == "disposable" else f"anna{number}"
                free.write(adding(name))
            name = None if kind == "disposable" else "anna9"
            told = self.refused(free, Invalid, adding(name))
            assert f"allows {most} {kind}" in told
        got = free.read(lambda c: personal_aliases.allowance(c, ANNA))
        assert (got.disposable, got.disposable_most, got.named, got.named_most) == (2, 2, 3, 3)
        # those of others count for themselves
        free.write(lambda w: personal_aliases.add(w, BEN))
        # the limit of the domain counts, too
        free.write(lambda w: domains.change(w, "example.org", None, max_aliases=6))
        told = self.refused(free, Invalid, lambda w: personal_aliases.add(w, BEN))
        assert "as many aliases as it may have" in told

    def test_an_alias_with_more_targets_still_counts(self, free: Desk) -> None:
        free.write(lambda w: domains.change(w, "example.org", None, disposable_aliases=1))
        made = free.write(lambda w: personal_aliases.add(w, ANNA))
        free.write(lambda w: aliases.change(w, made.address, None, targets=[ANNA, BEN]))
        assert free.read(lambda c: personal_aliases.find(c, ANNA)) == []
        self.refused(free, Invalid, lambda w: personal_aliases.add(w, ANNA))

    @pytest.mark.parametrize(
        "name",
        [
            *("postmaster", "Abuse", "post.master", "web-master", "abuse-team", "admin.x"),
            *("mailer-daemon", "srs0-x", "no-reply", "owner-list", "list-request", "SRS1"),
        ],
    )
    def test_reserved_names(self, free: Desk, name: str) -> None:
        told = self.refused(free, Invalid, lambda w: personal_aliases.add(w, ANNA, name))
        assert told == "name: This name is reserved."

    @pytest.mark.parametrize(
        "name",
        [
            *("", "*", "an*", "a+b", "a=b", ".a", "a.", "-a", "a..b", "a b", "a@b", "ä", "a/b"),
            *("a\0", "a\nb", "аnna", "x" * 65, "x" * 10_000, "ｐostmaster", "a'--", '"a"'),
        ],
    )
    def test_names_that_are_none(self, free: Desk, name: str) -> None:
        before = free.counts()
        self.refused(free, Invalid, lambda w: personal_aliases.add(w, ANNA, name))
        assert free.counts()["alias"] == before["alias"]

    def test_addresses_of_others(self, free: Desk) -> None:
        free.domain("example.com", alias_of="example.org")
        free.alias("shop-x-*@example.org", BEN)
        free.alias("*@example.org", BEN)
        free.alias("crew@example.org", BEN, "away@example.org")
        free.alias("only@example.com", BEN)
        free.mailbox("gone@example.org")
        free.write(lambda w: mailboxes.remove(w, "gone@example.org"))
        free.mailbox("carl@example.org", forwards=["copy@example.org"])
        free.write(lambda w: sender_rights.add(w, BEN, "boss@example.org"))
        free.write(lambda w: domains.change(w, "example.org", None, catch_all="rest@example.org"))
        theirs = free.write(lambda w: personal_aliases.add(w, BEN, "benny")).address
        assert theirs == "benny@example.org"
        for name in (
            *("ben", "BEN", "crew", "away", "gone", "copy", "boss", "rest", "only", "benny"),
            # what people, or Postfix with another delimiter, take for the same person
            *("ben-shop", "ben.shop", "ben_shop", "crew.x", "benny-x"),
            *("anna", "shop-x-9"),
        ):
            told = self.refused(free, AlreadyThere, adding(name))
            assert told.endswith("is taken.")
        # a catch-all takes what nobody has, and "bent" is not "ben"
        assert free.write(lambda w: personal_aliases.add(w, ANNA, "bent")).kind == "named"

    def test_patterns(self, free: Desk) -> None:
        pattern = "{name}-*"
        free.write(lambda w: domains.change(w, "example.org", None, named_alias_pattern=pattern))
        got = free.read(lambda c: personal_aliases.allowance(c, ANNA))
        assert got.named_pattern == "anna-*"
        told = self.refused(free, Invalid, lambda w: personal_aliases.add(w, ANNA, "other"))
        assert "anna-*" in told
        made = free.write(lambda w: personal_aliases.add(w, ANNA, "anna-shop"))
        assert made.address == "anna-shop@example.org"
        for wrong in ("", "anna", "a b*", "{other}*", "*@x", "x" * 70 + "*", "{name}", "ä*", 5):
            self.refused(
                free,
                Invalid,
                allowing(wrong),
            )

    @pytest.mark.parametrize("most", [-1, 501, 1.5, True, "3", None])
    def test_numbers_that_are_none(self, filled: Desk, most: object) -> None:
        for field in ("named_aliases", "disposable_aliases"):
            values = {field: most}
            self.refused(
                filled,
                Invalid,
                lambda w, v=values: domains.change(w, "example.org", None, **v),  # type: ignore[misc]
            )

    def test_a_change(self, free: Desk) -> None:
        made = free.write(lambda w: personal_aliases.add(w, ANNA))
        changed = free.write(
            lambda w: personal_aliases.change(
                w, ANNA, made.address, made.version, enabled=False, description="x"
            )
        )
        assert (changed.enabled, changed.description, changed.version) == (False, "x", 2)
        for end in (NOW, 0, -1, 1 << 60):
            self.refused(
                free,
                Invalid,
                ending(made.address, end),
            )
        free.write(lambda w: personal_aliases.remove(w, ANNA, made.address, 2))
        assert free.read(lambda c: personal_aliases.find(c, ANNA)) == []

    def test_an_alias_that_an_administrator_switched_off_stays_off(self, free: Desk) -> None:
        def by_owner(**values: Any) -> Callable[[Write], PersonalAlias]:
            return lambda w: personal_aliases.change(
                w, ANNA, made.address, None, by_owner=True, **values
            )

        made = free.write(lambda w: personal_aliases.add(w, ANNA, "shop"))
        # the owner's own decision is theirs to undo
        for enabled in (False, True, False):
            assert free.write(by_owner(enabled=enabled)).enabled is enabled
        for switch in (
            lambda w: aliases.change(w, made.address, None, enabled=False),
            lambda w: personal_aliases.change(w, ANNA, made.address, None, enabled=False),
        ):
            free.write(switch)
            assert free.read(lambda c: personal_aliases.get(c, ANNA, made.address)).is_locked
            told = self.refused(free, Invalid, by_owner(enabled=True))
            assert "administrator" in told
            self.refused(
                free,
                Invalid,
                lambda w: personal_aliases.remove(w, ANNA, made.address, by_owner=True),
            )
            noted = free.write(by_owner(enabled=False, description="shop"))
            assert (noted.enabled, noted.is_locked, noted.description) == (False, True, "shop")
            free.write(lambda w: aliases.change(w, made.address, None, enabled=True))
            free.write(by_owner(enabled=False))
            assert free.write(by_owner(enabled=True)).enabled
        free.write(lambda w: personal_aliases.remove(w, ANNA, made.address, by_owner=True))

    def test_an_alias_of_somebody_else_is_out_of_reach(self, free: Desk) -> None:
        theirs = free.write(lambda w: personal_aliases.add(w, BEN)).address
        official = free.alias("info@example.org", ANNA).address
        for address in (theirs, official, ANNA, BEN, "nobody@example.org"):
            for work in (
                lambda w, a=address: personal_aliases.change(w, ANNA, a, None, enabled=False),
                lambda w, a=address: personal_aliases.remove(w, ANNA, a),
            ):
                self.refused(free, NoSuchObject, work)
        assert free.read(lambda c: aliases.get(c, theirs)).enabled
        # what an administrator gave to somebody else is no longer the owner's
        mine = free.write(lambda w: personal_aliases.add(w, ANNA)).address
        free.write(lambda w: aliases.change(w, mine, None, targets=[BEN]))
        self.refused(free, NoSuchObject, lambda w: personal_aliases.remove(w, ANNA, mine))

    def test_another_address_of_the_mailbox(self, free: Desk) -> None:
        made = free.write(lambda w: personal_aliases.add(w, ANNA))
        free.write(lambda w: mailboxes.rename(w, ANNA, "anne@example.org"))
        (found,) = free.read(lambda c: personal_aliases.find(c, "anne@example.org"))
        assert (found.address, found.mailbox) == (made.address, "anne@example.org")
