"""Scene of the milter: outgoing mail is signed."""

from __future__ import annotations

from tests.testbed.oracles import algorithms, dkimpy_verdicts, opendkim_verdict
from tests.testbed.sink import Delivery
from tools.demo.ground import Ground
from tools.demo.mail import ALICE, ALICE_CLIENT, BOB, INTERNAL_CLIENT, PARTNER, message
from tools.demo.record import Record
from tools.demo.scene import Scene

_ALGORITHMS = ["ed25519-sha256", "rsa-sha256"]


def _signed(ground: Ground, record: Record) -> None:
    record.sent = "from alice, logged in; from an internal client"
    for who, client, sender in (
        ("logged in", ALICE_CLIENT, ALICE),
        ("internal", INTERNAL_CLIENT, BOB),
    ):
        subject = f"To be signed ({who})"
        sent = ground.send(record, client, sender, PARTNER, message(sender, PARTNER, subject))
        record.expect(f"the answer to the client ({who})", 250, sent.reply.code)
        if sent.accepted:
            _judge(ground, record, ground.sink.wait_for_subject(subject))
    if record.ok:
        record.arrived = "rsa-sha256 and ed25519-sha256; dkimpy verifies both, opendkim the RSA one"


def _judge(ground: Ground, record: Record, arrived: Delivery) -> None:
    subject = arrived.message["Subject"]
    seen = sorted(algorithms(arrived.octets))
    record.arrived = f"signed with {', '.join(seen) or 'nothing'}"
    record.expect(f"DKIM-Signatures of {subject!r}", _ALGORITHMS, seen)
    for algorithm, verdict in dkimpy_verdicts(arrived.octets, ground.dns):
        record.expect(f"dkimpy: {algorithm} signature of {subject!r}", "pass", verdict)
    if "rsa-sha256" in seen:
        verdict = opendkim_verdict(
            arrived.octets, ground.dns, ground.directory, algorithm="rsa-sha256"
        )
        record.expect(f"opendkim-testmsg: RSA signature of {subject!r}", "pass", verdict)


SIGNED = Scene(2, "Outgoing mail is signed", _signed)
