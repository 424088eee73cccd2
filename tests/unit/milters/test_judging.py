"""Mail from outside: what is found, and what is done about it."""

from collections.abc import Mapping

import pytest

from gatepost.dns import Zone
from milters.actions import Quarantine
from milters.outcome import MessageOutcome
from milters.session import Session
from msgauth.message import HeaderField
from tests.unit.milters.mail import (
    Field,
    Keys,
    Mail,
    apply,
    both_keys,
    key_zone,
    play,
    refusal,
    rsa_key,
    rules,
    session_of,
    values,
)
from tests.unit.msgauth.forge import forge

DNS = """
["signer.example"]
TXT = "v=spf1 ip4:192.0.2.1 -all"
["_dmarc.signer.example"]
TXT = "v=DMARC1; p=reject"
["wary.example"]
TXT = "v=spf1 -all"
["_dmarc.wary.example"]
TXT = "v=DMARC1; p=quarantine"
["plain.example"]
TXT = "v=spf1 -all"
["down.example"]
rcode = "tempfail"
["_dmarc.down.example"]
rcode = "tempfail"
["1.2.0.192.in-addr.arpa"]
PTR = "client.example"
["client.example"]
A = "192.0.2.1"
TXT = "v=spf1 a -all"
"""
ZONE = key_zone("signer.example", extra=DNS)

ADDED = ("Subject", "To", "Date", "Reply-To", "Content-Type")

STRICT: Mapping[str, object] = {"policy": {"preset": "strict"}}
REPORT: Mapping[str, object] = {"policy": {"preset": "report"}}


def judge(
    author: str,
    sender: str,
    *fields: Field,
    client: str = "192.0.2.1",
    settings: Mapping[str, object] | None = None,
) -> tuple[Mail, MessageOutcome]:
    mail = Mail.of(author, *fields)
    outcome = play(session_of(client, settings), mail, ZONE, sender=f"<{sender}>".encode())
    return mail, outcome


def results(mail: Mail, outcome: MessageOutcome) -> str:
    (value,) = values(apply(mail, outcome), "Authentication-Results")
    return value


def test_everything_passes() -> None:
    mail = Mail.of()
    inside = session_of("127.0.0.1")
    signed = apply(mail, play(inside, mail, ZONE))
    outcome = play(session_of("192.0.2.1"), signed, ZONE)
    assert outcome.action == "accept"
    assert outcome.results == (
        ("iprev", "pass"),
        ("spf", "pass"),
        ("spf", "pass"),
        ("dkim", "pass"),
        ("dkim", "pass"),
        ("arc", "none"),
        ("dmarc", "pass"),
    )
    shown = results(signed, outcome)
    assert "smtp.helo=client.example" in shown
    assert "smtp.mailfrom=signer.example" in shown
    assert "header.from=signer.example" in shown


def test_p_reject_is_quarantined_by_default_and_rejected_when_strict() -> None:
    mail, outcome = judge("user@signer.example", "x@plain.example")
    assert (outcome.action, outcome.reason) == ("quarantine", "dmarc-fail-reject")
    after = apply(mail, outcome)
    assert after.fields[0][0] == "Authentication-Results"
    assert values(after, "X-Gatepost-Verdict") == ["quarantine; reason=dmarc-fail-reject"]
    assert not any(isinstance(action, Quarantine) for action in outcome.actions)
    _, strict = judge("user@signer.example", "x@plain.example", settings=STRICT)
    assert refusal(strict) == (
        "550 5.7.1 rejected by the DMARC policy of signer.example [dmarc-fail-reject]"
    )


def test_quarantine_can_hold() -> None:
    settings: dict[str, object] = {"policy": {"quarantine": "hold"}}
    _, outcome = judge("user@wary.example", "x@plain.example", settings=settings)
    assert Quarantine("dmarc-fail-quarantine") in outcome.actions


def test_spf_of_another_domain_does_not_align() -> None:
    _, outcome = judge("user@wary.example", "x@signer.example")
    assert ("spf", "pass") in outcome.results
    assert outcome.reason == "dmarc-fail-quarantine"


def test_spf_fail_without_dmarc() -> None:
    mail, outcome = judge("user@plain.example", "x@plain.example")
    assert outcome.action == "accept"
    assert "dmarc=none" in results(mail, outcome)
    _, strict = judge("user@plain.example", "x@plain.example", settings=STRICT)
    assert refusal(strict).startswith("550 5.7.23")


def test_the_null_sender_stands_for_the_helo_name() -> None:
    mail, outcome = judge("user@plain.example", "")
    assert [result for result in outcome.results if result[0] == "spf"] == [("spf", "pass")]
    assert "smtp.helo=client.example" in results(mail, outcome)


def test_dns_down_loses_nothing() -> None:
    mail, outcome = judge("user@down.example", "x@down.example")
    assert outcome.action == "accept"
    assert "dmarc=temperror" in results(mail, outcome)
    _, strict = judge("user@down.example", "x@down.example", settings=STRICT)
    assert refusal(strict).startswith("451 4.7.1")


@pytest.mark.parametrize("count", [0, 2, 10])
def test_no_author_or_several_is_never_a_pass(count: int) -> None:
    mail = Mail(tuple(("From", f" user{n}@signer.example") for n in range(count)))
    outcome = play(session_of("192.0.2.1"), mail, ZONE)
    assert ("dmarc", "permerror") in outcome.results
    assert outcome.action == "quarantine"
    assert play(session_of("192.0.2.1", STRICT), mail, ZONE).action == "reject"


@pytest.mark.parametrize(
    ("settings", "action"), [({}, "quarantine"), (STRICT, "defer"), (REPORT, "accept")]
)
def test_a_proxy_has_no_spf_and_dmarc_does_not_fail_for_it(
    settings: Mapping[str, object], action: str
) -> None:
    mail = Mail.of()
    outcome = play(session_of("192.0.2.1", settings, proxy_networks=["192.0.2.0/24"]), mail, ZONE)
    assert outcome.proxied
    # whoever says MAIL FROM of the author's domain must not get more than by another name
    assert outcome.action == action
    assert dict(outcome.results) == {"dkim": "none", "arc": "none", "dmarc": "temperror"}
    if action != "defer":
        assert "spf=" not in results(mail, outcome)


@pytest.mark.parametrize("body", [b"Hello\r\n", b"Hello\r\nand more\r\n"])
def test_a_key_under_test_is_never_held_against_the_message(body: bytes) -> None:
    settings: dict[str, object] = {
        "policy": {"dkim": {"none": "tag", "fail": "reject", "permerror": "reject"}}
    }
    mail = Mail.of("user@plain.example")
    keys = {"plain.example": both_keys("plain.example").keys_of("plain.example")}
    signed = apply(mail, play(session_of("127.0.0.1", keys=Keys(keys)), mail, ZONE))
    for flag, action in (("", "reject"), ("; t=y", "tag")):
        records = "".join(
            f'["{key.selector}._domainkey.plain.example"]\n'
            f'TXT = "{key.key.public_record()}{flag}"\n'
            for key in keys["plain.example"]
        )
        changed = Mail((*signed.fields[:-1], ("Subject", " another")), body)
        outcome = play(session_of("192.0.2.1", settings), changed, Zone.parse(records))
        assert [status for method, status in outcome.results if method == "dkim"] == ["fail"] * 2
        # RFC 6376 section 3.6.1: not differently from unsigned mail
        assert outcome.action == action


def test_a_name_that_the_mta_verified_is_believed() -> None:
    ready = rules()
    session = Session(lambda: ready)
    session.connect("Known.Example", "192.0.2.77")
    outcome = play(session, Mail.of(), Zone({}))
    assert ("iprev", "pass") in outcome.results


@pytest.mark.parametrize(
    ("off", "left"),
    [
        ({"iprev": False}, {"spf", "dkim", "dmarc"}),
        ({"dmarc": False}, {"iprev", "spf", "dkim"}),
        ({"dmarc": False, "spf": False}, {"iprev", "dkim"}),
        ({"dmarc": False, "spf": False, "dkim": False, "iprev": False}, set()),
    ],
)
def test_methods_can_be_switched_off(off: dict[str, object], left: set[str]) -> None:
    settings: dict[str, object] = {"verify": {**off, "arc": False}}
    mail, outcome = judge("user@signer.example", "x@signer.example", settings=settings)
    assert {method for method, _ in outcome.results} == left
    assert results(mail, outcome)


@pytest.mark.parametrize("name", ["Subject", "To", "Date", "Reply-To", "Content-Type", "From"])
def test_a_field_added_to_signed_mail_earns_no_pass(name: str) -> None:
    mail = Mail((("From", " user@signer.example"), *((n, " signed") for n in ADDED)))
    field = forge(
        [HeaderField(n.encode(), v.encode()) for n, v in mail.fields],
        mail.body,
        rsa_key(),
        d="signer.example",
        s="r",
        h=":".join(("From", *ADDED)),
    )
    signed = Mail((("DKIM-Signature", field.value.decode()), *mail.fields), mail.body)
    assert ("dkim", "pass") in play(session_of("192.0.2.9"), signed, ZONE).results
    attack = Mail(((name, " user@signer.example"), *signed.fields), mail.body)
    outcome = play(session_of("192.0.2.9"), attack, ZONE)
    assert ("dkim", "policy") in outcome.results
    assert ("dmarc", "pass") not in outcome.results
    assert outcome.action == "quarantine"
    assert outcome.facts["noted"] == "dkim-second-field"
    # by itself it is a line of the table, and of `policy` where that line is not set
    for line in ({"second_field": "reject"}, {"policy": "reject"}):
        settings: dict[str, object] = {
            "verify": {"dmarc": False},
            "policy": {"dkim": line},
        }
        refused = play(session_of("192.0.2.9", settings), attack, ZONE)
        assert refusal(refused).endswith("[dkim-second-field]")
        assert play(session_of("192.0.2.9", settings), signed, ZONE).action == "accept"
