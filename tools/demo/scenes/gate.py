"""Scenes of the policy server: a first-time sender is deferred, a listed client is refused."""

from __future__ import annotations

import re
import time

from tests.testbed.swaks import Exchange
from tests.testbed.waiting import wait_until
from tools.demo.ground import GREYLIST_DELAY, Ground
from tools.demo.mail import BOB, LIST_ZONE, LISTED_CLIENT, STRANGER_CLIENT, message
from tools.demo.record import Record
from tools.demo.scene import Scene

_STRANGER = "somebody@stranger.test"
_SPAMMER = "offers@listed.test"

_REASON_ID = re.compile(r"\[[a-z][a-z0-9.-]*\]$")
"""The reason id at the end of a refusal; the log, the metrics and the docs use the same id."""


def _greylisted(ground: Ground, record: Record) -> None:
    record.sent = f"from a stranger; again after {GREYLIST_DELAY} s"
    subject = "We have not met"
    octets = message(_STRANGER, BOB, subject)
    first = ground.send(record, STRANGER_CLIENT, _STRANGER, BOB, octets)
    record.expect("the first answer", 450, first.reply.code)

    def again() -> Exchange | None:
        unnoted = Record()
        sent = ground.send(unnoted, STRANGER_CLIENT, _STRANGER, BOB, octets)
        return sent if sent.accepted or sent.reply.code >= 500 else None

    time.sleep(GREYLIST_DELAY)  # like a mail server before a retry
    last = wait_until(again, "the greylisted message to be accepted", pause=0.5)
    record.note(last)
    record.expect("the answer after the delay", 250, last.reply.code)
    if last.accepted:
        fields = ground.sink.wait_for_subject(subject).fields("X-Greylist")
        record.arrived = f"X-Greylist: {fields[0]}" if fields else "without X-Greylist"
        waited = re.match(r"delayed (\d+) second", fields[0]) if fields else None
        record.expect(
            "the field X-Greylist",
            f"delayed {GREYLIST_DELAY} seconds or more",
            fields,
            ok=waited is not None and int(waited[1]) >= GREYLIST_DELAY,
        )


def _listed(ground: Ground, record: Record) -> None:
    record.sent = f"from {LISTED_CLIENT.address}, which is on {LIST_ZONE}"
    expect_listed(ground, record)
    found = ground.sink.matching(lambda one: one.sender == _SPAMMER)
    record.arrived = f"{len(found)} messages" if found else "nothing"
    record.expect("deliveries from the listed client", 0, len(found))


def expect_listed(ground: Ground, record: Record) -> None:
    """Send as the listed client; expect a refusal with the list's name and a reason id."""
    octets = message(_SPAMMER, BOB, "Listed")
    reply = ground.send(record, LISTED_CLIENT, _SPAMMER, BOB, octets).reply
    record.expect("the answer", "554 5.7.1", f"{reply.code} {reply.text[:5]}")
    record.expect("the name of the list", LIST_ZONE, reply, ok=LIST_ZONE in reply.text)
    known = _REASON_ID.search(reply.text) is not None
    record.expect("a reason id at the end", "[word]", reply, ok=known)


GREYLISTED = Scene(9, "A first-time sender waits", _greylisted)
LISTED = Scene(10, "A listed client is refused", _listed)
