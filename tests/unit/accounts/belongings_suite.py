"""Objects that belong to a mailbox, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import update

from accounts.directory import (
    app_passwords,
    audit,
    domain_preferences,
    listed_senders,
    preferences,
    sender_rights,
    sieve_rules,
)
from accounts.sieve import parse_rule
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write
from tests.unit.accounts.desk import HASH, NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase


class BelongingsSuite(DirectoryBase):
    """The tests."""

    def test_sender_rights(self, filled: Desk) -> None:
        def add(sender: str) -> sender_rights.SenderRight:
            return filled.write(lambda w: sender_rights.add(w, "anna@example.org", sender))

        assert add("Info@Example.net").sender == "info@example.net"
        assert add("@BÜCHER.example").sender == "@xn--bcher-kva.example"
        for kind, sender in (
            (AlreadyThere, "info@example.net"),
            (Invalid, "anna@example.org"),
            (Invalid, "@"),
            (Invalid, "@@example.org"),
            (Invalid, "*@example.org"),
        ):
            self.refused(
                filled,
                kind,
                lambda w: sender_rights.add(w, "anna@example.org", sender),  # noqa: B023
            )
        (right,) = filled.read(lambda c: sender_rights.find(c, sender="INFO@example.net"))
        assert (right.mailbox, right.sender) == ("anna@example.org", "info@example.net")
        assert len(filled.read(lambda c: sender_rights.find(c, mailbox="anna@example.org"))) == 2
        filled.write(lambda w: sender_rights.remove(w, "anna@example.org", "info@example.net"))
        self.refused(
            filled,
            NoSuchObject,
            lambda w: sender_rights.remove(w, "anna@example.org", "info@example.net"),
        )

    def test_app_passwords(self, filled: Desk) -> None:
        made = filled.write(
            lambda w: app_passwords.add(
                w,
                "anna@example.org",
                "phone",
                password=HASH,
                protocols=["smtp", "imap", "smtp"],
                expires=NOW + 5,
            )
        )
        assert made.protocols == ("imap", "smtp")
        assert not any(HASH in str(entry) for entry in filled.read(audit.find))
        self.refused(
            filled,
            AlreadyThere,
            lambda w: app_passwords.add(w, "anna@example.org", "phone", password=HASH),
        )
        wrong: list[dict[str, Any]] = [
            {"protocols": []},
            {"protocols": ["http"]},
            {"password": "plain"},
        ]
        for values in wrong:
            self.refused(
                filled,
                Invalid,
                lambda w: app_passwords.add(
                    w,
                    "anna@example.org",
                    "other",
                    **{"password": HASH} | values,  # noqa: B023
                ),
            )
        filled.run(
            filled.database.record(
                lambda c: app_passwords.note_use(c, made.id, NOW + 1, "2001:db8::1")
            )
        )
        (found,) = filled.read(lambda c: app_passwords.find(c, "anna@example.org"))
        assert (found.last_used, found.last_client) == (NOW + 1, "2001:db8::1")
        filled.write(lambda w: app_passwords.remove(w, "anna@example.org", "phone"))
        assert filled.read(lambda c: app_passwords.find(c, "anna@example.org")) == []

    def test_app_passwords_are_few(self, filled: Desk) -> None:
        def add(write: Write) -> None:
            for number in range(app_passwords.MAX_PASSWORDS + 1):
                app_passwords.add(write, "anna@example.org", str(number), password=HASH)

        told = self.refused(filled, Invalid, add)
        assert told == "name: A mailbox has at most 50 app passwords."

    def test_sieve_rules(self, filled: Desk) -> None:
        test = {
            "kind": "header",
            "names": ["Subject"],
            "match": "is",
            "values": ["' \" \\u0000 😀"],
        }
        into = {"kind": "fileinto", "mailbox": "x"}
        rule = {"match": "all", "conditions": [test], "actions": [into]}

        def add(name: str) -> sieve_rules.SieveRule:
            return filled.write(lambda w: sieve_rules.add(w, "anna@example.org", name, rule=rule))

        def names() -> list[str]:
            found = filled.read(lambda c: sieve_rules.find(c, "anna@example.org"))
            assert [rule.position for rule in found] == list(range(len(found)))
            return [rule.name for rule in found]

        stored = add("b").rule
        assert stored["conditions"][0]["values"] == test["values"]
        assert stored == parse_rule(rule | {"name": "b"}).body()
        add("a")
        add("c")
        assert names() == ["b", "a", "c"]
        order = ["c", "b", "a"]
        filled.write(lambda w: sieve_rules.order(w, "anna@example.org", order))
        assert names() == order
        for other in (["c", "b"], ["c", "b", "b"], ["c", "b", "a", "d"], "cba"):
            self.refused(
                filled,
                Invalid,
                lambda w: sieve_rules.order(w, "anna@example.org", other),  # noqa: B023
            )
        self.refused(
            filled, AlreadyThere, lambda w: sieve_rules.add(w, "anna@example.org", "a", rule=rule)
        )
        self.refused(
            filled,
            AlreadyThere,
            lambda w: sieve_rules.change(w, "anna@example.org", "a", 1, name="b"),
        )
        other_rule = {"match": "always", "actions": [{"kind": "keep"}]}
        changed = filled.write(
            lambda w: sieve_rules.change(
                w, "anna@example.org", "a", 1, name="A", enabled=False, rule=other_rule
            )
        )
        assert (changed.name, changed.enabled, changed.version) == ("A", False, 2)
        assert changed.rule["match"] == "always"
        filled.write(lambda w: sieve_rules.remove(w, "anna@example.org", "c"))
        assert names() == ["b", "A"]
        assert add("d").position == 2

    def test_rules_that_cannot_be_sieve(self, filled: Desk) -> None:
        """Whoever writes it: nothing is stored that the script of the mailbox cannot have."""
        box = "anna@example.org"
        keep = {"match": "always", "actions": [{"kind": "keep"}]}
        away = {"match": "always", "actions": [{"kind": "vacation", "text": "Gone"}]}

        def add(name: str, rule: Any, *, enabled: bool = True) -> Callable[[Write], Any]:
            return lambda w: sieve_rules.add(w, box, name, rule=rule, enabled=enabled)

        def change(rule_name: str, **values: Any) -> Callable[[Write], Any]:
            return lambda w: sieve_rules.change(w, box, rule_name, None, **values)

        filled.write(add("away", away))
        filled.write(add("away too", away, enabled=False))
        filled.write(add("keep", keep))
        wrong: list[tuple[Callable[[Write], Any], str]] = [
            (add("a", {"if": []}), "rule.actions: Field required."),
            (add("a", []), "rule: It must have match, conditions and actions."),
            (add("a", keep | {"name": "b"}), "rule: It must have match, conditions and actions."),
            (add("a", keep | {"actions": [{"kind": "pipe"}]}), "rule.actions.0"),
            (add("a", away), "rule: Only one enabled rule can have a vacation."),
            (change("keep", rule={"then": 1}), "rule.actions: Field required."),
            (change("keep", rule=away), "rule: Only one enabled rule can have a vacation."),
            (change("away too", enabled=True), "rule: Only one enabled rule can have a vacation."),
        ]
        for work, told in wrong:
            assert self.refused(filled, Invalid, work).startswith(told)
        filled.write(change("away", enabled=False))
        filled.write(change("away too", enabled=True))
        # one that an older version has stored
        filled.write(
            lambda w: w.connection.execute(
                update(schema.sieve_rule)
                .where(schema.sieve_rule.c.name == "keep")
                .values(rule=["?"])
            )
        )
        filled.write(change("away too", name="Away"))
        assert not filled.write(change("keep", enabled=False)).enabled
        assert self.refused(filled, Invalid, change("keep", enabled=True)).startswith("rule: ")

    def test_rules_have_a_bound(self, filled: Desk) -> None:
        deep: Any = []
        for _ in range(10_000):
            deep = [deep]
        cyclic: list[Any] = []
        cyclic.append(cyclic)
        for rule in (
            deep, cyclic, {"a": "x" * 70_000}, "text", None, 1, {"a": float("nan")},
            {"a": "\0"}, {"\0": 1}, {"a": "\ud800"}, {"a": b"octets"}, [{1, 2}],
        ):  # fmt: skip
            self.refused(
                filled,
                Invalid,
                lambda w: sieve_rules.add(w, "anna@example.org", "a", rule=rule),  # noqa: B023
            )

    def test_preferences(self, filled: Desk) -> None:
        def get() -> preferences.Preferences:
            return filled.read(lambda c: preferences.get(c, "anna@example.org"))

        assert get() == preferences.Preferences()
        changed = filled.write(
            lambda w: preferences.change(
                w, "anna@example.org", 0, greylist=False, spam_junk_score=5, spam_reject_score=7.5
            )
        )
        assert (
            changed
            == get()
            == preferences.Preferences(
                greylist=False, spam_junk_score=5.0, spam_reject_score=7.5, version=1
            )
        )
        told = self.refused(
            filled,
            Invalid,
            lambda w: preferences.change(w, "anna@example.org", 1, spam_junk_score=8),
        )
        assert told == "spam_reject_score: It is below spam_junk_score, which is 8."
        filled.write(
            lambda w: preferences.change(
                w, "anna@example.org", 1, spam_junk_score=None, virus_check=False
            )
        )
        assert get().spam_junk_score is None
        for score in (float("nan"), float("inf"), 1001, "5", True):
            self.refused(
                filled,
                Invalid,
                lambda w: preferences.change(
                    w,
                    "anna@example.org",
                    None,
                    spam_junk_score=score,  # type: ignore[arg-type]  # noqa: B023
                ),
            )

    def test_preferences_for_the_spam_filter(self, filled: Desk) -> None:
        made = filled.write(
            lambda w: preferences.change(
                w,
                "anna@example.org",
                0,
                languages=("zh", "de", "zh"),
                subject_tag=" [Müll] ",
                rule_scores={"B": 1, "A": -0.0004},
            )
        )
        assert made.languages == ("de", "zh")
        assert made.subject_tag == "[Müll]"
        assert list(made.rule_scores.items()) == [("A", 0.0), ("B", 1.0)]
        assert filled.read(lambda c: preferences.get(c, "anna@example.org")) == made
        same = filled.write(
            lambda w: preferences.change(w, "anna@example.org", 1, languages=("zh", "de"))
        )
        assert same.version == 1
        wrong: list[dict[str, Any]] = [
            {"languages": ("tlh",)},
            {"languages": "de"},
            {"languages": (None,)},
            {"subject_tag": "a\nb"},
            {"subject_tag": "a\u2028b"},
            {"subject_tag": "\ud800"},
            {"subject_tag": "x" * 41},
            {"rule_scores": {"A": 100.1}},
            {"rule_scores": {"A": True}},
            {"rule_scores": {"A": float("nan")}},
            {"rule_scores": {"A\nbody B /x/": 1}},
            {"rule_scores": {"9": 1}},
            {"rule_scores": {f"A{n}": 1 for n in range(101)}},
            {"rule_scores": [("A", 1)]},
        ]
        for values in wrong:
            for change, owner in (
                (preferences.change, "anna@example.org"),
                (domain_preferences.change, "example.org"),
            ):
                self.refused(
                    filled,
                    Invalid,
                    lambda w: change(w, owner, None, **values),  # noqa: B023
                )
        assert filled.read(lambda c: preferences.get(c, "anna@example.org")) == made

    def test_preferences_of_a_domain(self, filled: Desk) -> None:
        def get() -> domain_preferences.DomainPreferences:
            return filled.read(lambda c: domain_preferences.get(c, "example.org"))

        assert get() == domain_preferences.DomainPreferences()
        for version, score in enumerate((6, 7)):
            filled.write(
                lambda w: domain_preferences.change(
                    w,
                    "example.org",
                    version,  # noqa: B023
                    spam_junk_score=score,  # noqa: B023
                    languages=["all", "de"],  # type: ignore[arg-type]
                )
            )
        assert get() == domain_preferences.DomainPreferences(7.0, ("all",), version=2)
        add = listed_senders.OF_DOMAIN.add
        filled.write(lambda w: add(w, "example.org", "allow", "@Good.example"))
        filled.write(lambda w: add(w, "Example.ORG", "block", "@good.example"))
        listed = filled.read(lambda c: listed_senders.OF_DOMAIN.find(c, "example.org"))
        assert listed == [
            listed_senders.DomainListedSender("example.org", "block", "@good.example")
        ]
        # those of mailboxes are others
        assert filled.read(lambda c: listed_senders.find(c, "anna@example.org")) == []

    def test_listed_senders(self, filled: Desk) -> None:
        def add(kind: str, pattern: str) -> None:
            filled.write(lambda w: listed_senders.add(w, "anna@example.org", kind, pattern))

        def found() -> list[tuple[str, str]]:
            listed = filled.read(lambda c: listed_senders.find(c, "anna@example.org"))
            return [(one.kind, one.pattern) for one in listed]

        add("allow", "Friend@Example.NET")
        add("block", "@Spam.example")
        assert found() == [("allow", "friend@example.net"), ("block", "@spam.example")]
        add("block", "friend@example.net")  # it is not both
        assert found() == [("block", "@spam.example"), ("block", "friend@example.net")]
        self.refused(
            filled,
            AlreadyThere,
            lambda w: listed_senders.add(w, "anna@example.org", "block", "FRIEND@example.net"),
        )
        self.refused(
            filled,
            Invalid,
            lambda w: listed_senders.add(w, "anna@example.org", "maybe", "a@example.net"),
        )
        filled.write(
            lambda w: listed_senders.remove(w, "anna@example.org", "block", "Friend@example.net")
        )
        self.refused(
            filled,
            NoSuchObject,
            lambda w: listed_senders.remove(w, "anna@example.org", "block", "friend@example.net"),
        )
