"""`gatepost domain check`, with answers from a table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.directory import dkim_keys
from accounts.store.seal import SecretSeal
from gatepost.shortage import ShortageError
from msgauth import Rcode
from msgauth.ask import Answer, Question
from tests.unit.accounts.cli.shell import WIDTH, Shell
from tests.unit.accounts.desk import Desk
from tests.unit.accounts.exchange.samples import PEM

DNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("example.org", "MX"): ("10 mx.example.org",),
    ("mx.example.org", "A"): ("192.0.2.1",),
    ("1.2.0.192.in-addr.arpa", "PTR"): ("mx.example.org",),
    ("example.org", "TXT"): ("v=spf1 mx -all",),
    ("_dmarc.example.org", "TXT"): ("v=DMARC1; p=reject",),
}


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    table: dict[Any, Any] = dict(DNS)

    class Resolver:
        def __init__(self, settings: object) -> None:
            pass

        async def resolve(self, question: Question) -> Answer:
            found = table.get((question.name.rstrip("."), question.rdtype), Rcode.NXDOMAIN)
            if isinstance(found, Exception):
                raise found
            return Answer(found) if isinstance(found, Rcode) else Answer(Rcode.OK, found, 60)

        async def close(self) -> None:
            pass

    monkeypatch.setattr("accounts.cli.domain_check.AsyncResolver", Resolver)
    return table


@pytest.fixture
def keyed(shell: Shell) -> Shell:
    """With a domain that has a new key."""
    shell.domain()
    desk = Desk(shell.settings)
    seal = SecretSeal([bytes(range(32))])
    desk.write(lambda write: dkim_keys.add(write, seal, "example.org", "s1", private=PEM.encode()))
    desk.close()
    return shell


def test_a_key_of_the_datastore_has_to_be_in_dns(keyed: Shell, dns: dict[Any, Any]) -> None:
    result = keyed.call("domain", "check", "Example.org")
    assert result.exit_code == 1
    assert "1 error" in result.stdout
    assert "s1._domainkey.example.org" in result.stdout
    assert [line for line in result.stdout.splitlines() if len(line) > WIDTH] == []
    desk = Desk(keyed.settings)
    (key,) = desk.read(lambda connection: dkim_keys.find(connection))
    dns["s1._domainkey.example.org", "TXT"] = (key.public_record,)
    desk.write(lambda write: dkim_keys.activate(write, "example.org", "s1"))
    assert "as they should be" in keyed.run("domain", "check", "example.org")
    desk.write(lambda write: dkim_keys.retire(write, "example.org", "s1"))
    desk.close()
    assert "s1._domainkey" not in keyed.run("domain", "check", "example.org")


def test_json_and_zone(keyed: Shell, dns: dict[Any, Any]) -> None:
    result = keyed.call("domain", "check", "example.org", "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["domain"], data["level"]) == (1, "example.org", "error")
    zone = keyed.call("domain", "check", "example.org", "--zone").stdout
    assert "example.org.\t" in zone or "example.org. " in zone
    assert "v=spf1 mx -all" in zone
    missing = keyed.call("domain", "check", "example.org", "--zone", "--missing").stdout
    assert "s1._domainkey.example.org" in missing
    assert "v=spf1" not in missing
    assert "exclude each other" in keyed.usage("domain", "check", "x.org", "--zone", "--json")


def test_what_is_wished_for(keyed: Shell, dns: dict[Any, Any]) -> None:
    zone = keyed.call(
        *("domain", "check", "example.org", "--zone", "--dmarc", "none"),
        *("--host", "mx1.example.net=192.0.2.7,2001:db8::7", "--sender", "198.51.100.9"),
        *("--dmarc-reports", "mailto:d@example.org", "--tls-reports", "mailto:t@example.org"),
        *("--mta-sts", "enforce", "--web-host", "www.example.org"),
        *("--service", "imaps=imap.example.org:993", "--service", "pop3=none"),
    ).stdout
    for record in (
        "10 mx1.example.net",
        "ip4:198.51.100.9",
        "p=none; rua=mailto:d@example.org",
        "v=TLSRPTv1; rua=mailto:t@example.org",
        "v=STSv1",
        "0 1 993 imap.example.org",
        "www.example.org",
    ):
        assert record in zone, record


def test_no_answer_is_no_missing_record(keyed: Shell, dns: dict[Any, Any]) -> None:
    for question in list(dns):
        dns[question] = Rcode.TEMPFAIL
    result = keyed.call("domain", "check", "example.org")
    assert result.exit_code == 1
    assert "without an answer" in result.stdout
    dns["example.org", "MX"] = ShortageError("too many DNS queries in progress")
    assert "too many DNS queries" in keyed.error("domain", "check", "example.org")


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--host", "a b", "not a domain name"),
        ("--host", "mx.example.org=x", "not an IP address"),
        ("--sender", "x", "senders"),
        ("--service", "imaps", "write imaps=mail.example.org:993"),
        ("--service", "imaps=x.example.org:99999", "65535"),
        ("--service", "ftp=x.example.org:21", "services"),
        ("--dmarc", "some", "'some'"),
        ("--dmarc-reports", "javascript:x", "mailto:"),
        ("--web-host", "../x", "not a domain name"),
    ],
)
def test_a_bad_wish_is_wrong_usage(
    keyed: Shell, dns: dict[Any, Any], option: str, value: str, reason: str
) -> None:
    assert reason in keyed.usage("domain", "check", "example.org", option, value)


def test_servers_of_mail_programs_are_expected(keyed: Shell, dns: dict[Any, Any]) -> None:
    table = (
        '[accounts.autoconfig]\nimaps = "mail.example.org:993"\n'
        'submission = "mail.example.org:587"\nsieve = "mail.example.org:4190"\n'
        'web_host = "www.example.org"\n'
    )
    keyed.config.write_text(keyed.config.read_text() + table)
    zone = keyed.call("domain", "check", "example.org", "--zone").stdout
    for record in (
        "_imaps._tcp.example.org. 3600 IN SRV 0 1 993 mail.example.org.",
        "_submission._tcp.example.org. 3600 IN SRV 0 1 587 mail.example.org.",
        "_sieve._tcp.example.org. 3600 IN SRV 0 1 4190 mail.example.org.",
        "_autodiscover._tcp.example.org. 3600 IN SRV 0 1 443 www.example.org.",
        "autoconfig.example.org. 3600 IN CNAME www.example.org.",
        "autodiscover.example.org. 3600 IN CNAME www.example.org.",
    ):
        assert record in zone, zone
    assert "_pop3s" not in zone
    # an option is stronger
    options = ("--service", "imaps=other.example:1993", "--web-host", "web.example")
    zone = keyed.call("domain", "check", "example.org", "--zone", *options).stdout
    assert "SRV 0 1 1993 other.example." in zone
    assert "CNAME web.example." in zone
    dns["_imaps._tcp.example.org", "SRV"] = ("0 1 993 mail.example.org",)
    text = keyed.call("domain", "check", "example.org").stdout
    assert "Mail programs find no record of submission" in text
    assert "Mail programs find no record of imaps" not in text


def test_the_domain_of_bounce_addresses_needs_no_mailboxes(
    keyed: Shell, dns: dict[Any, Any]
) -> None:
    secret = keyed.folder / "srs.secret"
    secret.write_text("0123456789abcdef")
    secret.chmod(0o600)
    assert "no domain" in keyed.error("domain", "check", "bounces.example.org").lower()
    tables = (
        f'[accounts.srs]\ndomain = "bounces.example.org"\nsecret_file = "{secret}"\n'
        '[accounts.autoconfig]\nimaps = "mail.example.org:993"\n'
        'submissions = "mail.example.org:465"\nweb_host = "www.example.org"\n'
    )
    keyed.config.write_text(keyed.config.read_text() + tables)
    result = keyed.call("domain", "check", "Bounces.example.org")
    assert result.exit_code == 1
    assert "SPF" in result.stdout
    assert "DKIM" not in result.stdout
    assert "imaps" not in result.stdout
    dns["bounces.example.org", "MX"] = ("10 mx.example.org",)
    dns["bounces.example.org", "TXT"] = ("v=spf1 mx -all",)
    assert "as they should be" in keyed.run("domain", "check", "bounces.example.org")
    assert "no domain" in keyed.error("domain", "check", "other.example.org").lower()
    # in the datastore it is a domain like others
    keyed.domain("bounces.example.org")
    assert "DKIM" in keyed.call("domain", "check", "bounces.example.org").stdout
