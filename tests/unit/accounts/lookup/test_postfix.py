import pytest

from accounts.lookup.ask import AliasRow, DomainRow, MailboxRow, Unresolvable
from accounts.lookup.postfix import MAPS, Nothing, Text
from tests.unit.accounts.lookup.world import NOW, World

UNKNOWN, NO_ENTRY = Nothing.UNKNOWN, Nothing.NO_ENTRY


@pytest.fixture
def world() -> World:
    world = World()
    world.add(
        DomainRow("example.org", catch_all=None, transport=None),
        DomainRow("alias.example", alias_of="example.org"),
        DomainRow("catch.example", catch_all="anna@example.org"),
        DomainRow("relay.example", is_relay=True, transport="smtp:[inner.example]:25"),
        DomainRow("to-relay.example", alias_of="relay.example"),
        DomainRow("off.example", enabled=False, transport="lmtp:x"),
        DomainRow("to-off.example", alias_of="off.example"),
        DomainRow("xn--bcher-kva.example", transport="lmtp:inet:books:24"),
        MailboxRow("anna@example.org"),
        MailboxRow("ben@example.org", forwards=("ben@other.example",)),
        MailboxRow("cleo@example.org", keep_copy=False, forwards=("Cleo@other.example",)),
        MailboxRow("deaf@example.org", may_receive=False, forwards=("x@other.example",)),
        MailboxRow("mute@example.org", may_send=False),
        MailboxRow("gone@example.org", enabled=False),
        MailboxRow("box@catch.example"),
        MailboxRow("gone@catch.example", enabled=False),
        MailboxRow("jürgen@xn--bcher-kva.example"),
        MailboxRow("box@off.example"),
        AliasRow("info@example.org", targets=("anna@example.org", "ben@example.org")),
        AliasRow(
            "team@example.org",
            members_may_send=True,
            targets=(
                "anna@example.org",
                "info@example.org",
                "gone@example.org",
                "mute@example.org",
                "cleo@other.example",
                "anna@alias.example",
            ),
        ),
        AliasRow("old@example.org", expires=NOW, targets=("anna@example.org",)),
        AliasRow("soon@example.org", expires=NOW + 1, targets=("anna@example.org",)),
        AliasRow("off@example.org", enabled=False, targets=("anna@example.org",)),
        AliasRow("old@catch.example", expires=NOW, targets=("anna@example.org",)),
        AliasRow("ghosts@example.org", targets=("nobody@example.org", "gone@example.org")),
        AliasRow("mixed@example.org", targets=("nobody@example.org", "anna@example.org")),
        AliasRow("sales-*@example.org", members_may_send=True, targets=("anna@example.org",)),
        AliasRow("sales-eu-*@example.org", targets=("ben@other.example",)),
        AliasRow("*-sales@example.org", enabled=False, targets=("anna@example.org",)),
        AliasRow("*-desk@example.org", targets=("anna@example.org",)),
        AliasRow("own@alias.example", targets=("anna@example.org",)),
        AliasRow("post@relay.example", targets=("anna@example.org",)),
        AliasRow("out@example.org", targets=('"an na"@other.example', "Bo.Li@Other.example")),
        AliasRow("loop1@example.org", targets=("loop2@example.org",)),
        AliasRow("loop2@example.org", targets=("loop1@example.org",)),
        AliasRow("saved@example.org", targets=("loop1@example.org", "anna@example.org")),
        AliasRow("detail@example.org", targets=("anna+lists@example.org",)),
    )
    world.rights += [
        ("ben@example.org", "anna@example.org"),
        ("ben@example.org", "@catch.example"),
        ("gone@example.org", "anna@example.org"),
        ("mute@example.org", "anna@example.org"),
        ("ben@example.org", "ben@foreign.example"),
        ("anna@example.org", "@alias.example"),
        ("ben@example.org", "news@example.org"),
    ]
    return world


CASES: list[tuple[str, str, Text]] = [
    ("domains", "example.org", "example.org"),
    ("domains", "Example.ORG.", "example.org"),
    ("domains", "alias.example", "alias.example"),
    ("domains", "bücher.example", "xn--bcher-kva.example"),
    ("domains", "relay.example", NO_ENTRY),
    ("domains", "to-relay.example", NO_ENTRY),
    ("domains", "off.example", UNKNOWN),
    ("domains", "to-off.example", UNKNOWN),
    ("domains", "foreign.example", UNKNOWN),
    ("domains", "sub.example.org", UNKNOWN),
    ("domains", "", UNKNOWN),
    ("domains", "*", UNKNOWN),
    ("domains", "a" * 2000, UNKNOWN),
    ("domains", "example.org\0", UNKNOWN),
    ("relay", "relay.example", "relay.example"),
    ("relay", "to-relay.example", "to-relay.example"),
    ("relay", "anyone@relay.example", "relay.example"),
    ("relay", "example.org", NO_ENTRY),
    ("relay", "foreign.example", UNKNOWN),
    ("transport", "*", NO_ENTRY),
    ("transport", "anna@example.org", NO_ENTRY),
    ("transport", "Any+One@Relay.Example", "smtp:[inner.example]:25"),
    ("transport", "a@to-relay.example", "smtp:[inner.example]:25"),
    ("transport", "a@off.example", NO_ENTRY),
    ("transport", "a@foreign.example", NO_ENTRY),
    ("transport", '"a b"@relay.example', "smtp:[inner.example]:25"),
    ("transport", "jürgen@bücher.example", "lmtp:inet:books:24"),
    ("mailboxes", "anna@example.org", "anna@example.org"),
    ("mailboxes", "ANNA+News@Example.org", "anna@example.org"),
    ("mailboxes", "anna+a+b@example.org", "anna@example.org"),
    ("mailboxes", "anna@alias.example", "anna@example.org"),
    ("mailboxes", "anna+x@alias.example", "anna@example.org"),
    ("mailboxes", "Jürgen@Bücher.example", "jürgen@xn--bcher-kva.example"),
    ("mailboxes", "ju\u0308rgen@bücher.example", "jürgen@xn--bcher-kva.example"),
    ("mailboxes", "cleo@example.org", "cleo@example.org"),
    ("mailboxes", "gone@example.org", UNKNOWN),
    ("mailboxes", "deaf@example.org", UNKNOWN),
    ("mailboxes", "nobody@example.org", UNKNOWN),
    ("mailboxes", "info@example.org", NO_ENTRY),
    ("mailboxes", "box@off.example", UNKNOWN),
    ("mailboxes", "anna@foreign.example", UNKNOWN),
    ("mailboxes", "anna", UNKNOWN),
    ("mailboxes", "@example.org", UNKNOWN),
    ("mailboxes", "anna+@example.org", UNKNOWN),
    ("mailboxes", "+anna@example.org", UNKNOWN),
    ("mailboxes", "anna+a/../../b@example.org", UNKNOWN),
    ("mailboxes", "a" * 300 + "@example.org", UNKNOWN),
    ("mailboxes", "an\0na@example.org", UNKNOWN),
    ("mailboxes", "an\ud800na@example.org", UNKNOWN),
    ("mailboxes", "'; DROP TABLE name; --@example.org", UNKNOWN),
    ("aliases", "anna@example.org", NO_ENTRY),
    ("aliases", "Anna+News@example.org", NO_ENTRY),
    ("aliases", "info@example.org", "anna@example.org, ben@example.org, ben@other.example"),
    (
        "aliases",
        "Info+Q3@example.org",
        "anna+Q3@example.org, ben+Q3@example.org, ben@other.example",
    ),
    ("aliases", "ben@example.org", "ben@example.org, ben@other.example"),
    ("aliases", "Ben+x@example.org", "ben+x@example.org, ben@other.example"),
    ("aliases", "cleo@example.org", "Cleo@other.example"),
    ("aliases", "deaf@example.org", UNKNOWN),
    ("aliases", "gone@example.org", UNKNOWN),
    ("aliases", "anna@alias.example", "anna@example.org"),
    ("aliases", "ANNA+News@alias.example", "anna+News@example.org"),
    ("aliases", "own@alias.example", "anna@example.org"),
    ("aliases", "own@example.org", UNKNOWN),
    ("aliases", "nobody@alias.example", UNKNOWN),
    ("aliases", "old@example.org", UNKNOWN),
    ("aliases", "soon@example.org", "anna@example.org"),
    ("aliases", "off@example.org", UNKNOWN),
    ("aliases", "ghosts@example.org", UNKNOWN),
    ("aliases", "mixed@example.org", "anna@example.org"),
    ("aliases", "sales-uk@example.org", "anna@example.org"),
    ("aliases", "Sales-EU-1@example.org", "ben@other.example"),
    ("aliases", "sales-uk@alias.example", "anna@example.org"),
    ("aliases", "x-sales@example.org", UNKNOWN),
    ("aliases", "x-desk+q@example.org", "anna@example.org"),
    ("aliases", "nobody@catch.example", "anna@example.org"),
    ("aliases", '"no body"@catch.example', "anna@example.org"),
    ("aliases", "a" * 300 + "@catch.example", "anna@example.org"),
    ("aliases", "box@catch.example", NO_ENTRY),
    ("aliases", "box+x@catch.example", NO_ENTRY),
    ("aliases", "gone@catch.example", UNKNOWN),
    ("aliases", "gone+x@catch.example", UNKNOWN),
    ("aliases", "old@catch.example", UNKNOWN),
    ("aliases", "post@relay.example", "anna@example.org"),
    ("aliases", "other@relay.example", NO_ENTRY),
    ("aliases", "Other+x@to-relay.example", "Other+x@relay.example"),
    ("aliases", "out@example.org", '"an na"@other.example, Bo.Li@other.example'),
    ("aliases", "saved@example.org", "anna@example.org"),
    ("aliases", "detail@example.org", "anna+lists@example.org"),
    ("aliases", "detail+x@example.org", "anna+lists@example.org"),
    ("aliases", "a@foreign.example", NO_ENTRY),
    ("aliases", "box@off.example", UNKNOWN),
    ("aliases", "postmaster", UNKNOWN),
    ("senders", "anna@example.org", "anna@example.org, ben@example.org"),
    ("senders", "Anna+X@example.org", "anna@example.org, ben@example.org"),
    ("senders", "anna@alias.example", "anna@example.org, ben@example.org"),
    ("senders", "nobody@alias.example", "anna@example.org"),
    ("senders", "mute@example.org", NO_ENTRY),
    ("senders", "gone@example.org", NO_ENTRY),
    ("senders", "deaf@example.org", "deaf@example.org"),
    ("senders", "info@example.org", NO_ENTRY),
    ("senders", "team@example.org", "anna@example.org, ben@example.org"),
    ("senders", "team+x@example.org", "anna@example.org, ben@example.org"),
    ("senders", "sales-uk@example.org", "anna@example.org"),
    ("senders", "news@example.org", "ben@example.org"),
    ("senders", "news+1@example.org", "ben@example.org"),
    ("senders", "box@catch.example", "box@catch.example, ben@example.org"),
    ("senders", "nobody@catch.example", "ben@example.org"),
    ("senders", "ben@foreign.example", "ben@example.org"),
    ("senders", "box@off.example", UNKNOWN),
    ("senders", "nobody@example.org", UNKNOWN),
    ("senders", "", UNKNOWN),
]


@pytest.mark.parametrize(("table", "key", "answer"), CASES)
def test_answers(world: World, table: str, key: str, answer: Text) -> None:
    assert world.ask(table, key) == answer


def test_every_map_is_tried() -> None:
    assert {table for table, _, _ in CASES} == set(MAPS)


@pytest.mark.parametrize("key", ["loop1@example.org", "loop2+x@example.org"])
def test_a_loop_is_a_temporary_error(world: World, key: str) -> None:
    with pytest.raises(Unresolvable, match="lead to one another"):
        world.ask("aliases", key)
    assert world.asked < 20


def test_a_catch_all_that_nobody_has_is_a_temporary_error(world: World) -> None:
    world.add(DomainRow("example.org", catch_all="ghost@example.org"))
    with pytest.raises(Unresolvable):
        world.ask("aliases", "nobody@example.org")


def test_a_target_that_is_no_address_is_a_temporary_error(world: World) -> None:
    world.add(AliasRow("bad@example.org", targets=("anna@example.org", "register")))
    with pytest.raises(Unresolvable, match="register"):
        world.ask("aliases", "bad@example.org")


@pytest.mark.parametrize(
    "key",
    [
        '"anna+a,eve@evil.example"@example.org',
        "anna+a,eve@evil.example@example.org",
        "anna+a eve@example.org",
        "anna+a\neve@example.org",
        "anna+<eve>@example.org",
        'anna+"@alias.example',
        "ben+x, y@example.org",
        "a,b@to-relay.example",
    ],
)
def test_nobody_brings_an_address_into_an_answer(world: World, key: str) -> None:
    assert world.ask("aliases", key) in (UNKNOWN, NO_ENTRY)
    assert world.ask("mailboxes", key) in (UNKNOWN, NO_ENTRY)
    assert world.ask("senders", key) in (UNKNOWN, "anna@example.org")


def test_too_many_targets_are_a_temporary_error_and_not_cut(world: World) -> None:
    targets = tuple(f"user{number}@other.example" for number in range(10))
    world.add(AliasRow("many@example.org", targets=targets, members_may_send=True))
    assert world.ask("aliases", "many@example.org", max_targets=11) == ", ".join(targets)
    with pytest.raises(Unresolvable, match="more than 10"):
        world.ask("aliases", "many@example.org", max_targets=10)
    with pytest.raises(Unresolvable, match="more than 10"):
        world.ask("senders", "many@example.org", max_targets=10)


def test_a_deep_chain_takes_a_round_of_questions_for_each_step(world: World) -> None:
    for number in range(300):
        world.add(AliasRow(f"c{number}@example.org", targets=(f"c{number + 1}@example.org",)))
    world.add(MailboxRow("c300@example.org"))
    assert world.ask("aliases", "c0@example.org") == "c300@example.org"
    assert world.rounds < 310


def test_all_targets_are_asked_for_at_once(world: World) -> None:
    boxes = [MailboxRow(f"m{number}@example.org") for number in range(500)]
    world.add(*boxes, AliasRow("all@example.org", targets=tuple(box.address for box in boxes)))
    world.ask("aliases", "all@example.org")
    assert world.rounds == 2


def test_a_mailbox_whose_forwarding_leads_nowhere_keeps_its_mail(world: World) -> None:
    world.add(
        MailboxRow("x@example.org", keep_copy=False, forwards=("nobody@example.org",)),
        MailboxRow("y@example.org", keep_copy=False, forwards=("z@example.org",)),
        MailboxRow("z@example.org", keep_copy=False, forwards=("y@example.org",)),
        AliasRow("yz@example.org", targets=("y@example.org", "anna@example.org")),
    )
    assert world.ask("aliases", "x@example.org") is NO_ENTRY
    assert world.ask("aliases", "y@example.org") is NO_ENTRY
    assert world.ask("aliases", "z@example.org") is NO_ENTRY
    assert world.ask("aliases", "yz@example.org") == "anna@example.org, y@example.org" or (
        world.ask("aliases", "yz@example.org") == "y@example.org, anna@example.org"
    )


@pytest.mark.parametrize(
    ("delimiter", "key", "found"),
    [
        ("+-", "anna-x@example.org", "anna@example.org"),
        ("+-", "anna-x+y@example.org", "anna@example.org"),
        ("-", "anna+x@example.org", UNKNOWN),
        ("", "anna+x@example.org", UNKNOWN),
        ("+-", "owner-anna@example.org", UNKNOWN),
        ("-", "anna-request@example.org", UNKNOWN),
        ("+-.", "anna.x@example.org", "anna@example.org"),
    ],
)
def test_delimiters(world: World, delimiter: str, key: str, found: Text) -> None:
    assert world.ask("mailboxes", key, delimiter=delimiter) == found


def test_a_name_with_the_delimiter_comes_before_the_extension(world: World) -> None:
    world.add(MailboxRow("anna+own@example.org"))
    assert world.ask("mailboxes", "anna+own@example.org") == "anna+own@example.org"
    assert world.ask("mailboxes", "anna+own+x@example.org") == "anna@example.org"


def test_a_name_of_a_mailbox_costs_two_questions_in_one_round(world: World) -> None:
    for table in ("mailboxes", "aliases"):
        world.asked = world.rounds = 0
        world.ask(table, "anna@example.org")
        assert (world.asked, world.rounds) == (2, 1)
