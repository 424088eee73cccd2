import pytest

from accounts.lookup.ask import AliasRow, DomainRow, MailboxRow, Unresolvable
from accounts.lookup.postfix import MAPS, MapText
from tests.unit.accounts.lookup.sample import CASES, NO_ENTRY, UNKNOWN, sample_world
from tests.unit.accounts.lookup.world import World


@pytest.fixture
def world() -> World:
    return sample_world()


@pytest.mark.parametrize(("table", "key", "answer"), CASES)
def test_answers(world: World, table: str, key: str, answer: MapText) -> None:
    assert world.ask(table, key) == answer


def test_every_map_is_tried() -> None:
    assert {table for table, _, _ in CASES} == set(MAPS)


@pytest.mark.parametrize("key", ["loop1@example.org", "loop2+x@example.org"])
def test_a_loop_is_a_temporary_error(world: World, key: str) -> None:
    with pytest.raises(Unresolvable, match="lead only to one another"):
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
def test_delimiters(world: World, delimiter: str, key: str, found: MapText) -> None:
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


def test_an_extension_does_not_make_the_name_of_another(world: World) -> None:
    world.add(MailboxRow("anna+own@example.org"))
    assert world.ask("aliases", "info+Own@example.org") == (
        "anna@example.org, ben+Own@example.org, ben@other.example"
    )


def test_forwarding_does_not_deliver_twice_because_of_an_extension(world: World) -> None:
    """Postfix asks for each address of the answer once more."""
    world.add(
        MailboxRow("fred@example.org", forwards=("anna@example.org",)),
        AliasRow("fred-alias@example.org", targets=("fred+lists@example.org",)),
        AliasRow("both@example.org", targets=("fred@example.org", "anna@example.org")),
    )
    for key, answer in {
        "fred-alias+x@example.org": "fred+lists@example.org, anna@example.org",
        "fred+lists@example.org": "fred+lists@example.org, anna@example.org",
        "both+x@example.org": "fred+x@example.org, anna@example.org",
        "fred+x@example.org": "fred+x@example.org, anna@example.org",
    }.items():
        assert world.ask("aliases", key) == answer


def test_a_name_with_a_delimiter_takes_no_extension(world: World) -> None:
    world.add(
        MailboxRow("zoe+own@example.org"),
        AliasRow("zoe-alias@example.org", targets=("zoe+own@example.org", "anna@example.org")),
    )
    assert world.ask("aliases", "zoe-alias+x@example.org") == (
        "zoe+own@example.org, anna+x@example.org"
    )
