"""Circles that mail would go in, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accounts.directory import (
    aliases,
    domains,
    mailboxes,
)
from accounts.store.errors import Invalid
from accounts.store.transaction import Write
from tests.unit.accounts.desk import Desk
from tests.unit.accounts.directory_base import DirectoryBase


class CirclesSuite(DirectoryBase):
    """The tests."""

    def circle(self, desk: Desk, work: Callable[[Write], Any]) -> str:
        field, _, told = self.refused(desk, Invalid, work).partition(": ")
        assert told.startswith("Mail would go in a circle: "), (field, told)
        return told.removeprefix("Mail would go in a circle: ").removesuffix(".")

    def test_circles_of_aliases(self, filled: Desk) -> None:
        filled.alias("a@example.org", "b@example.org", "anna@example.org")
        filled.alias("b@example.org", "c@example.org")
        found = self.circle(
            filled, lambda w: aliases.add(w, "c@example.org", targets=["A@example.org"])
        )
        assert set(found.split(" -> ")) == {f"{name}@example.org" for name in "abc"}
        self.circle(filled, lambda w: aliases.add(w, "d@example.org", targets=["d@example.org"]))
        self.circle(filled, lambda w: aliases.add(w, "d@example.org", targets=["d+x@example.org"]))
        filled.alias("c@example.org", "anna@example.org")
        self.circle(
            filled, lambda w: aliases.change(w, "c@example.org", 1, targets=["a+x@example.org"])
        )
        self.circle(
            filled,
            lambda w: (
                aliases.rename(w, "a@example.org", "c2@example.org"),
                aliases.change(w, "c@example.org", 1, targets=["c2@example.org"]),
            ),
        )

    def test_circles_of_forwarding(self, filled: Desk) -> None:
        filled.mailbox("ben@example.org", forwards=["anna@example.org"])

        def forward(*targets: str, **values: Any) -> Callable[[Write], Any]:
            return lambda w: mailboxes.change(
                w, "anna@example.org", None, forwards=targets, **values
            )

        self.circle(filled, forward("x@example.net", "ben@example.org"))
        self.circle(filled, forward("ben@example.org", keep_copy=False))
        filled.alias("team@example.org", "anna@example.org", "ben@example.org")
        self.circle(filled, forward("team@example.org"))
        told = self.refused(filled, Invalid, forward("Anna@example.org"))
        assert told == "forwards: A mailbox cannot forward to itself: use keep_copy."
        filled.write(forward("x@example.net"))

    def test_circles_through_alias_domains(self, filled: Desk) -> None:
        filled.domain("a.example", alias_of="example.org")
        self.circle(filled, lambda w: aliases.add(w, "x@example.org", targets=["x@a.example"]))
        filled.domain("b.example")
        filled.alias("y@example.org", "y@b.example")
        filled.alias("z@example.org", "anna@b.example")
        self.circle(filled, lambda w: domains.change(w, "b.example", 1, alias_of="example.org"))
        filled.write(lambda w: aliases.remove(w, "y@example.org"))
        filled.write(lambda w: domains.change(w, "b.example", 1, alias_of="example.org"))
        filled.alias("v@example.org", "v@c.example")
        self.circle(filled, lambda w: domains.add(w, "c.example", alias_of="example.org"))

    def test_circles_through_catch_alls(self, filled: Desk) -> None:
        def catch(address: str) -> Callable[[Write], Any]:
            return lambda w: domains.change(w, "example.org", None, catch_all=address)

        self.circle(filled, catch("nobody@example.org"))
        filled.alias("boss@example.org", "helper@example.org")
        self.circle(filled, catch("boss@example.org"))
        filled.mailbox("helper@example.org")
        filled.write(catch("boss@example.org"))
        # without the mailbox its address belongs to the catch-all
        self.circle(filled, lambda w: mailboxes.remove(w, "helper@example.org"))
        self.circle(
            filled,
            lambda w: (
                mailboxes.rename(w, "helper@example.org", "help@example.org"),
                aliases.change(w, "boss@example.org", None, targets=["helper@example.org"]),
            ),
        )
        filled.write(catch("anna@example.org"))
        filled.write(lambda w: mailboxes.remove(w, "helper@example.org"))

    def test_circles_through_wildcards(self, filled: Desk) -> None:
        self.circle(filled, lambda w: aliases.add(w, "*@example.org", targets=["x@example.org"]))
        filled.alias("s-*@example.org", "anna@example.org")
        filled.alias("*@example.org", "s-1@example.org")
        filled.alias("list@example.org", "s-2@example.org")
        # to the more exact one, until it is gone
        self.circle(filled, lambda w: aliases.remove(w, "s-*@example.org"))
        self.circle(
            filled,
            lambda w: aliases.change(w, "s-*@example.org", None, targets=["other@example.org"]),
        )
        filled.write(
            lambda w: aliases.change(w, "*@example.org", None, targets=["anna@example.org"])
        )
        filled.write(lambda w: aliases.remove(w, "s-*@example.org"))

    def test_a_diamond_is_no_circle(self, filled: Desk) -> None:
        filled.alias("b@example.org", "anna@example.org")
        filled.alias("c@example.org", "anna@example.org")
        filled.alias("a@example.org", "b@example.org", "c@example.org", "anna+x@example.org")

    def test_chains_and_crowds_have_a_bound(self, filled: Desk) -> None:
        def chain(write: Write) -> None:
            for number in range(60):
                aliases.add(write, f"a{number}@example.org", targets=[f"a{number + 1}@example.org"])
            aliases.add(write, "head@example.org", targets=["a0@example.org"])

        told = self.refused(filled, Invalid, chain)
        assert told == "targets: It leads through more than 50 addresses in a row."

        def crowd(write: Write) -> None:
            several = [f"n{number}@example.org" for number in range(10)]
            for number, name in enumerate(several):
                targets = [f"u{number}-{n}@example.net" for n in range(200)]
                aliases.add(write, name, targets=targets)
            aliases.add(write, "all@example.org", targets=several)

        told = self.refused(filled, Invalid, crowd)
        assert told == "targets: It leads to more than 1000 addresses."
