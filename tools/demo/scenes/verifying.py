"""Scenes of the milter: incoming mail is verified, and a forged result is removed."""

from __future__ import annotations

import re

from tests.testbed.sink import Delivery
from tools.demo.ground import Ground
from tools.demo.mail import AUTHSERV_ID, BOB, PARTNER, PARTNER_CLIENT, message
from tools.demo.record import Record
from tools.demo.scene import Scene

_METHODS = re.compile(r"\b(dkim|spf|dmarc)=(\w+)")


def results(arrived: Delivery) -> list[str]:
    """Return the Authentication-Results fields with our authserv-id (RFC 8601 section 2.2)."""
    fields = [" ".join(value.split()) for value in arrived.fields("Authentication-Results")]
    return [value for value in fields if value.partition(";")[0].split()[:1] == [AUTHSERV_ID]]


def deliver(ground: Ground, record: Record, subject: str, octets: bytes) -> Delivery | None:
    """Send as the partner and return the delivery; None if the message was not accepted."""
    sent = ground.send(record, PARTNER_CLIENT, PARTNER, BOB, octets)
    record.expect("the answer", 250, sent.reply.code)
    return ground.sink.wait_for_subject(subject) if sent.accepted else None


def expect_dkim(record: Record, arrived: Delivery, expected: str) -> None:
    """Record the results in our field; expect exactly one field with dkim=`expected`."""
    found = results(arrived)
    record.expect(f"fields of {AUTHSERV_ID}", 1, len(found))
    told = [f"{method}={result}" for value in found for method, result in _METHODS.findall(value)]
    words = " ".join(sorted(set(told)))
    record.arrived = f"Authentication-Results: … {words}" if found else "no field of ours"
    # each signature has a result, and there is one signature
    seen = [word for word in told if word.startswith("dkim=")]
    record.expect("the result of DKIM", [f"dkim={expected}"], seen)


def _good(ground: Ground, record: Record) -> None:
    record.sent = "from the partner, signed by dkimpy"
    subject = "Signed by the partner"
    octets = ground.partner.sign(message(PARTNER, BOB, subject))
    if arrived := deliver(ground, record, subject, octets):
        expect_dkim(record, arrived, "pass")


def _changed(ground: Ground, record: Record) -> None:
    record.sent = "from the partner, with one body byte changed after signing"
    subject = "Changed on the way"
    octets = ground.partner.sign(message(PARTNER, BOB, subject)).replace(b"to five", b"to fixe")
    if arrived := deliver(ground, record, subject, octets):
        expect_dkim(record, arrived, "fail")


def _forged(ground: Ground, record: Record) -> None:
    record.sent = "from the partner, with a forged Authentication-Results field: dkim=pass"
    subject = "Believe me"
    lie = f"Authentication-Results: {AUTHSERV_ID}; dkim=pass header.d=bank.test"
    arrived = deliver(ground, record, subject, message(PARTNER, BOB, subject, extra=lie))
    if arrived:
        expect_dkim(record, arrived, "none")
        gone = not any("bank.test" in value for value in arrived.fields("Authentication-Results"))
        record.expect("the forged field", "gone", "still there", ok=gone)
        if gone:
            record.arrived = f"without the forged field; {record.arrived}"


GOOD = Scene(4, "A good signature passes", _good)
CHANGED = Scene(5, "A changed body fails", _changed)
FORGED = Scene(6, "A forged result is removed", _forged)
