"""Bounce addresses: made, believed, refused."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.lookup.ask import DomainRow, MailboxRow, solve
from accounts.lookup.postfix import MAPS, MapText, Nothing
from accounts.lookup.srs import DAY, SenderRewriting
from accounts.lookup.terms import LookupTerms
from tests.unit.accounts.lookup.world import NOW, World

SRS = SenderRewriting("bounce.example", [b"the new secret", b"the old secret"], 21)
LOCAL = st.text(string.ascii_lowercase + string.digits + "=+-_", min_size=1, max_size=30)


def made(local: str = "carol", domain: str = "remote.example", now: int = NOW) -> str:
    address = SRS.rewrite(local, domain, now)
    assert address is not None
    assert address.endswith("@bounce.example")
    return address.removesuffix("@bounce.example")


def test_the_form() -> None:
    word, hashed, day, domain, local = made("carol+news=x").split("=", 4)
    assert (word, domain, local) == ("SRS0", "remote.example", "carol+news=x")
    assert (len(hashed), len(day)) == (6, 2)


@given(local=LOCAL, domain=st.sampled_from(["remote.example", "xn--bcher-kva.example"]))
def test_what_is_made_leads_back(local: str, domain: str) -> None:
    address = made(local, domain)
    assert SRS.is_ours(address, "bounce.example")
    # Postfix asks in lower case; other hosts may change the case, too
    for text in (address, address.lower(), address.upper()):
        restored = SRS.restore(text, NOW)
        assert restored is not None
        if address.startswith("SRS0="):
            assert restored.lower() == f"{local}@{domain}"


@pytest.mark.parametrize(("days", "is_believed"), [(-2, False), (-1, True), (0, True), (21, True),
                                                   (22, False), (1000, False)])  # fmt: skip
def test_it_is_believed_for_some_time(days: int, is_believed: bool) -> None:
    restored = SRS.restore(made(), NOW + days * DAY)
    assert restored == ("carol@remote.example" if is_believed else None)


def test_the_day_begins_anew_every_1024() -> None:
    now = 1024 * DAY * 20 - 1
    assert SRS.restore(made(now=now), now + 5 * DAY) == "carol@remote.example"


def test_older_secrets_are_believed() -> None:
    old = SenderRewriting("bounce.example", [b"the old secret"], 21)
    address = old.rewrite("carol", "remote.example", NOW)
    assert address is not None
    local = address.partition("@")[0]
    assert SRS.restore(local, NOW) == "carol@remote.example"
    assert old.restore(made(), NOW) is None


@given(place=st.integers(5, 40), char=st.sampled_from(string.ascii_lowercase + "234567=.-"))
def test_a_change_is_noticed(place: int, char: str) -> None:
    address = made().lower()
    changed = address[:place] + char + address[place + 1 :]
    if changed[: len(address)] != address:
        assert SRS.restore(changed, NOW) is None


@given(st.text(max_size=40))
def test_any_text_is_read(text: str) -> None:
    for word in ("SRS0=", "SRS1="):
        assert SRS.restore(word + text, NOW) is None


def test_the_address_of_another_forwarder() -> None:
    """The bounce goes to the first forwarder, however many there are."""
    first = made("srs0=hhhh=tt=home.example=eve", "one.example")
    assert first.startswith("SRS1=")
    assert first.endswith("=one.example==hhhh=tt=home.example=eve")
    assert SRS.restore(first, NOW) == "SRS0=hhhh=tt=home.example=eve@one.example"
    second = made(first.lower(), "two.example")
    assert second.endswith("=one.example==hhhh=tt=home.example=eve")
    assert SRS.restore(second, NOW) == "SRS0=hhhh=tt=home.example=eve@one.example"
    plus = made("SRS0+hhhh=tt=home.example=eve", "one.example")
    assert SRS.restore(plus, NOW) == "SRS0+hhhh=tt=home.example=eve@one.example"


def test_the_hash_of_one_form_proves_nothing_in_the_other() -> None:
    """Anybody may send as such an address, and so have a text of their choice signed."""
    for sent, host in (("srs0=a=b=c", "evil.example"), ("srs0-aim.example=eve", "lb")):
        first = made(sent, host)
        assert first.startswith("SRS1=")
        hashed, _, rest = first.removeprefix("SRS1=").partition("=")
        for between in ("", "srs1=", "srs0="):
            assert SRS.restore(f"SRS0={hashed}={between}{rest}", NOW) is None
    assert SRS.restore(made().replace("SRS0", "SRS1"), NOW) is None


@pytest.mark.parametrize(("local", "other"), [("kim", "\u212aim"), ("\xe9va", "\xc9va")])
def test_only_ascii_letters_have_two_cases(local: str, other: str) -> None:
    """Others are other names: a Kelvin sign is a "k" in lower case."""
    address = made(local)
    assert SRS.restore(address, NOW) == f"{local}@remote.example"
    assert SRS.restore(address.replace(local, other), NOW) is None


def test_an_address_that_would_be_too_long_is_not_made() -> None:
    assert SRS.rewrite("a" * 64, "b" * 60 + "." + "c" * 60 + "." + "d" * 60, NOW) is None


@pytest.fixture
def world() -> World:
    world = World()
    world.add(
        DomainRow("example.org", catch_all="anna@example.org"),
        DomainRow("off.example", enabled=False),
        MailboxRow("anna@example.org"),
    )
    return world


def ask(world: World, table: str, key: str, srs: SenderRewriting | None = SRS) -> MapText:
    return solve(MAPS[table](key, LookupTerms(NOW, srs=srs)), world.answers)


@pytest.mark.parametrize(
    "sender",
    [
        "anna@example.org",
        "nobody+x@example.org",
        "box@off.example",
        "SRS0=aaaaaa=aa=x.example=y@bounce.example",
        '"eve, x"@far.example',
        "@far.example",
        "far.example",
        "MAILER-DAEMON",
    ],
)
def test_own_senders_stay(world: World, sender: str) -> None:
    assert ask(world, "srs", sender) is Nothing.NO_ENTRY


def test_senders_elsewhere_do_not(world: World) -> None:
    assert ask(world, "srs", "carol@Remote.example") == f"{made()}@bounce.example"
    assert ask(world, "srs", "carol@remote.example", None) is Nothing.NO_ENTRY


def test_postfix_takes_bounces_and_nothing_else_there(world: World) -> None:
    address = f"{made()}@bounce.example"
    for key in (address, address.lower()):
        assert ask(world, "aliases", key) == "carol@remote.example"
        assert ask(world, "mailboxes", key) is Nothing.NO_ENTRY
    assert ask(world, "domains", "Bounce.example") == "bounce.example"
    assert ask(world, "domains", "bounce.example", None) is Nothing.UNKNOWN
    for key in ("x@bounce.example", f"{made()}x@bounce.example"):
        for table in ("aliases", "mailboxes"):
            assert ask(world, table, key) in (Nothing.UNKNOWN, Nothing.NO_ENTRY)
        assert ask(world, "mailboxes", key) is Nothing.UNKNOWN


def test_a_forged_one_does_not_go_to_the_catch_all(world: World) -> None:
    srs = SenderRewriting("example.org", [b"the new secret"], 21)
    for local in ("srs0=aaaaaa=aa=x.example=y", "SRS1=aaaaaa=x.example==y", "srs0="):
        assert ask(world, "aliases", f"{local}@example.org", srs) is Nothing.UNKNOWN
        assert ask(world, "mailboxes", f"{local}@example.org", srs) is Nothing.UNKNOWN
    assert ask(world, "aliases", "srs0-box@example.org", srs) == "anna@example.org"
