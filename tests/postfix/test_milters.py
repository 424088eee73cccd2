"""The milter behind a real Postfix: signed, verified, judged, and nothing lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.postfix.site import INSIDE, MILTERS, OUTSIDE, Site, mail, open_directory, running_site
from tests.testbed.miltermta import split_message
from tests.testbed.oracles import dkimpy_verdicts, opendkim_verdict
from tests.testbed.postfix import HOSTNAME, PrivatePostfix, default_services
from tests.testbed.smtp import RawClient


@pytest.fixture(scope="module", params=["unix", "tcp"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with open_directory() as folder, running_site(folder, tcp=request.param == "tcp") as running:
        yield running


ODD = mail(
    b"X-Folded: one\r\n\ttwo   \r\n  three",
    b"X-Empty:",
    b"x-lower:no space",
    b"To: =?utf-8?q?J=C3=B6rg?= <j@gatepost.test>,\r\n other@gatepost.test",
    body=b".leading dot\r\n\r\ntrailing  \t \r\n\r\n\r\n",
)


@pytest.mark.parametrize("canonicalization", ["relaxed/relaxed", "simple/simple"])
def test_signed_mail_verifies_with_us_and_with_others(
    site: Site, tmp_path: Path, canonicalization: str
) -> None:
    site.milters.stop()
    site.milters.configure(f'{MILTERS}\n[milters.sign]\ncanonicalization = "{canonicalization}"')
    site.milters.start()
    signed = site.arrives(ODD, client=INSIDE)
    assert len(signed.fields("DKIM-Signature")) == 2
    assert f"c={canonicalization}" in signed.fields("DKIM-Signature")[0]
    assert {verdict for _, verdict in dkimpy_verdicts(signed.octets, site.dns)} == {"pass"}
    folder = tmp_path
    told = opendkim_verdict(signed.octets, site.dns, folder, algorithm="rsa-sha256")
    assert told == "pass"
    back = site.arrives(signed.without_received, client=OUTSIDE)
    (results,) = back.fields("Authentication-Results")
    assert results.startswith(f"{HOSTNAME};")
    assert results.count("dkim=pass") == 2
    assert "dmarc=pass" in results
    # on top of everything, above our own Received
    assert back.field_names()[0] == "Authentication-Results"


def test_a_changed_octet(site: Site) -> None:
    signed = site.arrives(ODD, client=INSIDE).without_received
    changed = site.arrives(signed.replace(b"leading", b"Leading"))
    (results,) = changed.fields("Authentication-Results")
    assert results.count("dkim=fail") == 2
    # SPF of the same domain passes and is aligned
    assert "dmarc=pass" in results


def test_results_in_our_name_are_gone(site: Site) -> None:
    forged = f"{HOSTNAME}; dmarc=pass".encode()
    arrived = site.arrives(
        mail(
            b"Authentication-Results: " + forged,
            b"authentication-results:" + forged.upper(),
            b"Authentication-Results: other.example; dkim=pass",
            b"Authentication-Results:\r\n\t(x) " + forged,
        )
    )
    ours, theirs = arrived.fields("Authentication-Results")
    assert "dmarc=pass" in ours
    assert "dkim=none" in ours
    assert theirs == "other.example; dkim=pass"


# From, and what DMARC says of it: its result and the domain it is about
HOSTILE_FROM = {
    "two mailboxes": (b"a@attacker.example, user@signer.example", "fail", "signer.example"),
    "a group": (b"all: user@signer.example;", "fail", "signer.example"),
    "an empty group": (b"undisclosed-recipients:;", "permerror", ""),
    "an encoded word that looks like an address": (
        b"=?utf-8?q?user=40signer=2Eexample?= <a@attacker.example>",
        "pass",
        "attacker.example",
    ),
    "an encoded word and nothing else": (b"=?utf-8?q?user=40signer=2Eexample?=", "permerror", ""),
    "an encoded address before another": (
        b"=?utf-8?b?PHVzZXJAc2lnbmVyLmV4YW1wbGU+?= <a@attacker.example>",
        "pass",
        "attacker.example",
    ),
    "a name with an address": (
        b'"user@signer.example" <a@attacker.example>',
        "pass",
        "attacker.example",
    ),
    "a bare name with an address": (
        b"user@signer.example <a@attacker.example>",
        "permerror",
        "",
    ),
    "two angle brackets": (b"<user@signer.example> <a@attacker.example>", "permerror", ""),
    "a comment with an address": (
        b"a@attacker.example (<user@signer.example>)",
        "permerror",
        "",
    ),
    "a source route": (b"<@attacker.example:user@signer.example>", "permerror", ""),
    "no domain": (b"user", "permerror", ""),
    "a folded address": (b"User\r\n <user@\r\n signer.example>", "permerror", ""),
}


@pytest.mark.parametrize(
    ("author", "result", "domain"), HOSTILE_FROM.values(), ids=HOSTILE_FROM.keys()
)
def test_a_hostile_from_is_judged_as_it_was_sent(
    site: Site, author: bytes, result: str, domain: str
) -> None:
    """SPF passes for attacker.example; nothing may pass in the name of signer.example."""
    site.dns.add("attacker.example", "TXT", f"v=spf1 ip4:{OUTSIDE} -all")
    site.dns.add("_dmarc.attacker.example", "TXT", "v=DMARC1; p=none")
    message = mail().replace(b"User <user@signer.example>", author)
    arrived = site.arrives(message, sender="a@attacker.example")
    values = [value for name, value in split_message(arrived.octets)[0] if name == "From"]
    assert values == [b" " + author.replace(b"\r\n", b"\n")]
    (results,) = arrived.fields("Authentication-Results")
    dmarc = results.partition("; dmarc=")[2]
    assert dmarc.split()[0] == result
    about = [word for word in dmarc.split() if word.startswith("header.from=")]
    assert about == ([f"header.from={domain}"] if domain else [])


def test_dmarc_quarantine_and_reject(site: Site) -> None:
    site.dns.add("_dmarc.wary.example", "TXT", "v=DMARC1; p=quarantine")
    arrived = site.arrives(mail(author=b"user@wary.example"), sender="x@other.example")
    assert arrived.fields("X-Gatepost-Verdict") == ["quarantine; reason=dmarc-fail-quarantine"]
    common = f'socket_group = "postfix"\nauthserv_id = "{HOSTNAME}"\n[milters.policy]\n'
    try:
        site.milters.stop()
        site.milters.configure(common + 'preset = "strict"\nquarantine = "hold"')
        site.milters.start()
        forged = site.send(mail(), client="192.0.2.1", sender="x@other.example")
        assert str(forged) == (
            "550 5.7.1 rejected by the DMARC policy of signer.example [dmarc-fail-reject]"
        )
        assert site.send(mail(author=b"user@wary.example"), sender="x@other.example").code == 250
        (held,) = site.postfix.queue_entries()
        assert held["queue_name"] == "hold"
    finally:
        site.milters.stop()
        site.milters.configure(MILTERS)
        site.milters.start()


def test_mail_of_a_list_is_delivered(site: Site) -> None:
    """The list changed the subject and appended a footer: the signature of the author is broken,
    SPF passes for the list. p=reject, and still nothing is lost."""
    signed = site.arrives(mail(), client=INSIDE).without_received
    listed = signed.replace(b"Subject: a test", b"Subject: [list] a test").replace(
        b"Message-ID:", b"List-Id: <list.example>\r\nMessage-ID:"
    )
    site.dns.add("list.example", "TXT", "v=spf1 ip4:192.0.2.5 -all")
    arrived = site.arrives(
        listed + b"-- \r\nfooter\r\n", client="192.0.2.5", sender="bounces@list.example"
    )
    (results,) = arrived.fields("Authentication-Results")
    assert "dmarc=fail" in results
    assert arrived.fields("X-Gatepost-Verdict") == ["quarantine; reason=dmarc-fail-reject"]


def test_several_recipients_get_the_same_message(site: Site) -> None:
    site.sink.clear()
    recipients = ("a@gatepost.test", "b@gatepost.test", "c@gatepost.test")
    assert site.send(mail(), client=INSIDE, recipients=recipients).code == 250
    (delivery,) = site.sink.wait_for(lambda _: True)
    assert delivery.recipients == recipients
    line = site.milters.wait_for_log(event="message", recipients=3)
    assert line["action"] == "accept"


def test_8bit_and_internationalized_mail(site: Site) -> None:
    eight = mail(
        b"Content-Type: text/plain; charset=iso-8859-1",
        b"Content-Transfer-Encoding: 8bit",
        b"MIME-Version: 1.0",
        body="grüße\r\n".encode("latin-1"),
    )
    signed = site.arrives(eight, client=INSIDE, parameters="BODY=8BITMIME")
    assert {verdict for _, verdict in dkimpy_verdicts(signed.octets, site.dns)} == {"pass"}
    utf8 = mail("Subject: grüße".encode(), author="jörg@signer.example".encode())
    signed = site.arrives(utf8, client=INSIDE, sender="jörg@signer.example", parameters="SMTPUTF8")
    assert len(signed.fields("DKIM-Signature")) == 2
    back = site.arrives(
        signed.without_received, sender="jörg@signer.example", parameters="SMTPUTF8"
    )
    (results,) = back.fields("Authentication-Results")
    assert results.count("dkim=pass") == 2


@pytest.mark.parametrize(("disabled", "verdicts"), [("yes", {"pass"}), ("no", set())])
def test_8bit_mail_to_a_server_without_8bitmime(
    site: Site, disabled: str, verdicts: set[str]
) -> None:
    """Postfix rewrites it behind the milter, unless main.cf is as docs/install.md says."""
    settings = {
        "smtp_discard_ehlo_keywords": "8bitmime, smtputf8",
        "disable_mime_output_conversion": disabled,
    }
    eight = mail(
        b"Content-Type: text/plain; charset=iso-8859-1",
        b"Content-Transfer-Encoding: 8bit",
        b"MIME-Version: 1.0",
        body="grüße\r\n".encode("latin-1"),
    )
    postfix = PrivatePostfix(
        site.postfix.directory.parent / f"postfix-{disabled}",
        site.sink.postfix,
        services=default_services(milters=site.milters.postfix),
        settings=settings,
    )
    with postfix:
        other = replace(site, postfix=postfix)
        arrived = other.arrives(eight, client=INSIDE, parameters="BODY=8BITMIME")
    assert len(arrived.fields("DKIM-Signature")) == 2
    found = {verdict for _, verdict in dkimpy_verdicts(arrived.octets, site.dns)}
    assert found & {"pass"} == verdicts
    # what the next server offers is not known yet: the hint is there in both cases
    (queue_id,) = re.findall(r"with E?SMTP id (\w+)", arrived.fields("Received")[0])
    line = site.milters.wait_for_log(event="message", queue_id=queue_id)
    assert line["fragile"] == ["eight-bit"]


@pytest.mark.parametrize(
    ("message", "fragile", "verifies"),
    [
        (mail(body=b"y" * 998 + b"\r\nend\r\n"), None, True),
        (mail(body=b"y" * 999 + b"\r\nend\r\n"), ["long-line"], False),
        (mail(b"References: " + b"<%b@x.example>" % (b"z" * 974)), None, True),
        (mail(b"References: " + b"<%b@x.example>" % (b"z" * 975)), ["long-line"], False),
    ],
    ids=["a body line of 998", "a body line of 999", "a field of 998", "a field of 999"],
)
def test_lines_that_postfix_breaks_behind_us(
    site: Site, message: bytes, fragile: list[str] | None, verifies: bool
) -> None:
    """The signature fails at the receiver, whatever we do; the log line says why."""
    assert (max(map(len, message.split(b"\r\n"))) > 998) == bool(fragile)
    arrived = site.arrives(message, client=INSIDE, recipients=("long@gatepost.test",))
    assert len(arrived.fields("DKIM-Signature")) == 2
    verdicts = {verdict for _, verdict in dkimpy_verdicts(arrived.octets, site.dns)}
    assert (verdicts == {"pass"}, "pass" in verdicts) == (verifies, verifies)
    (queue_id,) = re.findall(r"with E?SMTP id (\w+)", arrived.fields("Received")[0])
    line = site.milters.wait_for_log(event="message", queue_id=queue_id)
    assert line.get("fragile") == fragile


def test_a_header_field_that_postfix_cuts(site: Site) -> None:
    """With milters Postfix cuts a field at 60000 octets, and signs and sends what is left."""
    long = b"X-Long: " + b"\r\n ".join([b"x" * 900] * 80)
    signed = site.arrives(mail(long), client=INSIDE)
    assert len(signed.fields("DKIM-Signature")) == 2
    assert {verdict for _, verdict in dkimpy_verdicts(signed.octets, site.dns)} == {"pass"}


def test_large_mail(site: Site) -> None:
    body = (b"x" * 76 + b"\r\n") * 100_000
    signed = site.arrives(mail(body=body), client=INSIDE)
    assert len(signed.octets) > 7_000_000
    assert ("rsa-sha256", "pass") in dkimpy_verdicts(signed.octets, site.dns)


def test_a_null_sender_is_checked_by_helo(site: Site) -> None:
    arrived = site.arrives(mail(author=b"mailer-daemon@other.example"), sender="")
    (results,) = arrived.fields("Authentication-Results")
    assert "smtp.helo=client.example.net" in results


def test_mail_that_was_handed_in_is_ours(site: Site) -> None:
    """By sendmail(1), also where loopback is not listed as internal."""
    site.sink.clear()
    command = ["sendmail", "-C", str(site.postfix.configuration), "-f", "user@signer.example"]
    text = mail().replace(b"\r\n", b"\n")
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    subprocess.run([*command, "rcpt@gatepost.test"], input=text, check=True, env=environment)
    (delivery,) = site.sink.wait_for(lambda _: True)
    assert {verdict for _, verdict in dkimpy_verdicts(delivery.octets, site.dns)} == {"pass"}
    assert not delivery.fields("Authentication-Results")
    over_smtp = site.arrives(mail(), client="127.0.0.1")
    assert not over_smtp.fields("DKIM-Signature")


def test_a_milter_that_dies_in_a_message_loses_nothing(site: Site) -> None:
    site.sink.clear()
    with RawClient(site.postfix.port()) as smtp:
        smtp.hello(address=INSIDE)
        assert smtp.begin("user@signer.example", "rcpt@gatepost.test").code == 354
        smtp.send(mail())
        site.milters.kill()
        assert 400 <= smtp.end().code < 500
    site.milters.start()
    assert site.send(mail(), client=INSIDE).code == 250
    (delivery,) = site.sink.wait_for(lambda _: True)
    assert len(delivery.fields("DKIM-Signature")) == 2


def test_a_drain_while_postfix_sends(site: Site) -> None:
    """Whatever the moment, the message is taken and signed, or its client keeps it."""
    site.sink.clear()
    with RawClient(site.postfix.port()) as smtp:
        smtp.hello(address=INSIDE)
        smtp.begin("user@signer.example", "rcpt@gatepost.test")
        smtp.send(mail())
        site.milters.process.signal(signal.SIGTERM)
        reply = smtp.end()
    assert site.milters.process.wait() == 0
    site.milters.start()
    if reply.code == 250:
        (delivery,) = site.sink.wait_for(lambda _: True)
        assert len(delivery.fields("DKIM-Signature")) == 2
    else:
        assert 400 <= reply.code < 500
