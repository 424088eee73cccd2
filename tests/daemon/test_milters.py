"""The milter as a process: what the MTA sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.listen import Unix
from tests.daemon.milters import DOMAIN, HOSTNAME, INSIDE, SIMPLE, Milters, with_headers
from tests.testbed.dns import Behaviour, DnsServer
from tests.testbed.miltermta import LEADING_SPACE, STEPS, MilterClient, Result, split_message


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="module", params=["unix", "tcp"])
def milters(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, dns: DnsServer
) -> Iterator[Milters]:
    with Milters(tmp_path_factory.mktemp("milters"), dns, tcp=request.param == "tcp") as daemon:
        yield daemon


def applied(raw: bytes, result: Result) -> bytes:
    """The message as the MTA sends it on."""
    fields, body = split_message(raw)
    after = result.apply([(name, value.decode()) for name, value in fields])
    head = "".join(f"{name}:{value}\r\n" for name, value in after).replace("\r\n", "\n")
    return head.replace("\n", "\r\n").encode() + b"\r\n" + body


def results(result: Result) -> str:
    (value,) = result.values("Authentication-Results")
    return value.replace("\n", "")


def test_signed_inside_and_verified_outside(milters: Milters) -> None:
    with milters.client(INSIDE) as inside:
        result = inside.message(SIMPLE)
    assert result.code == 250
    assert len(result.values("DKIM-Signature")) == 2
    with milters.client() as outside:
        verdict = results(outside.message(applied(SIMPLE, result)))
        assert verdict.count("dkim=pass") == 2
        assert f"header.d={DOMAIN}" in verdict
        changed = applied(SIMPLE, result).replace(b"Hello", b"Hallo")
        assert results(outside.message(changed)).count("dkim=fail") == 2


def test_folded_fields_keep_every_octet_under_simple(milters: Milters, tmp_path: Path) -> None:
    raw = SIMPLE.replace(b"Subject: a test", b"Subject:  two\r\n\t lines  ")
    with milters.client(INSIDE) as inside:
        result = inside.message(raw)
    for steps in (STEPS, STEPS & ~LEADING_SPACE):
        with milters.client(steps=steps) as outside:
            assert results(outside.message(applied(raw, result))).count("dkim=pass") == 2


def test_only_what_is_used_is_negotiated(milters: Milters) -> None:
    with milters.client() as client:
        client.mail_from("user@signer.example")
        client.rcpt("rcpt@receiver.example")
        assert client.data() == ("" if isinstance(milters.address, Unix) else "continue")
        assert client.symbols[5] == ["i"]
        assert "{auth_authen}" in client.symbols[2]
        assert not client.steps & 0x800, "rejected recipients are of no interest"


def test_an_mta_without_options_is_answered_at_every_step(milters: Milters) -> None:
    client = MilterClient(milters.address, actions=0x1F, steps=0x7F)
    with client:
        assert client.connect("unknown", INSIDE) == "continue"
        assert client.helo() == "continue"
        assert client.mail_from("user@signer.example") == "continue"
        assert client.rcpt("rcpt@receiver.example") == "continue"
        assert client.header("From", b" user@signer.example") == "continue"
        assert client.end_of_headers() == "continue"
        assert client.body(b"Hello\r\n") == "continue"
        assert len(client.end_of_message().values("DKIM-Signature")) == 2


def test_several_messages_a_connection_and_some_given_up(milters: Milters) -> None:
    with milters.client(INSIDE) as client:
        for _ in range(3):
            client.mail_from("user@signer.example")
            client.header("From", b" user@signer.example")
            client.header("Authentication-Results", f" {HOSTNAME}; dkim=pass".encode())
            client.abort()
            result = client.message(SIMPLE)
            assert len(result.values("DKIM-Signature")) == 2
            assert not result.deleted


def test_a_login_is_signed_for(milters: Milters) -> None:
    with milters.client() as client:
        result = client.message(SIMPLE, macros={"i": "4ABC", "{auth_authen}": "user"})
        assert len(result.values("DKIM-Signature")) == 2
        assert not client.message(SIMPLE).values("DKIM-Signature")


def test_one_log_line_and_metrics_a_message(tmp_path: Path, dns: DnsServer) -> None:
    # a daemon of its own: messages of other tests are counted shortly after their answer
    counted = {"origin": "outside", "action": "accept"}
    with Milters(tmp_path, dns) as milters:
        with milters.client() as client:
            client.message(SIMPLE, queue_id="4LOGGED", sender="who@sender.example")
        line = milters.wait_for_log(queue_id="4LOGGED")
        assert line["event"] == "message"
        assert line["sender"] == "who@sender.example"
        assert line["dkim"] == ["none the message is not signed"]
        assert milters.metric("gatepost_milters_messages_total", **counted) == 1


def test_dns_that_is_silent_does_not_lose_mail(milters: Milters, dns: DnsServer) -> None:
    with milters.client(INSIDE) as inside:
        raw = applied(SIMPLE, inside.message(SIMPLE))
    raw = raw.replace(b"s=r;", b"s=silent;").replace(b"s=e;", b"s=silent;")
    dns.misbehave(f"silent._domainkey.{DOMAIN}", Behaviour.TIMEOUT)
    with milters.client() as outside:
        result = outside.message(raw)
    assert result.code == 250
    assert results(result).count("dkim=temperror") == 2


HOSTILE = {
    "1,000 signatures": with_headers(
        *[b"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=%d; h=from; bh=aa; b=aa" % n
          for n in range(1000)]
    ),
    "1,000 signatures that need DNS": with_headers(
        *[b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=n%d.example; s=s; h=from; "
          b"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWFh" % n for n in range(1000)],
        body=b"",
    ),
    "10,000 header fields": with_headers(*[b"X-%d: x" % n for n in range(10_000)]),
    "10,000 forged results": with_headers(
        *[f"Authentication-Results: {HOSTNAME}; dkim=pass".encode()] * 10_000
    ),
    "a header line of 1 MB": with_headers(b"X-Long: " + b"x" * 1_000_000),
    "a From of 1 MB": b"From: " + b"(" * 1_000_000 + b"\r\n\r\nx\r\n",
    "a signature of 1 MB": with_headers(b"DKIM-Signature: v=1; b=" + b"a" * 1_000_000),
    "a results field of 1 MB": with_headers(b"Authentication-Results: " + b"(" * 1_000_000),
    "NUL": with_headers(b"X-Nul: a\0b", body=b"a\0b\r\n"),
    "bare CR and LF": with_headers(b"X-Bare: a\rb\nc", body=b"a\rb\nc\r\r\n\n"),
    "8-bit": with_headers(b"X-Latin: \xe4\xf6\xfc", b"X-Bad: \xff\xfe", body=b"\xff" * 100),
    "no From": b"Subject: none\r\n\r\nx\r\n",
    "ten From": with_headers(*[b"From: a%d@example.org" % n for n in range(9)]),
    "no header": b"\r\n\r\nx\r\n",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("client_address", [INSIDE, "192.0.2.1"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_gets_an_honest_answer(
    milters: Milters, name: str, client_address: str
) -> None:
    with milters.client(client_address) as client:
        result = client.message(HOSTILE[name])
        assert result.code in (250, 550, 552), result.reply
        if client_address != INSIDE and result.code == 250:
            assert "dkim=pass" not in results(result)
            assert results(result).startswith(f" {HOSTNAME};")
        # and the same connection still works
        assert client.message(SIMPLE).code == 250
    assert not milters.log_entries(event="bug in Gatepost, message deferred")


def test_a_helo_that_is_no_text_does_no_harm(milters: Milters) -> None:
    with MilterClient(milters.address) as client:
        client.connect("unknown", "192.0.2.1")
        client.helo("\udcff\udcfe")
        assert client.message(SIMPLE).code == 250
