"""Mail through the whole system that several of its parts decide about together."""

from __future__ import annotations

import http.client
import plistlib
import re
import socket
import ssl
from functools import partial

import pytest

from tests.stack.everyday import CAROL, EVE
from tests.stack.stack import DOMAIN
from tests.stack.up import WholeSystem
from tests.testbed.managesieve import ManageSieve
from tests.testbed.oracles import dkimpy_chain, dkimpy_verdicts
from tests.testbed.sink import Delivery
from tests.testbed.waiting import wait_until
from tests.unit.accounts.autoconfig.offered import checked_config
from tools.up.place import HOST, HOSTNAME

FRITZ, GUSTAV = f"fritz@{DOMAIN}", f"gustav@{DOMAIN}"
WARY = "news@wary.example"
"""An author whose domain asks for quarantine."""
SCRIPT = (
    'require ["vacation", "copy"];\n'
    f'if header :contains "subject" "send on" {{ redirect :copy "{EVE}"; }}\n'
    'vacation :days 1 :subject "Away" "I am in the mountains.";\n'
)

pytestmark = pytest.mark.timeout(600)
"""The first test waits for the whole system."""


@pytest.fixture(scope="module")
def valley(up: WholeSystem) -> WholeSystem:
    """The system with somebody who is away, and a domain whose mail all goes to him."""
    up.add_user(FRITZ)
    up.add_user(GUSTAV)
    up.sieve(FRITZ, SCRIPT)
    up.command("domain", "add", "catch.example", "--catch-all", GUSTAV)
    return up


def delivered(
    valley: WholeSystem, subject: str, user: str, *, fields: str = "", sender: str = CAROL
) -> bytes:
    sent = valley.deliver(subject, user, sender=sender, fields=fields)
    assert sent.accepted, sent.transcript
    return valley.wait_for(subject, user)


def answers(valley: WholeSystem, recipient: str) -> list[Delivery]:
    return valley.world.remote.matching(
        lambda one: (
            "I am in the mountains." in one.body.decode(errors="replace")
            and one.recipients == (recipient,)
        )
    )


def test_whoever_is_away_answers_people_once_and_nothing_else(valley: WholeSystem) -> None:
    lists = {
        "from a list": "List-Id: <valley.remote.example>\r\n",
        "from a list of old": "Precedence: list\r\n",
        "from a program": "Auto-Submitted: auto-generated\r\n",
    }
    for number, (subject, fields) in enumerate(lists.items()):
        delivered(valley, subject, FRITZ, fields=fields, sender=f"list{number}@remote.example")
    # a bounce, and the addresses of programs
    delivered(valley, "a bounce", FRITZ, sender="<>")
    for local in ("owner-valley", "mailer-daemon", "valley-request"):
        delivered(valley, f"from {local}", FRITZ, sender=f"{local}@remote.example")
    delivered(valley, "from a person", FRITZ, sender="person@remote.example")
    delivered(valley, "again", FRITZ, sender="person@remote.example")
    delivered(valley, "from another", FRITZ, sender="another@remote.example")
    for person in ("person@remote.example", "another@remote.example"):
        wait_until(partial(answers, valley, person), f"the answer to {person}")
    # whatever else was to come had to come before the last of these
    everybody = {name for one in valley.world.remote.matching(bool) for name in one.recipients}
    assert not [name for name in everybody if re.match(r"(list\d|owner|mailer|valley)", name)]
    (answer,) = answers(valley, "person@remote.example")
    assert answer.sender == "<>"
    assert answer.fields("Auto-Submitted")[0].startswith("auto-replied")
    assert {each for _, each in dkimpy_verdicts(answer.octets, valley.world.dns)} == {"pass"}


def test_what_is_sent_on_has_a_sender_and_a_seal_of_ours(valley: WholeSystem) -> None:
    delivered(valley, "please send on", FRITZ)
    arrived = valley.world.remote.wait_for_subject("please send on")
    assert arrived.recipients == (EVE,)
    assert arrived.sender.startswith("SRS0=")
    assert arrived.fields("From") == [CAROL]
    # the author's domain is not ours: no signature, but a chain, which dkimpy verifies
    assert arrived.fields("DKIM-Signature") == []
    assert len(arrived.fields("ARC-Seal")) == 1
    assert dkimpy_chain(arrived.octets, valley.world.dns) == "pass"
    # a bounce from there goes to the author, and is sent by nobody
    valley.world.remote.clear()
    bounced = valley.deliver("it bounces", arrived.sender, sender="<>")
    assert bounced.accepted, bounced.transcript
    returned = valley.world.remote.wait_for_subject("it bounces")
    assert (returned.sender, returned.recipients) == ("<>", (CAROL,))


def test_quarantined_mail_is_in_junk_and_nobody_else_can_say_so(valley: WholeSystem) -> None:
    sent = valley.deliver("not from wary", FRITZ, sender=WARY)
    assert sent.accepted, sent.transcript
    header = valley.wait_for("not from wary", FRITZ, "Junk")
    assert b"dmarc=fail" in header
    # a verdict that a sender has written is not ours
    forged = "X-Gatepost-Verdict: quarantine; reason=dmarc-fail-quarantine\r\n"
    header = delivered(valley, "says it is bad", FRITZ, fields=forged)
    assert b"X-Gatepost-Verdict" not in header
    assert answers(valley, WARY) == [], "spam was answered"


def test_all_ways_to_a_mailbox(valley: WholeSystem) -> None:
    valley.command("alias", "add", f"hut@{DOMAIN}", GUSTAV)
    for subject, recipient in (
        ("by alias", f"hut@{DOMAIN}"),
        ("by catch-all", "anybody.at.all@catch.example"),
        ("in capitals", GUSTAV.upper()),
    ):
        sent = valley.deliver(subject, recipient)
        assert sent.accepted, sent.transcript
        valley.wait_for(subject, GUSTAV)
    sent = valley.deliver("with extension", f"gustav+Archive@{DOMAIN}")
    assert sent.accepted, sent.transcript
    valley.wait_for("with extension", GUSTAV, "Archive")
    refused = valley.deliver("to a stranger", f"stranger@{DOMAIN}")
    assert refused.reply.code == 550, refused.transcript


def test_scripts_that_are_wrong_lose_no_mail(valley: WholeSystem) -> None:
    """A script that fails while it runs: the message is in the inbox, and the next one too."""
    client = ManageSieve("127.0.0.1", valley.place.ports["sieve"])
    client.login(GUSTAV, valley.password(GUSTAV))
    client.put("mine", 'require "fileinto";\nfileinto "not/../there";\n')
    client.close()
    for number in range(2):
        delivered(valley, f"kept {number}", GUSTAV)


def greeting(valley: WholeSystem, host: str, port: int) -> bytes:
    """Return the first line of a server, whose certificate must have the name `host`."""
    context = ssl.create_default_context(cafile=str(valley.place.state / "tls" / "ca.crt"))
    with (
        socket.create_connection((HOST, port), 30) as plain,
        context.wrap_socket(plain, server_hostname=host) as client,
    ):
        return client.makefile("rb").readline()


def test_mail_programs_are_told_of_servers_that_answer(valley: WholeSystem) -> None:
    """With the address alone; the first server of each kind is the one that programs take."""
    ports = valley.place.ports
    offered = {key: f"{HOSTNAME}:{ports[key]}" for key in ("imaps", "pop3s", "submissions")}
    valley.configure({"accounts": {"autoconfig": offered}})

    def asked(target: str) -> bytes:
        client = http.client.HTTPConnection(HOST, ports["api"], timeout=30)
        try:
            client.request("GET", target)
            answer = client.getresponse()
            return answer.read() if answer.status == 200 else b""
        finally:
            client.close()

    path = f"/mail/config-v1.1.xml?emailaddress={FRITZ}"

    def changed() -> bytes:
        # the chart announces no POP3
        text = asked(path)
        return text if b'"pop3"' in text else b""

    document = checked_config(wait_until(changed, "autoconfig", pause=0.2))
    found = {
        (one.get("type"), one.findtext("hostname", ""), int(one.findtext("port", "0")))
        for one in (*document.iter("incomingServer"), *document.iter("outgoingServer"))
    }
    said = {"imap": b"* OK", "pop3": b"+OK", "smtp": b"220"}
    # besides, the chart announces the port with STARTTLS
    direct = {one for one in found if one[2] in (ports[key] for key in offered)}
    assert {kind for kind, _, _ in direct} == {"imap", "pop3", "smtp"}
    for kind, host, port in direct:
        assert greeting(valley, host, port).startswith(said[str(kind)])
    (account,) = plistlib.loads(asked(f"/email.mobileconfig?email={FRITZ}"))["PayloadContent"]
    assert account["IncomingMailServerUsername"] == FRITZ
    for way, kind in (("Incoming", "imap"), ("Outgoing", "smtp")):
        host, port = (account[f"{way}MailServer{key}"] for key in ("HostName", "PortNumber"))
        assert greeting(valley, host, port).startswith(said[kind])
