"""The rules against a slow model of their own, in datastores of any shape.

The model follows one name at a time and remembers nothing; Postfix's own recursion over
virtual_alias_maps (cleanup_map1n) is imitated, too: it has to end where the first answer was.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accounts.lookup import dovecot
from accounts.lookup.ask import (
    AliasRow,
    DomainRow,
    MailboxRow,
    RuleRow,
    RulesRow,
    Unresolvable,
    solve,
)
from accounts.lookup.postfix import Nothing
from gatepost.wildcard import matches
from tests.unit.accounts.lookup.world import NOW, World

DOMAINS = ("one.example", "two.example", "relay.example", "off.example")
FOREIGN = ("x@foreign.example", "y@foreign.example")
LOCALS = ("a", "b", "ab", "a+x")

# most names are in one domain, so that they meet
at_domain = st.sampled_from(("one.example",) * 5 + ("two.example",) * 2 + DOMAINS)
addresses = st.builds("{}@{}".format, st.sampled_from(LOCALS), at_domain)
near = st.builds("{}@one.example".format, st.sampled_from(LOCALS))
targets = st.lists(near | addresses | st.sampled_from(FOREIGN), max_size=3, unique=True).map(tuple)
often = st.sampled_from([True, True, True, False])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    world.add(
        DomainRow("one.example", catch_all=draw(st.none() | addresses)),
        DomainRow("relay.example", is_relay=True),
        DomainRow("off.example", enabled=False),
    )
    two = draw(st.sampled_from([None, "one.example", "relay.example", "off.example"]))
    world.add(DomainRow("two.example", alias_of=two, catch_all=draw(st.none() | addresses)))
    for address in draw(st.lists(addresses, min_size=2, max_size=6, unique=True)):
        world.add(
            MailboxRow(
                address,
                enabled=draw(often),
                may_send=draw(often),
                may_receive=draw(often),
                keep_copy=draw(st.booleans()),
                forwards=draw(targets),
                quota=draw(st.sampled_from([None, 0, 5_000_000_000])),
            )
        )
        # in one spelling: PostgreSQL has the text as it was written, SQLite without spaces
        bodies = st.lists(st.sampled_from(["[]", '"x"', "17"]), max_size=3)
        world.rules[address] = tuple(
            RuleRow(f"rule {number}", draw(often), text) for number, text in enumerate(draw(bodies))
        )
    patterns = st.sampled_from(["*", "a*", "*b", "a*b", "*+x"])
    wild = st.builds("{}@{}".format, patterns, st.sampled_from(DOMAINS))
    for address in draw(st.lists(addresses | wild, max_size=5, unique=True)):
        if address not in world.mailboxes:
            world.add(
                AliasRow(
                    address,
                    enabled=draw(often),
                    expires=draw(st.sampled_from([None, None, NOW, NOW + 1])),
                    members_may_send=draw(st.booleans()),
                    targets=draw(targets),
                )
            )
    logins = st.sampled_from(sorted(world.mailboxes) or ["z@z"])
    senders = addresses | st.sampled_from(["@one.example", "@two.example", "@foreign.example"])
    if world.mailboxes:
        world.rights += draw(st.lists(st.tuples(logins, senders), max_size=4, unique=True))
    return world


# -- the model ------------------------------------------------------------------------------------


def in_force(row: AliasRow) -> bool:
    return row.enabled and (row.expires is None or row.expires > NOW)


def candidates(address: str, world: World) -> Iterator[str]:
    """The names that an address may be a way to write, in order."""
    local, domain = address.split("@")
    alias_of = world.domains[domain].alias_of
    for at in (domain, alias_of) if alias_of else (domain,):
        yield f"{local}@{at}"
        if "+" in local:
            yield f"{local.split('+')[0]}@{at}"


def meaning(address: str, world: World) -> MailboxRow | AliasRow | str | None:
    """A row, the target of a catch-all or of a relay, or None for what gets no mail."""
    local, domain = address.split("@")
    if domain not in world.domains:
        return address
    final = world.domains[world.domains[domain].alias_of or domain]
    if not world.domains[domain].enabled or not final.enabled:
        return None
    for name in candidates(address, world):
        if name in world.mailboxes:
            box = world.mailboxes[name]
            return box if box.enabled else None
        if name in world.aliases:
            return world.aliases[name] if in_force(world.aliases[name]) else None
    for at in dict.fromkeys((domain, final.name)):
        for part in dict.fromkeys((local, local.split("+")[0])):
            fitting = [
                row
                for name, row in world.aliases.items()
                if "*" in name and name.endswith("@" + at) and in_force(row)
                if fnmatchcase(part, name.split("@")[0])
            ]
            if fitting:
                longest = max(len(row.address.replace("*", "")) for row in fitting)
                equals = [r for r in fitting if len(r.address.replace("*", "")) == longest]
                return min(equals, key=lambda row: row.address)
    if final.is_relay:
        return f"{local}@{final.name}"
    return world.domains[domain].catch_all or final.catch_all


def bare(address: str) -> str:
    local, domain = address.split("@")
    return address if domain == "foreign.example" else f"{local.split('+')[0]}@{domain}"


def behind(address: str, world: World) -> tuple[set[str], list[str]]:
    """The places where an address delivers by itself, and the addresses behind it."""
    found = meaning(address, world)
    if isinstance(found, MailboxRow):
        if not found.may_receive:
            return set(), []
        keeps = found.keep_copy or not found.forwards
        return ({found.address} if keeps else set()), list(found.forwards)
    if isinstance(found, AliasRow):
        return set(), list(found.targets)
    if found is None:
        return set(), []
    outside = found.endswith("@foreign.example") or (
        found.endswith("@relay.example") and meaning(found, world) == found
    )
    # a relay or a foreign host has it, or it is the target of a catch-all
    if outside and found.split("@")[0] == address.split("@")[0]:
        return {found}, []
    return set(), [found]


def closure(address: str, world: World) -> tuple[set[str], set[str]]:
    """All that is delivered to behind an address, and all addresses on the way."""
    passed: set[str] = set()
    places: set[str] = set()
    waiting = [address]
    while waiting:
        one = waiting.pop()
        if one not in passed:
            passed.add(one)
            at, more = behind(one, world)
            places |= at
            waiting += more
    return places, passed


def stranded(address: str, world: World) -> set[str]:
    """The mailboxes on the way that only forward, and to nowhere."""
    lost = set()
    for one in closure(address, world)[1]:
        found = meaning(one, world)
        if isinstance(found, MailboxRow) and found.may_receive and not closure(one, world)[0]:
            lost.add(found.address)
    return lost


def plain_names(text: str) -> set[str]:
    return {bare(one) for one in text.split(", ")}


# -- the tests ------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(worlds(), addresses)
def test_mail_goes_where_the_model_says(world: World, key: str) -> None:
    places, _ = closure(key, world)
    lost = stranded(key, world)
    own = meaning(key, world)
    try:
        answer = world.ask("aliases", key)
    except Unresolvable:
        assert not places
        assert not lost
        return
    expected = {bare(place) for place in places}
    if answer is Nothing.UNKNOWN:
        assert not places
        assert not lost
    elif answer is Nothing.NO_ENTRY:
        got = {bare(key)}
        if isinstance(own, MailboxRow):
            got = {bare(own.address)}
            assert plain_names(own.address) == got
        assert expected <= got
        assert got <= expected | {bare(name) for name in lost}
    else:
        assert isinstance(answer, str)
        got = plain_names(answer)
        assert expected <= got
        assert got <= expected | {bare(name) for name in lost}
        # every mailbox that forwards to nowhere is one of the places, or leads to one
        for name in lost:
            ways = closure(name, world)[1]
            owners = {m.address for w in ways if isinstance(m := meaning(w, world), MailboxRow)}
            assert {bare(owner) for owner in owners} & got


def recurse(world: World, key: str) -> tuple[list[str], int]:
    """Expand a recipient as cleanup_map1n_internal does; returns the recipients and look-ups."""
    addresses, expanded_to_self, asked = [key], set[str](), 0
    place = 0
    while place < len(addresses):
        for _ in range(1000):
            if addresses[place] in expanded_to_self:
                break
            asked += 1
            answer = world.ask("aliases", addresses[place])
            if isinstance(answer, Nothing):
                break
            before = addresses[place]
            first, *more = answer.split(", ")
            addresses[place] = first
            addresses += more
            if before.lower() in [one.lower() for one in (first, *more)]:
                expanded_to_self.add(before)
        else:
            pytest.fail("Postfix would go on for ever")
        place += 1
        assert len(addresses) < 1000
    return addresses, asked


@settings(max_examples=150)
@given(worlds(), addresses)
def test_the_recursion_of_postfix_ends_at_the_first_answer(world: World, key: str) -> None:
    try:
        answer = world.ask("aliases", key)
    except Unresolvable:
        return
    if isinstance(answer, Nothing):
        return
    recipients, asked = recurse(world, key)
    assert {one.lower() for one in recipients} == {one.lower() for one in answer.split(", ")}
    assert asked <= 1 + 3 * len(recipients)
    for one in answer.split(", "):
        domain = one.split("@")[1]
        if domain in ("foreign.example", "relay.example"):
            continue
        assert world.ask("mailboxes", one) == bare(one) or one in world.mailboxes


@settings(max_examples=100)
@given(worlds(), addresses)
def test_a_mailbox_is_found_where_the_model_finds_it(world: World, key: str) -> None:
    found = meaning(key, world)
    answer = world.ask("mailboxes", key)
    if isinstance(found, MailboxRow) and found.may_receive:
        assert answer == found.address
    else:
        assert isinstance(answer, Nothing)
        nobody = found is None or isinstance(found, MailboxRow)
        assert (answer is Nothing.UNKNOWN) == nobody


@settings(max_examples=100)
@given(worlds(), addresses)
def test_the_logins_that_may_send_are_those_of_the_model(world: World, key: str) -> None:
    domain = key.split("@")[1]
    assume(domain in world.domains)
    final = world.domains[domain].alias_of or domain
    answer = world.ask("senders", key)
    if not world.domains[domain].enabled or not world.domains[final].enabled:
        assert answer is Nothing.UNKNOWN
        return
    expected = set()
    found = meaning(key, world)
    if isinstance(found, MailboxRow) and found.may_send:
        expected.add(found.address)
    if isinstance(found, AliasRow) and found.members_may_send:
        waiting, passed = list(found.targets), {found.address}
        while waiting:
            one = meaning(waiting.pop(), world)
            if isinstance(one, MailboxRow) and one.may_send:
                expected.add(one.address)
            if isinstance(one, AliasRow) and one.address not in passed:
                passed.add(one.address)
                waiting += one.targets
    for login, sender in world.rights:
        forms = {*candidates(key, world), f"@{domain}", f"@{final}"}
        if sender in forms and world.may_send(login):
            expected.add(login)
    if isinstance(answer, Nothing):
        assert not expected
    else:
        assert set(answer.split(", ")) == expected
        assert len(answer.split(", ")) == len(expected)


def box_of_login(login: str, world: World) -> MailboxRow | None:
    """The mailbox that a name to log in with is of: extensions and aliases are none."""
    local, domain = login.split("@")
    if domain not in world.domains:
        return None
    return world.mailboxes.get(f"{local}@{world.domains[domain].alias_of or domain}")


@settings(max_examples=150)
@given(worlds(), addresses, st.sampled_from(["", "lmtp", "lda", "imap", "doveadm", "x"]))
def test_dovecot_finds_the_mailboxes_of_the_model(world: World, key: str, protocol: str) -> None:
    box = box_of_login(key, world)
    home = solve(dovecot.userdb(key, protocol), world.answers)
    rules = solve(dovecot.rules(key.upper()), world.answers)
    if box is None:
        assert home is None
        assert rules is None
        return
    assert rules == RulesRow(box.address, world.rules[box.address])
    if protocol in ("", "lmtp", "lda") and not box.may_receive:
        assert home is None
        return
    assert home == dovecot.Home(box.address, box.quota)
    expected = {"user": box.address}
    if box.quota is not None:
        expected["userdb_quota_storage_size"] = str(box.quota)
    assert home.fields("userdb_") == expected


@given(worlds(), st.text(), st.text())
def test_any_login_has_an_answer_for_dovecot(world: World, login: str, protocol: str) -> None:
    for text in (login, f"{login}@one.example", f"a@{login}"):
        home = solve(dovecot.userdb(text, protocol, "one.example"), world.answers)
        if home is not None:
            assert home.address in world.mailboxes
            assert all("\n" not in line and "\t" not in line for line in home.fields().values())


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_patterns_are_those_of_fnmatch(pattern: str, text: str) -> None:
    assert matches(pattern, text) == fnmatchcase(text, pattern)


@given(worlds(), st.sampled_from(["domains", "mailboxes", "aliases", "senders"]), st.text())
def test_any_key_has_an_answer(world: World, table: str, key: str) -> None:
    for text in (key, f"{key}@one.example", f"a+{key}@one.example", f"a@{key}"):
        try:
            answer = world.ask(table, text)
        except Unresolvable:
            continue
        if isinstance(answer, str):
            assert answer.isprintable()
            assert "," not in answer.replace(", ", "")
