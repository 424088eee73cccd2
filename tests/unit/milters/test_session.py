"""Sessions without an MTA: events in, outcomes out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns import Zone
from milters.actions import DeleteHeader
from milters.envelope import MAX_RECIPIENTS
from milters.header import MAX_DELETIONS
from milters.protocol.errors import MilterProtocolError
from milters.session import Session
from msgauth.drive import solve
from tests.unit.milters.mail import (
    NOW,
    Keys,
    Mail,
    apply,
    both_keys,
    key_zone,
    play,
    refusal,
    rules,
    session_of,
    values,
)

ZONE = key_zone("signer.example")
NOTHING = Zone({})
INSIDE = "127.0.0.1"
OUTSIDE = "192.0.2.1"


def results(mail: Mail) -> str:
    (value,) = values(mail, "Authentication-Results")
    return value


def test_internal_mail_is_signed_with_every_key_and_verifies_outside() -> None:
    mail = Mail.of()
    signed = apply(mail, play(session_of(INSIDE), mail, NOTHING))
    algorithms = [value.split("a=")[1].split(";")[0] for value in values(signed, "DKIM-Signature")]
    assert algorithms == ["rsa-sha256", "ed25519-sha256"]
    assert not values(signed, "Authentication-Results")
    checked = apply(signed, play(session_of(OUTSIDE), signed, ZONE))
    assert results(checked).count("dkim=pass") == 2
    assert checked.fields[0][0] == "Authentication-Results"


def test_one_changed_octet_of_the_body_fails() -> None:
    mail = Mail.of()
    signed = apply(mail, play(session_of(INSIDE), mail, NOTHING))
    changed = Mail(signed.fields, b"Hallo\r\n")
    assert results(apply(changed, play(session_of(OUTSIDE), changed, ZONE))).count("dkim=fail") == 2


def test_dns_that_does_not_answer_is_a_temperror_and_the_mail_is_taken() -> None:
    mail = Mail.of()
    signed = apply(mail, play(session_of(INSIDE), mail, NOTHING))
    down = Zone.parse(
        '["r._domainkey.signer.example"]\nrcode = "tempfail"\n'
        '["e._domainkey.signer.example"]\nrcode = "tempfail"\n'
    )
    outcome = play(session_of(OUTSIDE), signed, down)
    assert outcome.action == "accept"
    assert results(apply(signed, outcome)).count("dkim=temperror") == 2


def test_a_long_sender_keeps_its_domain() -> None:
    # cut at its end it would be a sender of signer.exam
    mail = Mail.of()
    zone = Zone.parse(
        '["signer.example"]\nTXT = "v=spf1 +all"\n["signer.exam"]\nTXT = "v=spf1 -all"\n'
    )
    sender = b"<" + b"x" * 244 + b"@signer.example>"
    outcome = play(session_of(OUTSIDE), mail, zone, sender=sender)
    assert "smtp.mailfrom=signer.example" in results(apply(mail, outcome))


@pytest.mark.parametrize("client", [INSIDE, OUTSIDE])
def test_more_fields_in_our_name_than_postfix_can_remove_are_refused(client: str) -> None:
    def mail(count: int) -> Mail:
        forged = ("Authentication-Results", " mx.receiver.example; dkim=pass")
        return Mail.of("user@signer.example", *[forged] * count)

    taken = play(session_of(client), mail(MAX_DELETIONS), ZONE)
    assert (taken.action, taken.forged) == ("accept", MAX_DELETIONS)
    outcome = play(session_of(client), mail(MAX_DELETIONS + 1), ZONE)
    assert (outcome.action, outcome.reason) == ("reject", "forged-fields")
    assert refusal(outcome).startswith("550 5.7.1 ")


@pytest.mark.parametrize("client", [INSIDE, OUTSIDE])
@pytest.mark.parametrize(
    "forged",
    [
        " mx.receiver.example; dkim=pass",
        " MX.Receiver.EXAMPLE; dkim=pass",
        "mx.receiver.example;dkim=pass",
        "\n mx.receiver.example\n ; dkim=pass",
        " (hello) mx.receiver.example; dkim=pass",
        " (a (nested\\) one)) mx.receiver.example (x); dkim=pass",
        ' "mx.receiver.example"; dkim=pass',
        " mx.receiver.example 1; dkim=pass",
        " mx.receiver.example",
    ],
)
def test_results_in_our_name_are_removed_whoever_sends_them(client: str, forged: str) -> None:
    mail = Mail.of(
        "user@signer.example",
        ("AUTHENTICATION-results", forged),
        ("Authentication-Results", " other.example; dkim=pass"),
        ("Authentication-Results", forged),
        ("Authentication-Results", " mx.receiver.example.evil; dkim=pass"),
    )
    outcome = play(session_of(client), mail, ZONE)
    kept = [value.split(";")[0] for value in values(apply(mail, outcome), "Authentication-Results")]
    assert kept[-2:] == ["other.example", "mx.receiver.example.evil"]
    assert len(kept) == (2 if client == INSIDE else 3)
    assert outcome.forged == 2


def test_further_ids_and_our_verdict_field_are_removed() -> None:
    mail = Mail.of(
        "user@signer.example",
        ("Authentication-Results", " old.receiver.example; spf=pass"),
        ("X-Gatepost-Verdict", " tag"),
    )
    settings = {"strip_authserv_ids": ["old.receiver.example"], "authserv_id": "id.example"}
    after = apply(mail, play(session_of(OUTSIDE, settings), mail, ZONE))
    assert results(after).startswith("id.example;")
    assert not values(after, "X-Gatepost-Verdict")


def test_who_has_logged_in_is_not_judged_and_is_signed_for() -> None:
    mail = Mail.of()
    outcome = play(session_of(OUTSIDE), mail, NOTHING, login="user")
    assert outcome.origin == "authenticated"
    assert outcome.signatures == ("rsa-sha256", "ed25519-sha256")


@pytest.mark.parametrize(
    ("switched_off", "signed"),
    [
        ("internal", {"authenticated", "submission"}),
        ("authenticated", {"internal", "submission"}),
    ],
)
def test_whose_mail_is_signed_can_be_switched_off(switched_off: str, signed: set[str]) -> None:
    settings = {"sign": {switched_off: False}}
    outcomes = [
        play(session_of(INSIDE, settings), Mail.of(), NOTHING),
        play(session_of(OUTSIDE, settings), Mail.of(), NOTHING, login="user"),
        play(session_of(OUTSIDE, settings, submission=True), Mail.of(), NOTHING),
    ]
    assert {outcome.origin for outcome in outcomes if outcome.signatures} == signed
    # and what is not signed is not judged either, nor told as unsigned
    assert not any(outcome.results or outcome.unsigned for outcome in outcomes)


def test_recipients_are_counted_and_not_all_are_kept() -> None:
    settings = {"sign": {"no_ed25519_to": ["old.example"]}}
    session = session_of(INSIDE, settings)
    many = [b"<%d@new.example>" % n for n in range(MAX_RECIPIENTS)]
    outcome = play(session, Mail.of(), NOTHING, recipients=[*many, b"<a@old.example>"])
    assert outcome.facts["recipients"] == MAX_RECIPIENTS + 1
    assert len(outcome.signatures) == 2


def test_an_smtpd_service_named_for_signing() -> None:
    settings = {"sign": {"daemon_names": ["ORIGINATING"]}}
    mail = Mail.of()
    assert play(session_of(OUTSIDE, settings), mail, NOTHING, daemon_name="ORIGINATING").signatures
    assert not play(session_of(OUTSIDE, settings), mail, NOTHING, daemon_name="smtpd").signatures


def test_a_listener_of_its_own_signs_everything() -> None:
    assert play(session_of(OUTSIDE, submission=True), Mail.of(), NOTHING).origin == "submission"


def test_a_proxy_in_an_internal_network_is_outside() -> None:
    def origin(client: str) -> str:
        settings = {"internal_networks": ["10.0.0.0/8"]}
        session = session_of(client, settings, proxy_networks=["10.0.0.1"])
        return play(session, Mail.of(), ZONE).origin

    assert origin("10.0.0.1") == "outside"
    assert origin("10.0.0.2") == "internal"


def test_mail_handed_in_on_this_machine_is_signed() -> None:
    assert play(session_of(None), Mail.of(), NOTHING).signatures


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        (Mail.of("user@other.example"), "no-key"),
        (Mail((("Subject", " no author"),)), "no-author"),
        (Mail.of("user@signer.example", ("From", " other@signer.example")), "no-author"),
    ],
)
def test_what_cannot_be_signed_leaves_unsigned_or_waits(mail: Mail, reason: str) -> None:
    outcome = play(session_of(INSIDE), mail, NOTHING)
    assert (outcome.action, outcome.unsigned, outcome.signatures) == ("accept", reason, ())
    required = play(session_of(INSIDE, {"sign": {"required": True}}), mail, NOTHING)
    assert refusal(required).startswith("451 4.7.1")


def test_own_mail_waits_while_its_key_cannot_be_read() -> None:
    keys = replace(both_keys("signer.example"), unreadable=frozenset({"other.example"}))
    waiting = play(session_of(INSIDE, keys=keys), Mail.of("user@other.example"), NOTHING)
    assert (waiting.action, waiting.reason) == ("defer", "unsigned")
    assert waiting.unsigned == "key-unreadable"
    assert refusal(waiting).startswith("451 4.7.1")
    assert play(session_of(INSIDE, keys=keys), Mail.of(), NOTHING).signatures
    outside = play(session_of(OUTSIDE, keys=keys), Mail.of("user@other.example"), ZONE)
    assert outside.action == "accept"


@pytest.mark.parametrize(
    ("name", "address", "shown", "origin"),
    [
        ("localhost", None, "local", "internal"),
        ("unknown", None, "unknown", "outside"),
        ("unknown", "no address", "unknown", "outside"),
        ("unknown", "::ffff:192.0.2.1", "192.0.2.1", "outside"),
    ],
)
def test_the_client_in_the_log(name: str, address: str | None, shown: str, origin: str) -> None:
    session = session_of(OUTSIDE)
    session.connect(name, address)
    outcome = play(session, Mail.of(), NOTHING)
    assert (outcome.facts["client"], outcome.origin) == (shown, origin)


def test_ownership() -> None:
    settings = {"ownership": {"enforce": True, "owners": ["@signer.example alice"]}}
    assert play(session_of(OUTSIDE, settings), Mail.of(), NOTHING, login="alice").signatures
    refused = play(session_of(OUTSIDE, settings), Mail.of(), NOTHING, login="bob")
    assert refusal(refused) == "550 5.7.1 you may not use this From address [from-not-yours]"
    own = play(session_of(OUTSIDE, settings), Mail.of(), NOTHING, login="User@signer.example")
    assert own.signatures
    nobody = Mail((("Subject", " no From"),))
    assert refusal(play(session_of(OUTSIDE, settings), nobody, NOTHING, login="alice"))
    # who is ours without a login owns nothing, and is not asked
    assert play(session_of(INSIDE, settings), nobody, NOTHING).action == "accept"
    assert play(session_of(INSIDE, settings), Mail.of(), NOTHING).signatures


@pytest.mark.parametrize("domain", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"])
def test_ownership_knows_a_domain_in_any_script(domain: str) -> None:
    owners = [f"@{domain} alice", f"Bob@{domain} bob"]
    settings: dict[str, object] = {"ownership": {"enforce": True, "owners": owners}}
    for author, login, allowed in (
        ("eva@bücher.example", "alice", True),
        ("eva@xn--bcher-kva.example", "alice", True),
        ("bob@bücher.example", "bob", True),
        ("eva@bücher.example", "bob", False),
        ("eva@bücher.example", f"Eva@{domain}", True),
        ("bob@bücher.example", f"Eva@{domain}", False),
        ("eva@bücher.example", "eva@", False),
    ):
        outcome = play(session_of(OUTSIDE, settings), Mail.of(author), NOTHING, login=login)
        assert (outcome.action == "accept") is allowed


def test_a_header_beyond_the_limit_is_refused() -> None:
    mail = Mail.of("user@signer.example", ("X-Large", " " + "x" * 70_000))
    outcome = play(session_of(OUTSIDE, {"max_header": "64K"}), mail, ZONE)
    assert refusal(outcome).startswith("552 5.3.4")


def test_a_message_keeps_the_rules_it_began_with() -> None:
    inside = [rules(keys=both_keys("signer.example"))]
    session = Session(lambda: inside[0])
    session.connect("localhost", INSIDE)
    session.mail_from(b"<a@signer.example>", "", "")
    inside[0] = rules(keys=Keys())
    session.header(b"From", b" a@signer.example")
    session.end_of_headers()
    assert solve(session.end_of_message(NOW), NOTHING.resolve).signatures
    assert play(session, Mail.of(), NOTHING).unsigned == "no-key"


def test_a_header_that_is_never_ended_is_checked_all_the_same() -> None:
    session = session_of(OUTSIDE)
    session.mail_from(b"<>", "", "")
    session.header(b"From", b" a@signer.example")
    outcome = solve(session.end_of_message(NOW), ZONE.resolve)
    assert outcome.origin == "outside"
    assert ("dkim", "none") in outcome.results


def test_a_second_end_of_the_header_does_not_forget_what_is_removed() -> None:
    session = session_of(OUTSIDE)
    for event in ("mail", "forged", "eoh", "eoh", "body", "eoh"):
        EVENTS[event](session)
    outcome = solve(session.end_of_message(NOW), ZONE.resolve)
    assert outcome.forged == 1
    assert any(isinstance(action, DeleteHeader) for action in outcome.actions)


EVENTS = {
    "connect": lambda session: session.connect("unknown", OUTSIDE),
    "helo": lambda session: session.helo("x"),
    "mail": lambda session: session.mail_from(b"<a@b.example>", "", ""),
    "rcpt": lambda session: session.rcpt(b"<c@d.example>"),
    "header": lambda session: session.header(b"From", b" a@signer.example"),
    "forged": lambda session: session.header(b"Authentication-Results", b" mx.receiver.example; x"),
    "eoh": lambda session: session.end_of_headers(),
    "body": lambda session: session.body(b"some body\r\n"),
    "abort": lambda session: session.abort(),
}


@given(st.lists(st.sampled_from([*EVENTS, "eom"])))
def test_any_order_of_events_ends_in_an_outcome_or_a_protocol_error(events: list[str]) -> None:
    session = session_of(OUTSIDE)
    in_message = after_header = False
    forged = 0
    for event in events:
        try:
            if event == "eom":
                outcome = solve(session.end_of_message(NOW), ZONE.resolve)
                assert in_message
                assert outcome.forged == forged
                in_message = False
            else:
                EVENTS[event](session)
        except MilterProtocolError:
            assert not in_message or (after_header and event in ("header", "forged"))
            continue
        if event == "mail":
            in_message, after_header, forged = True, False, 0
        elif event in ("eoh", "body"):
            after_header = True
        elif event in ("connect", "abort"):
            in_message = False
        elif event == "forged":
            forged += 1
