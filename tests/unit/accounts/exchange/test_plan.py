from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.exchange.document import Document, parse, render
from accounts.exchange.plan import make_plan
from accounts.exchange.plan_text import plan_lines
from accounts.exchange.planned import PlannedChange, counts
from tests.unit.accounts.exchange.samples import EVERYTHING, HASH, HASH6, PEM

EMPTY = Document.model_validate({"format": "gatepost accounts", "version": 1})


def document(**parts: Any) -> Document:
    return Document.model_validate({"format": "gatepost accounts", "version": 1, **parts})


def boxes(*mailboxes: dict[str, Any], **more: Any) -> Document:
    return document(domains=({"name": "example.org"},), mailboxes=mailboxes, **more)


def found(changes: tuple[PlannedChange, ...], action: str) -> list[str]:
    return [f"{one.kind} {one.name}" for one in changes if one.action == action]


def text(changes: tuple[PlannedChange, ...]) -> str:
    return "\n".join(plan_lines(changes))


def test_everything_is_added_to_an_empty_datastore() -> None:
    changes = make_plan(EVERYTHING, EMPTY)
    assert {one.action for one in changes} == {"add"}
    order = [one.kind for one in changes]
    assert order.index("mailbox") > order.index("domain")
    assert order.index("alias") > order.index("mailbox")
    assert order.index("sender right") > order.index("alias")
    # an alias domain comes after the domain that it means
    names = [one.name for one in changes if one.kind == "domain"]
    assert names[-1] == "example.net"
    # each part of the sample is an object of its own
    assert {"app password", "rule", "allowed sender", "blocked sender"} < set(order)
    assert {"remote account", "DKIM key", "administrator"} < set(order)


def test_the_same_document_again_changes_nothing() -> None:
    for present in (EVERYTHING, parse(render(EVERYTHING))):
        changes = make_plan(EVERYTHING, present)
        assert counts(changes) == {"add": 0, "change": 0, "keep": len(changes), "conflict": 0}


def test_what_the_document_does_not_say_stays() -> None:
    bare = boxes({"address": "anna@example.org", "quota": 5})
    changes = make_plan(bare, EVERYTHING)
    assert found(changes, "change") == ["mailbox anna@example.org"]
    (change,) = [one for one in changes if one.action == "change"]
    assert [one.field for one in change.differences] == ["quota"]
    assert not found(changes, "conflict")


def test_nothing_is_removed() -> None:
    assert make_plan(EMPTY, EVERYTHING) == ()


def test_no_secret_is_shown() -> None:
    changed = EVERYTHING.model_copy(
        update={"mailboxes": (EVERYTHING.mailboxes[0].model_copy(update={"password": HASH6}),)}
    )
    shown = text(make_plan(EVERYTHING, EMPTY)) + text(make_plan(changed, EVERYTHING))
    assert "    password changes" in shown
    assert "    password is set" in shown
    assert "    secret is set" in shown
    for secret in (HASH, HASH6, HASH[30:50], PEM, PEM[30:60], "remote-secret", "AQIDBA=="):
        assert secret not in shown


def test_the_lines_of_a_dry_run() -> None:
    present = boxes({"address": "anna@example.org", "display_name": "Old", "quota": 7})
    wanted = boxes(
        {"address": "anna@example.org", "display_name": "<b>", "quota": None},
        {"address": "new@example.org", "may_login": False},
        aliases=(
            {"address": "info@example.org", "targets": ("anna@example.org", "x@other.example")},
            {"address": "info@none.example", "targets": ("anna@example.org",)},
        ),
    )
    assert list(plan_lines(make_plan(wanted, present))) == [
        "~ mailbox anna@example.org",
        "    display_name: Old -> <b>",
        "    quota: 7 -> none",
        "+ mailbox new@example.org",
        "    may_login: no",
        "+ alias info@example.org",
        "    targets: anna@example.org, x@other.example",
        "! alias info@none.example",
        "    there is no domain none.example",
        "2 to add, 1 to change, 1 unchanged, 1 in conflict",
    ]
    assert "= domain example.org" in plan_lines(make_plan(wanted, present), kept=True)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (boxes({"address": "info@example.org"}), "there is an alias with this name"),
        (
            boxes(aliases=({"address": "bob@example.org", "targets": ("a@example.org",)},)),
            "there is a mailbox with this name",
        ),
        (document(mailboxes=({"address": "a@other.example"},)), "there is no domain other.example"),
        (document(mailboxes=({"address": "a@example.net"},)), "is an alias of example.org"),
        (
            document(domains=({"name": "example.org", "alias_of": "relay.example"},)),
            "it has mailboxes",
        ),
        (
            document(domains=({"name": "b.example", "alias_of": "c.example"},)),
            "alias of c.example, which does not exist",
        ),
        (
            document(domains=({"name": "b.example", "alias_of": "example.net"},)),
            "example.net is an alias itself",
        ),
        (
            document(domains=({"name": "b.example", "alias_of": "b.example"},)),
            "an alias of itself",
        ),
        (
            document(
                domains=({"name": "b.example", "alias_of": "c.example"},),
                mailboxes=({"address": "a@b.example"},),
            ),
            "domain b.example is not added",
        ),
        (
            document(
                administrators=({"login": "x", "role": "domains", "domains": ("c.example",)},)
            ),
            "there is no domain c.example",
        ),
    ],
)
def test_conflicts(wanted: Document, reason: str) -> None:
    conflicts = [one for one in make_plan(wanted, EVERYTHING) if one.action == "conflict"]
    assert any(reason in one.reason for one in conflicts)


def test_an_alias_of_itself_cannot_have_parts_of_its_mailbox() -> None:
    wanted = boxes({"address": "info@example.org", "rights": ("anna@example.org",)})
    changes = make_plan(wanted, EVERYTHING)
    assert found(changes, "conflict") == ["mailbox info@example.org"]
    assert not found(changes, "add")


def test_a_domain_that_stops_to_be_an_alias_may_get_mailboxes() -> None:
    wanted = document(
        domains=({"name": "example.net", "alias_of": None},),
        mailboxes=({"address": "a@example.net"},),
    )
    changes = make_plan(wanted, EVERYTHING)
    assert found(changes, "change") == ["domain example.net"]
    assert found(changes, "add") == ["mailbox a@example.net"]


def test_passwords() -> None:
    present = boxes({"address": "anna@example.org", "password": HASH})
    other = boxes({"address": "anna@example.org", "password": HASH6})
    clear = boxes({"address": "anna@example.org", "password": "{PLAIN}gate-Pöst 1"})
    none = boxes({"address": "anna@example.org", "password": None})
    asked = []

    def check(stored: str, given: str) -> bool:
        asked.append((stored, given))
        return given == "gate-Pöst 1"

    assert found(make_plan(other, present), "change") == ["mailbox anna@example.org"]
    assert not found(make_plan(other, present, passwords="datastore"), "change")
    assert found(make_plan(other, none, passwords="datastore"), "change")
    assert found(make_plan(clear, present), "change")
    assert not found(make_plan(clear, present, check=check), "change")
    assert asked == [(HASH, "gate-Pöst 1")]
    assert found(make_plan(none, present), "change")


def test_targets_are_compared_as_the_datastore_spells_them() -> None:
    present = boxes(aliases=({"address": "i@example.org", "targets": ("anna@example.org",)},))
    wanted = boxes(aliases=({"address": "i@example.org", "targets": ("Anna@example.org",)},))
    assert not found(make_plan(wanted, present), "change")
    other = boxes(aliases=({"address": "i@example.org", "targets": ("Anna@other.example",)},))
    assert found(make_plan(other, present), "change")


def keys(*states: tuple[str, str], algorithm: str = "ed25519", pem: str = PEM) -> Document:
    return document(
        domains=(
            {
                "name": "example.org",
                "dkim_keys": tuple(
                    {
                        "selector": selector,
                        "algorithm": algorithm,
                        "private": {"clear": pem},
                        "state": state,
                    }
                    for selector, state in states
                ),
            },
        )
    )


def test_dkim_keys() -> None:
    present = keys(("a", "active"), ("b", "new"))
    assert not found(make_plan(present, present), "change")
    # an import never goes back, and never switches to another key by itself
    assert not found(make_plan(keys(("a", "new")), present), "change")
    assert not found(make_plan(keys(("b", "active")), present), "change")
    (added,) = [one for one in make_plan(keys(("c", "active")), present) if one.action == "add"]
    assert [one.after for one in added.differences] == ["ed25519", "new"]
    assert found(make_plan(keys(("a", "retired")), present), "change") == ["DKIM key a"]
    assert found(make_plan(keys(("a", "active"), pem="other"), present), "conflict")


def test_rules_keep_the_order_of_the_document() -> None:
    def ruled(*names: str) -> Document:
        return boxes(
            {
                "address": "anna@example.org",
                "sieve_rules": tuple({"name": name, "rule": {}} for name in names),
            }
        )

    assert not found(make_plan(ruled("b", "a"), EMPTY), "change")
    assert not found(make_plan(ruled("a", "b"), ruled("a", "b", "own")), "change")
    changes = make_plan(ruled("b", "a"), ruled("a", "own", "b"))
    (order,) = [one for one in changes if one.action == "change"]
    assert order.differences[0].after == ("b", "a", "own")


def test_secrets_that_the_document_lacks() -> None:
    account = {
        "protocol": "imap",
        "host": "x.example",
        "port": 993,
        "tls": "implicit",
        "login": "a",
        "secret": {},
    }
    wanted = boxes({"address": "anna@example.org", "remote_accounts": (account,)})
    conflicts = found(make_plan(wanted, EMPTY), "conflict")
    assert conflicts == ["remote account imap a at x.example"]
    there = boxes(
        {
            "address": "anna@example.org",
            "remote_accounts": (account | {"secret": {"clear": "x"}},),
        }
    )
    assert not found(make_plan(wanted, there), "change")


names = st.sampled_from(["a@one.example", "b@one.example", "a@two.example"])
fields = st.fixed_dictionaries(
    {"address": names},
    optional={
        "quota": st.none() | st.integers(0, 3),
        "enabled": st.booleans(),
        "forwards": st.lists(names, unique=True).map(tuple),
        "rights": st.lists(names, unique=True).map(tuple),
        "password": st.sampled_from([None, HASH, HASH6]),
    },
)
documents = st.lists(fields, unique_by=lambda one: str(one["address"])).map(
    lambda boxes: document(
        domains=({"name": "one.example"}, {"name": "two.example"}), mailboxes=tuple(boxes)
    )
)


@settings(max_examples=100, deadline=None)
@given(documents, documents)
def test_a_plan_has_each_object_once_and_its_action_says_whether_it_differs(
    wanted: Document, present: Document
) -> None:
    changes = make_plan(wanted, present)
    keys = [(one.kind, one.owner, one.name) for one in changes]
    assert len(keys) == len(set(keys))
    assert all(bool(one.differences) == (one.action == "change") for one in changes
               if one.action in ("change", "keep"))  # fmt: skip
    assert all(one.action == "keep" for one in make_plan(wanted, wanted))
