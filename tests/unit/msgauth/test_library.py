"""The verbs for whole messages, and that they find what the milter finds."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from pathlib import Path

import pytest

import msgauth
from gatepost.dns import Zone
from milters.actions import InsertHeader
from tests.unit.milters.mail import HOSTNAME, session_of
from tests.unit.msgauth.golden import messages
from tests.unit.msgauth.keyring import ED25519, NOW, RSA

CLIENT = "192.0.2.1"
MESSAGE = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: hello\r\n\r\nhello\r\n"
SPEC = msgauth.SignatureSpec("example.org", "s", ED25519)
SEAL = msgauth.SealSpec("lists.example", "r", RSA)
RECORDS: dict[tuple[str, msgauth.RdType], list[str] | msgauth.Rcode] = {
    ("example.org", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"],
    ("_dmarc.example.org", "TXT"): ["v=DMARC1; p=reject"],
    ("s._domainkey.example.org", "TXT"): [ED25519.public_record()],
    ("r._domainkey.lists.example", "TXT"): [RSA.public_record()],
}
RESOLVE = msgauth.answers_from(RECORDS)


def verify(message: bytes = MESSAGE, **more: object) -> msgauth.Lookup[msgauth.Findings]:
    arguments = {"client": CLIENT, "helo": "mx.example.org", "mail_from": "a@example.org"}
    return msgauth.verify(message, now=NOW, **(arguments | more))  # type: ignore[arg-type]


def on_top(fields: tuple[msgauth.HeaderField, ...], message: bytes) -> bytes:
    return b"".join(map(bytes, fields)) + message


def statuses(found: msgauth.Findings) -> list[str]:
    return [f"{one.method}={one.status}" for one in found.all]


def test_a_signed_message_passes() -> None:
    signed = on_top(msgauth.sign(MESSAGE, [SPEC], now=NOW), MESSAGE)
    found = msgauth.solve(verify(signed), RESOLVE)
    assert statuses(found) == [
        "iprev=permerror", "spf=none", "spf=pass", "dkim=pass", "arc=none", "dmarc=pass",
    ]  # fmt: skip
    assert found.author.domains == ("example.org",)
    assert b" spf=pass " in bytes(found.authentication_results("mx.example.net"))
    assert msgauth.solve(msgauth.verify_dkim(signed, now=NOW), RESOLVE) == found.dkim
    changed = signed.replace(b"hello\r\n", b"hellO\r\n")
    assert msgauth.solve(msgauth.verify_dkim(changed, now=NOW), RESOLVE)[0].status == "fail"


def test_lf_and_crlf_are_the_same_message() -> None:
    assert msgauth.sign(MESSAGE.replace(b"\r\n", b"\n"), [SPEC], now=NOW) == msgauth.sign(
        MESSAGE, [SPEC], now=NOW
    )


def test_an_event_loop_finds_the_same() -> None:
    async def resolve(question: msgauth.Question) -> msgauth.Answer:
        await asyncio.sleep(0)
        return RESOLVE(question)

    assert asyncio.run(msgauth.asolve(verify(), resolve)) == msgauth.solve(verify(), RESOLVE)


def test_a_path_may_have_its_brackets() -> None:
    plain = msgauth.solve(verify(), RESOLVE)
    assert msgauth.solve(verify(mail_from="<a@example.org>"), RESOLVE) == plain
    bounce = msgauth.solve(verify(mail_from="<>", helo="example.org"), RESOLVE)
    assert bounce.spf is not None
    assert (bounce.spf.status, bounce.spf.sender) == ("pass", "postmaster@example.org")
    assert bounce.helo is None


def test_an_address_may_be_text_or_not() -> None:
    as_text = msgauth.solve(verify(), RESOLVE)
    assert msgauth.solve(verify(client=ipaddress.ip_address(CLIENT)), RESOLVE) == as_text
    for bad in ("", "192.0.2.300", "mx.example.org", "[192.0.2.1]", "x" * 10000):
        # at once, and not when the lookup is driven
        with pytest.raises(msgauth.AddressError) as caught:
            verify(client=bad)
        assert len(str(caught.value)) < 100
        with pytest.raises(msgauth.AddressError):
            msgauth.check_spf(bad, helo="", mail_from="a@example.org", now=NOW)


def test_without_a_client_spf_says_nothing_and_dmarc_does_not_fail() -> None:
    found = msgauth.solve(verify(client=None), RESOLVE)
    assert statuses(found) == ["dkim=none", "arc=none", "dmarc=temperror"]


def test_a_header_beyond_the_limit_is_refused_at_once() -> None:
    large = b"X: y\r\n" * 20001 + MESSAGE
    for work in (
        lambda: verify(large),
        lambda: msgauth.verify_arc(large, now=NOW),
        lambda: msgauth.verify_dkim(large, now=NOW),
        lambda: msgauth.sign(large, [SPEC], now=NOW),
    ):
        with pytest.raises(msgauth.MessageError):
            work()


def test_methods_can_be_left_out() -> None:
    options = msgauth.CheckOptions(spf=False, arc=False, iprev=False)
    asked = []

    def resolve(question: msgauth.Question) -> msgauth.Answer:
        asked.append(question)
        return RESOLVE(question)

    found = msgauth.solve(verify(options=options), resolve)
    assert (found.spf, found.arc, found.iprev) == (None, None, None)
    assert {question.name for question in asked} == {"_dmarc.example.org"}


def test_the_author_s_policy_is_asked_for_first_and_the_trace_shows_it() -> None:
    trace = msgauth.Trace()
    found = msgauth.solve(verify(trace=trace), RESOLVE)
    first = trace.events[0]
    assert isinstance(first, msgauth.Asked)
    assert first.question == msgauth.Question("_dmarc.example.org", "TXT")
    assert first.question.share is not None
    recorded = [event.finding for event in trace.events if isinstance(event, msgauth.Found)]
    assert sorted(map(str, recorded)) == sorted(map(str, found.all))


def test_a_seal_verifies_and_a_second_one_goes_on_top() -> None:
    arrived = msgauth.solve(verify(), RESOLVE)
    changed = MESSAGE.replace(b"hello", b"[list] hello")
    sealed = on_top(
        msgauth.seal(changed, SEAL, arrived, authserv_id="lists.example", now=NOW), changed
    )
    chain = msgauth.solve(msgauth.verify_arc(sealed, now=NOW), RESOLVE)
    assert (chain.status, chain.sealers) == ("pass", ("lists.example",))
    assert " spf=pass " in chain.hops[0].payload.replace("\r\n", "")
    again = msgauth.seal(
        sealed,
        SEAL,
        msgauth.solve(verify(sealed), RESOLVE),
        authserv_id="lists.example",
        now=NOW,
    )
    second = msgauth.solve(msgauth.verify_arc(on_top(again, sealed), now=NOW), RESOLVE)
    assert second.sealers == ("lists.example", "lists.example")


def test_a_chain_that_is_not_known_is_not_sealed() -> None:
    unchecked = msgauth.solve(verify(options=msgauth.CheckOptions(arc=False)), RESOLVE)
    with pytest.raises(msgauth.SigningError, match="not checked"):
        msgauth.seal(MESSAGE, SEAL, unchecked, authserv_id="lists.example", now=NOW)
    arrived = msgauth.solve(verify(), RESOLVE)
    sealed = on_top(
        msgauth.seal(MESSAGE, SEAL, arrived, authserv_id="lists.example", now=NOW), MESSAGE
    )
    silent = msgauth.answers_from(
        RECORDS | {("r._domainkey.lists.example", "TXT"): msgauth.Rcode.TEMPFAIL}
    )
    unknown = msgauth.solve(verify(sealed), silent)
    with pytest.raises(msgauth.SigningError, match="could not be verified"):
        msgauth.seal(sealed, SEAL, unknown, authserv_id="lists.example", now=NOW)
    # the findings of another message
    with pytest.raises(msgauth.SigningError, match="not of this message"):
        msgauth.seal(
            MESSAGE,
            SEAL,
            msgauth.solve(verify(sealed), RESOLVE),
            authserv_id="lists.example",
            now=NOW,
        )


def test_a_message_without_one_author_is_not_signed() -> None:
    for header in (b"Subject: x\r\n", b"From: a@example.org\r\nFrom: b@example.org\r\n"):
        with pytest.raises(msgauth.SigningError):
            msgauth.sign(header + b"\r\n", [SPEC], now=NOW)


@pytest.mark.parametrize("path", [*messages("dkim"), *messages("arc")], ids=lambda path: path.stem)
def test_the_milter_finds_the_same(path: Path) -> None:
    """The two share one implementation; this is what each of them puts around it."""
    raw, zone = path.read_bytes(), Zone.read(path.with_suffix(".zone.toml"))
    now = json.loads(path.with_suffix(".json").read_text())["now"]
    trace = msgauth.Trace()
    session = session_of(settings={"policy": {"preset": "report"}}, trace=trace)
    session.mail_from(b"<a@example.org>", "", "")
    fields, body = msgauth.parse_message(raw)
    for field in fields:
        session.header(field.name, field.value)
    session.end_of_headers()
    session.body(body)
    outcome = msgauth.solve(session.end_of_message(now), zone.resolve)
    (written,) = [
        action.value
        for action in outcome.actions
        if isinstance(action, InsertHeader) and action.name == "Authentication-Results"
    ]
    own = msgauth.Trace()
    lookup = msgauth.verify(
        raw,
        client="192.0.2.1",
        helo="client.example",
        mail_from="<a@example.org>",
        now=now,
        options=msgauth.CheckOptions(receiver=HOSTNAME, limits=msgauth.VerifierLimits(8)),
        trace=own,
    )
    field = msgauth.solve(lookup, zone.resolve).authentication_results(HOSTNAME)
    assert written.replace("\n", "\r\n").encode() == field.value
    assert trace.lines() == own.lines()
