"""Scenes of accounts: commands add a domain, and Postfix knows it; the database is taken away."""

from __future__ import annotations

from dataclasses import replace

from tests.testbed.postfix_files import LOGINS
from tools.demo.ground import Ground
from tools.demo.mail import (
    ALIAS,
    ALICE,
    ALICE_CLIENT,
    BOB,
    DAN,
    DOMAIN,
    EXTENSION,
    NOBODY,
    PARTNER,
    PARTNER_CLIENT,
    message,
)
from tools.demo.record import Record
from tools.demo.scene import Scene

_UNKNOWN = "User unknown"


def _added(ground: Ground, record: Record) -> None:
    record.sent = "none; gatepost domain add, user add and alias add are run"
    ground.command("domain", "add", DOMAIN, record=record)
    for address in (ALICE, BOB, DAN):
        file = ground.directory / f"{address.partition('@')[0]}.password"
        file.write_text(f"{LOGINS.get(address, 'dan-secret')}\n")
        file.chmod(0o600)
        ground.command("user", "add", address, "--password-file", str(file), record=record)
    ground.command("alias", "add", ALIAS, ALICE, record=record)
    for table, key, expected in (
        ("domains", DOMAIN, DOMAIN),
        ("mailboxes", ALICE, ALICE),
        ("aliases", ALIAS, ALICE),
    ):
        found = ground.postfix.postmap(key, ground.maps.table(table))
        record.expect(f"postmap -q {key}, the map {table}", expected, found)
    if record.ok:
        record.answer("postmap finds the domain, the mailbox and the alias")


def _refused(ground: Ground, record: Record) -> None:
    record.sent = "from alice, with the password of bob; with hers, but as bob"
    wrong = replace(ALICE_CLIENT, password=LOGINS[BOB])
    subject = "Not from alice"
    for client, sender, expected in ((wrong, ALICE, 535), (ALICE_CLIENT, BOB, 553)):
        octets = message(sender, PARTNER, subject)
        sent = ground.send(record, client, sender, PARTNER, octets)
        record.expect(f"the answer to alice as {sender}", expected, sent.reply.code)
    _expect_nothing(ground, record, subject)


def _expect_nothing(ground: Ground, record: Record, subject: str) -> None:
    found = ground.sink.matching(lambda one: one.message["Subject"] == subject)
    record.arrived = f"{len(found)} messages" if found else "nothing"
    record.expect("deliveries", 0, len(found))


def _delivered(ground: Ground, record: Record) -> None:
    record.sent = "from the partner to info, an alias of alice; to alice+lists"
    for address, expected in ((ALIAS, ALICE), (EXTENSION, EXTENSION)):
        to = _deliver(ground, record, address, f"To {address}")
        record.expect(f"the recipient of mail to {address}", expected, to)
        record.arrived = f"{record.arrived}\nto {_short(to)}".strip()


def _deliver(ground: Ground, record: Record, address: str, subject: str) -> str:
    """Send as the partner and return the recipients of the delivery; empty if not accepted."""
    octets = message(PARTNER, address, subject)
    sent = ground.send(record, PARTNER_CLIENT, PARTNER, address, octets)
    record.expect(f"the answer for {address}", 250, sent.reply.code)
    return ", ".join(ground.sink.wait_for_subject(subject).recipients) if sent.accepted else ""


def _short(addresses: str) -> str:
    return addresses.replace(f"@{DOMAIN}", "")


def _unknown(ground: Ground, record: Record) -> None:
    record.sent = "from the partner to eve, who does not exist"
    subject = "Is anybody there?"
    octets = message(PARTNER, NOBODY, subject)
    reply = ground.send(record, PARTNER_CLIENT, PARTNER, NOBODY, octets).reply
    record.expect("the answer", "550 5.1.1", f"{reply.code} {reply.text[:5]}")
    record.expect("the reason", _UNKNOWN, reply, ok=_UNKNOWN in reply.text)
    _expect_nothing(ground, record, subject)


def _database_away(ground: Ground, record: Record) -> None:
    record.sent = (
        "to bob; to dan, who gets his first mail; from alice, logged in; "
        "to dan when the database is back"
    )
    unknown = ground.postfix.log_text().count(_UNKNOWN)
    first = message(PARTNER, DAN, "To dan, too early")
    with ground.without_database():
        known = _deliver(ground, record, BOB, "Without the database")
        early = ground.send(record, PARTNER_CLIENT, PARTNER, DAN, first)
        record.expect("the answer for dan, whom nobody asked for", 451, early.reply.code)
        login = ground.send(record, ALICE_CLIENT, ALICE, PARTNER, message(ALICE, PARTNER, "No"))
        record.expect("the answer to the login", 454, login.reply.code)
    later = _deliver(ground, record, DAN, "With the database")
    record.expect("the recipients", [BOB, DAN], [known, later])
    log = ground.postfix.log_text()
    bounced = log.count("status=bounced")
    record.expect("bounces", 0, bounced)
    record.expect("refusals of unknown users", 0, log.count(_UNKNOWN) - unknown)
    record.arrived = (
        f"to {_short(known)} at once; to {_short(later)} later; {bounced or 'no'} bounce"
    )


ADDED = Scene(1, "Commands add a domain and users", _added)
REFUSED = Scene(3, "A wrong password is refused", _refused)
DELIVERED = Scene(7, "An alias and an extension deliver", _delivered)
UNKNOWN = Scene(8, "An unknown user is refused", _unknown)
DATABASE_AWAY = Scene(11, "The database is taken away", _database_away)
