"""The milter as a process before a sender whose name servers keep silent."""

from __future__ import annotations

import time
from pathlib import Path

from msgauth.message import parse_message
from tests.daemon.milters import Milters
from tests.testbed.dns import Behaviour, DnsServer
from tests.unit.milters.mail import rsa_key
from tests.unit.msgauth.forge import forge

MAIL = b"From: ceo@victim.example\r\nSubject: urgent\r\n\r\nHello\r\n"
NAMES = [f"s{number}.silent.example" for number in range(7)]


def signed_for(*domains: str) -> bytes:
    fields, body = parse_message(MAIL)
    signatures = [forge(fields, body, rsa_key(), d=domain, h="From:Subject") for domain in domains]
    return b"".join(map(bytes, signatures)) + MAIL


def test_silent_name_servers_do_not_hide_the_policy(tmp_path: Path) -> None:
    with DnsServer() as dns:
        dns.add("_dmarc.victim.example", "TXT", "v=DMARC1; p=reject")
        dns.add("victim.example", "TXT", "v=spf1 -all")
        for name in NAMES:
            dns.misbehave(f"sel._domainkey.{name}", Behaviour.TIMEOUT)
        dns.misbehave("broken.victim.example", Behaviour.SERVFAIL)
        milters = Milters(tmp_path, dns)
        # seven silent servers take 7 s; the reverse name of the client never answers either
        dns.misbehave("1.2.0.192.in-addr.arpa", Behaviour.TIMEOUT)
        milters.configure('verify.dns_budget = "3s"')
        with milters, milters.client() as client:
            began = time.monotonic()
            result = client.message(signed_for(*NAMES), sender="x@silent.example")
            assert time.monotonic() - began < 6
            (verdict,) = result.values("X-Gatepost-Verdict")
            assert "quarantine; reason=dmarc-fail-reject" in verdict
            result = client.message(signed_for(*NAMES), sender="x@broken.victim.example")
            (verdict,) = result.values("X-Gatepost-Verdict")
            assert "quarantine; reason=dmarc-temperror-reject" in verdict
        milters.configure('verify.dns_budget = "3s"\npolicy.preset = "strict"')
        with milters, milters.client() as client:
            result = client.message(signed_for(*NAMES), sender="x@broken.victim.example")
            assert result.reply.startswith("451 4.7.1")
            assert result.reply.endswith("[dmarc-temperror-reject]")
