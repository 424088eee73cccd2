"""Influence of a forger: never better than a failure, whichever names he chooses.

The time is simulated: a silent name server takes all the time that its question is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from gatepost.dns.budget import Budget
from milters.outcome import MessageOutcome
from msgauth.ask import TEMPFAIL, Answer, Question
from msgauth.dmarc import RESERVED
from msgauth.drive import solve
from msgauth.message import HeaderField
from tests.unit.milters.mail import NOW, Field, key_zone, refusal, rsa_key, session_of
from tests.unit.msgauth.forge import forge

BUDGET = 20.0
TIMEOUT = 5.0

ZONE = key_zone(
    "victim.example",
    extra="""
["victim.example"]
TXT = "v=spf1 ip4:192.0.2.1 -all"
["_dmarc.victim.example"]
TXT = "v=DMARC1; p=reject"
["macro.victim.example"]
TXT = "v=spf1 exists:%{h}.%{l}.silent.test -all"
["_dmarc.strict.example"]
TXT = "v=DMARC1; p=reject; adkim=s; aspf=s"
["strict.example"]
TXT = "v=spf1 -all"
["_dmarc.careful.example"]
TXT = "v=DMARC1; p=quarantine; sp=none; np=reject"
["_dmarc.careless.example"]
TXT = "v=DMARC1; p=none"
["evil.test"]
TXT = "v=spf1 include:a.silent.test include:b.silent.test include:c.silent.test mx:silent.test -all"
["friend.test"]
TXT = "v=spf1 ip4:192.0.2.0/24 -all"
""",
)


class Dns:
    """The zone, with names that fail at once and names whose servers keep silent.

    The policy of victim.example takes `slow` seconds to come, also while nobody waits for it.
    """

    def __init__(self, slow: float = 0.01) -> None:
        self.now = 0.0
        self._slow = slow
        self._comes = 0.0
        self.asked: list[str] = []
        self._budget = Budget(BUDGET, RESERVED, lambda: self.now)

    def resolve(self, question: Question) -> Answer:
        labels = question.name.split(".")
        with self._budget.spend(question) as deadline:
            given = min(TIMEOUT, deadline - self.now)
            if given <= 0:
                return TEMPFAIL
            self.asked.append(question.name)
            if "silent" in labels or question.name.endswith("in-addr.arpa"):
                self.now += given
                return TEMPFAIL
            if question.name == "_dmarc.victim.example":
                self._comes = self._comes or self.now + self._slow
                if self._comes > self.now + given:
                    self.now += given
                    return TEMPFAIL
                self.now = max(self.now, self._comes)
                return ZONE.resolve(question)
            self.now += 0.01
            if "broken" in labels:
                return TEMPFAIL
            return ZONE.resolve(question)


def signature(domain: str, fields: Sequence[Field], selector: str = "r") -> Field:
    signed = [HeaderField(name.encode(), value.encode()) for name, value in fields]
    field = forge(signed, b"Hello\r\n", rsa_key(), d=domain, s=selector, h="From:Subject")
    return "DKIM-Signature", field.value.decode()


@dataclass(frozen=True)
class Attack:
    author: str = "ceo@victim.example"
    sender: str = "x@evil.test"
    signed_for: tuple[str, ...] = ()
    preset: str = "default"


def send(attack: Attack, dns: Dns, *more: Field, client: str = "203.0.113.9") -> MessageOutcome:
    fields: list[Field] = [("From", f" {attack.author}"), ("Subject", " urgent")]
    signatures = [signature(domain, fields) for domain in attack.signed_for]
    settings: Mapping[str, object] = {"policy": {"preset": attack.preset}}
    session = session_of(client, settings)
    session.mail_from(f"<{attack.sender}>".encode(), "", "")
    for name, value in (*signatures, *more, *fields):
        session.header(name.encode(), value.encode())
    session.end_of_headers()
    session.body(b"Hello\r\n")
    return solve(session.end_of_message(NOW), dns.resolve)


SILENT = tuple(f"s{n}.silent.test" for n in range(7))
BROKEN = tuple(f"s{n}.broken.victim.example" for n in range(7))
DEAD = tuple(f"s{n}.silent.victim.example" for n in range(7))
# what nothing keeps open: the verdict is that of a failure
CLOSED = [
    Attack(),
    Attack(signed_for=SILENT),
    Attack(signed_for=SILENT, sender="x@victim.example"),
    Attack(signed_for=(*SILENT, "broken.test"), sender="x@silent.test"),
    Attack(sender="x@broken.test"),
    Attack(sender="x@notvictim.example"),
    Attack(signed_for=("silent.example", "broken.notvictim.example")),
    Attack(author="ceo@strict.example", sender="x@broken.strict.example"),
    Attack(author="ceo@strict.example", sender="x@strict.example", signed_for=SILENT),
    Attack(author="ceo@strict.example", signed_for=("silent.strict.example",) * 7),
    Attack(author="ceo@victim.example, x@silent.test, y@broken.test"),
    Attack(author="x@a.silent.test, y@b.silent.test, z@c.silent.test, ceo@victim.example"),
    Attack(author="x@careless.example, ceo@victim.example", signed_for=SILENT),
    Attack(author="ceo@nowhere.victim.example", signed_for=SILENT),
]
# what leaves the result open; the policy is known all the same
OPEN = [
    Attack(sender="x@broken.victim.example"),
    Attack(sender="x@silent.victim.example"),
    Attack(sender="x@macro.victim.example"),
    Attack(sender="x@broken.victim.example", signed_for=BROKEN),
    Attack(signed_for=BROKEN),
    Attack(signed_for=DEAD),
    Attack(signed_for=DEAD, sender="x@silent.victim.example"),
    Attack(signed_for=("a.broken.victim.example",)),
    Attack(author="ceo@broken.victim.example"),
    Attack(author="ceo@silent.victim.example"),
    Attack(author="ceo@a.b.c.d.silent.victim.example", signed_for=SILENT),
    Attack(author="ceo@silent.victim.example", sender="x@silent.victim.example", signed_for=DEAD),
    Attack(author="x@careless.example, ceo@victim.example", signed_for=BROKEN),
    Attack(author="ceo@broken.careful.example"),
    Attack(author="x@silent.test, ceo@broken.victim.example", signed_for=SILENT),
]


@pytest.mark.parametrize("attack", CLOSED, ids=str)
def test_a_name_that_could_never_align_changes_nothing(attack: Attack) -> None:
    dns = Dns()
    outcome = send(attack, dns)
    assert ("dmarc", "fail") in outcome.results
    assert (outcome.action, outcome.reason) == ("quarantine", "dmarc-fail-reject")
    assert dns.now <= BUDGET + 0.1
    assert send(replace(attack, preset="strict"), Dns()).action == "reject"


@pytest.mark.parametrize("attack", OPEN, ids=str)
def test_a_name_that_could_align_earns_no_more_than_a_failure(attack: Attack) -> None:
    dns = Dns()
    outcome = send(attack, dns)
    assert ("dmarc", "temperror") in outcome.results
    assert (outcome.action, outcome.reason) == ("quarantine", "dmarc-temperror-reject")
    assert dns.now <= BUDGET + 0.1
    strict = send(replace(attack, preset="strict"), Dns())
    assert (strict.action, strict.reason) == ("defer", "dmarc-temperror-reject")
    assert send(replace(attack, preset="report"), Dns()).action == "accept"


@pytest.mark.parametrize("others", [0, 1, 4])
@pytest.mark.parametrize("slow", [0.5, 1.5, 3.5])
def test_a_slow_policy_is_found_beside_authors_whose_servers_are_silent(
    others: int, slow: float
) -> None:
    author = ", ".join(["ceo@victim.example", *(f"x@{n}.silent.test" for n in range(others))])
    dns = Dns(slow)
    outcome = send(Attack(author=author), dns)
    assert (outcome.action, outcome.reason) == ("quarantine", "dmarc-fail-reject")
    assert dns.now <= BUDGET + 0.1


def test_the_policy_is_asked_for_before_anything_the_sender_chose() -> None:
    dns = Dns()
    send(Attack(signed_for=(*SILENT, "broken.victim.example")), dns)
    assert dns.asked[0] == "_dmarc.victim.example"
    # then what could be aligned; the reverse name of the client comes last, if at all
    assert "r._domainkey.broken.victim.example" in dns.asked[1:4]


def test_silent_servers_do_not_keep_a_genuine_signature_from_being_looked_at() -> None:
    """A forwarder signs for others, whose servers are silent; the author's signature is below."""
    dns = Dns()
    fields = [("From", " ceo@victim.example"), ("Subject", " urgent")]
    genuine = signature("victim.example", fields)
    outcome = send(Attack(signed_for=SILENT), dns, genuine)
    assert ("dmarc", "pass") in outcome.results
    assert outcome.action == "accept"
    # the topmost are the ones that count; there is no looking for a better one below
    settings: Mapping[str, object] = {"verify": {"max_signatures": 7}}
    session = session_of("203.0.113.9", settings)
    session.mail_from(b"<x@evil.test>", "", "")
    for name, value in (*(signature(one, fields) for one in SILENT), genuine, *fields):
        session.header(name.encode(), value.encode())
    session.end_of_headers()
    session.body(b"Hello\r\n")
    beyond = solve(session.end_of_message(NOW), Dns().resolve)
    assert ("dmarc", "fail") in beyond.results


def test_genuine_mail_passes_by_spf_beside_silent_signatures() -> None:
    attack = Attack(sender="x@victim.example", signed_for=(*SILENT, "silent.example"))
    assert ("dmarc", "pass") in send(attack, Dns(), client="192.0.2.1").results


def test_results_stand_in_the_order_of_the_message_whatever_was_asked_first() -> None:
    outcome = send(Attack(signed_for=("broken.test", "victim.example", "gone.test")), Dns())
    results = [status for method, status in outcome.results if method == "dkim"]
    assert results == ["temperror", "pass", "permerror"]
    methods = [method for method, _ in outcome.results]
    assert methods == ["iprev", "spf", "spf", "dkim", "dkim", "dkim", "arc", "dmarc"]


def test_where_no_policy_is_known_nothing_is_held_against_the_mail() -> None:
    for author in ("a@silent.test", "a@careless.example", "a@broken.test"):
        domain = author.partition("@")[2]
        attack = Attack(author=author, sender=f"x@broken.{domain}", signed_for=(domain,))
        assert send(attack, Dns()).action == "accept"


@pytest.mark.parametrize("wanted", ["defer", "reject", "tag", "accept"])
def test_temperror_is_the_least_for_the_lines_that_are_not_set(wanted: str) -> None:
    def action(dmarc: Mapping[str, str]) -> str:
        session = session_of("203.0.113.9", {"policy": {"dmarc": dmarc}})
        session.mail_from(b"<x@broken.victim.example>", "", "")
        session.header(b"From", b" ceo@victim.example")
        session.end_of_headers()
        return solve(session.end_of_message(NOW), Dns().resolve).action

    harder = wanted if wanted in ("defer", "reject") else "quarantine"
    assert action({"temperror": wanted}) == harder
    assert action({"temperror": "reject", "temperror_reject": wanted}) == wanted


def test_a_reply_says_what_could_not_be_found_out() -> None:
    attack = Attack(sender="x@broken.victim.example", preset="strict")
    assert refusal(send(attack, Dns())) == (
        "451 4.7.1 DMARC could not be evaluated now, please try again later "
        "[dmarc-temperror-reject]"
    )
