"""Scenes in which a daemon is killed: mail is deferred or accepted, and nothing is lost."""

from __future__ import annotations

from tests.testbed.smtp import RawClient
from tools.demo.ground import Ground
from tools.demo.mail import BOB, PARTNER, PARTNER_CLIENT, STRANGER_CLIENT, message
from tools.demo.record import Record
from tools.demo.scene import Scene
from tools.demo.scenes.gate import expect_listed
from tools.demo.scenes.verifying import deliver, results


def _policy_killed(ground: Ground, record: Record) -> None:
    record.sent = "from another stranger, after SIGKILL to policyd; then policyd restarts"
    ground.policyd.kill()
    subject = "Nobody asks me to wait"
    sender = "another@stranger.test"
    sent = ground.send(record, STRANGER_CLIENT, sender, BOB, message(sender, BOB, subject))
    record.expect("the answer, with default_action=DUNNO", 250, sent.reply.code)
    if sent.accepted:
        arrived = ground.sink.wait_for_subject(subject)
        delayed = arrived.fields("X-Greylist")
        record.arrived = "delayed" if delayed else "at once: default_action is DUNNO"
        record.expect("the field X-Greylist", [], delayed)
    ground.policyd.start()
    expect_listed(ground, record)


def _milter_killed(ground: Ground, record: Record) -> None:
    record.sent = "SIGKILL to the milter in the middle of a message; the message is sent again"
    subject = "Cut in two"
    octets = ground.partner.sign(message(PARTNER, BOB, subject))
    middle = len(octets) // 2
    with RawClient(ground.postfix.port()) as client:
        client.hello(PARTNER_CLIENT.helo, PARTNER_CLIENT.address, PARTNER_CLIENT.name)
        begun = client.begin(PARTNER, BOB)
        record.expect("the answer to DATA", 354, begun.code)
        client.send(octets[:middle])
        ground.milters.kill()
        client.send(octets[middle:])
        reply = client.end()
    record.answer(str(reply))
    record.expect("the answer to the message", "4xx", reply, ok=400 <= reply.code <= 499)
    found = ground.sink.matching(lambda one: one.message["Subject"] == subject)
    record.expect("deliveries without the milter", 0, len(found))
    ground.milters.start()
    if arrived := deliver(ground, record, subject, octets):
        found = ground.sink.matching(lambda one: one.message["Subject"] == subject)
        record.expect("number of deliveries", 1, len(found))
        judged = bool(results(arrived))
        record.arrived = "once, with its results" if judged else "without results"
        record.expect("the second attempt", "with Authentication-Results", "without", ok=judged)


POLICY_KILLED = Scene(12, "The policy server is killed", _policy_killed)
MILTER_KILLED = Scene(13, "The milter is killed", _milter_killed)
