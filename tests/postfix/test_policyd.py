"""The policy server behind a real Postfix, with swaks in front and a sink behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.policyd_process import PolicyDaemon
from tests.daemon.valkey_server import ValkeyServer
from tests.postfix.conftest import StartPostfix
from tests.testbed import swaks
from tests.testbed.dns import DnsServer
from tests.testbed.postfix import LOGINS, PrivatePostfix, Service, default_services
from tests.testbed.postfix_files import MX_RESTRICTIONS, SUBMISSION_RESTRICTIONS
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until

STRANGER = Client("192.0.2.77", "mail.example.net", "mail.example.net")
ALICE, SECRET = next(iter(LOGINS.items()))
LOGGED_IN = Client("203.0.113.5", login=ALICE, password=SECRET)
QUICK = {"greylist": {"delay": "1s"}}
OFF = {"greylist": {"enabled": False}}


def send(
    postfix: PrivatePostfix,
    subject: str = "A test",
    client: Client = STRANGER,
    recipients: tuple[str, ...] = ("bob@gatepost.test",),
    sender: str = "a@example.net",
    service: str = "mx",
    body: str = "Hello.",
) -> Exchange:
    return swaks.send(
        postfix.port(service),
        sender=sender,
        recipients=recipients,
        client=client,
        subject=subject,
        body=body,
    )


def asks(policyd: PolicyDaemon, options: str = "") -> str:
    """What main.cf says to ask this server; `options` as in ``{ server, options }``."""
    return f"{{ unix:{policyd.socket}{', ' if options else ''}{options} }}"


def sent_until_accepted(postfix: PrivatePostfix, subject: str, **who: Any) -> Exchange:
    """Send again and again, as a mail server does, until it is accepted."""
    return wait_until(
        lambda: sent if (sent := send(postfix, subject, **who)).accepted else None,
        "the delay to be over",
    )


def test_first_attempt_early_retry_late_retry_and_known(
    directory: Path, start_postfix: StartPostfix, sink: Sink
) -> None:
    with PolicyDaemon(directory / "p", {"greylist": {"delay": "3s"}}) as policyd:
        postfix = start_postfix(default_services(policy=asks(policyd)))
        first = send(postfix, "first")
        assert first.reply.code == 450
        assert re.fullmatch(
            r"4\.2\.0 <bob@gatepost\.test>: Recipient address rejected: Greylisted, please try "
            r"again in 3 seconds \[greylist-new\]",
            first.reply.text,
        )
        early = send(postfix, "early")
        assert early.reply.code == 450
        assert early.reply.text.endswith("[greylist-early]")
        assert sent_until_accepted(postfix, "late").accepted
        late = sink.wait_for_subject("late")
        (header,) = late.fields("X-Greylist")
        assert re.match(r"delayed \d+ seconds by gatepost at mx\.example\.org; ", header)
        assert send(postfix, "known").accepted
        assert sink.wait_for_subject("known").fields("X-Greylist") == []
        assert policyd.daemon.wait_for_log(reason="greylist-new")["sender"] == "a@example.net"
        assert {one.message["Subject"] for one in sink.deliveries} == {"late", "known"}


def test_a_pool_passes_from_another_of_its_servers(
    directory: Path, start_postfix: StartPostfix, sink: Sink
) -> None:
    by_name = Client("198.51.100.9", "out9.example.net", "out9.example.net")
    by_spf = [Client("203.0.113.1"), Client("198.51.100.200")]
    with DnsServer() as dns:
        dns.add("pool.example", "TXT", "v=spf1 ip4:203.0.113.0/24 ip4:198.51.100.0/24 -all")
        with PolicyDaemon(directory / "p", QUICK, dns.address) as policyd:
            postfix = start_postfix(default_services(policy=asks(policyd)))
            assert send(postfix).reply.code == 450
            assert sent_until_accepted(postfix, "by name", client=by_name).accepted
            assert send(postfix, client=by_spf[0], sender="b@pool.example").reply.code == 450
            assert sent_until_accepted(
                postfix, "by spf", client=by_spf[1], sender="b@pool.example"
            ).accepted
            stranger = Client("192.0.2.1")
            assert send(postfix, client=stranger, sender="b@pool.example").reply.code == 450
        for subject in ("by name", "by spf"):
            assert len(sink.wait_for_subject(subject).fields("X-Greylist")) == 1


def test_who_opted_out_waits_for_nothing(directory: Path, start_postfix: StartPostfix) -> None:
    settings = {"greylist": {"allow_recipients": ["bob@gatepost.test"]}}
    with PolicyDaemon(directory / "p", settings) as policyd:
        postfix = start_postfix(default_services(policy=asks(policyd)))
        assert send(postfix).accepted
        assert send(postfix, recipients=("carol@gatepost.test",)).reply.code == 450


def test_several_recipients_make_one_header(
    directory: Path, start_postfix: StartPostfix, sink: Sink
) -> None:
    recipients = ("bob@gatepost.test", "carol@gatepost.test", "dave@gatepost.test")
    with PolicyDaemon(directory / "p", QUICK) as policyd:
        postfix = start_postfix(default_services(policy=asks(policyd)))
        assert send(postfix, "many", recipients=recipients).reply.code == 450
        wait_until(
            lambda: policyd.ask(
                client_address=STRANGER.address,
                client_name=STRANGER.name,
                sender="a@example.net",
                recipient="bob@gatepost.test",
                instance="probe",
            ).startswith("PREPEND"),
            "the delay to be over",
        )
        assert send(postfix, "many", recipients=recipients).accepted
        arrived = sink.wait_for_subject("many")
        assert len(arrived.recipients) == 3
        assert len(arrived.fields("X-Greylist")) == 1


def test_a_listed_client_is_refused(directory: Path, start_postfix: StartPostfix) -> None:
    with DnsServer() as dns:
        dns.add("77.2.0.192.bl.example", "A", "127.0.0.4")
        dns.add("2.0.0.127.bl.example", "A", "127.0.0.2")
        settings = {**OFF, "dnslists": {"lists": [{"zone": "bl.example"}]}}
        with PolicyDaemon(directory / "p", settings, dns.address) as policyd:
            postfix = start_postfix(default_services(policy=asks(policyd)))
            refused = send(postfix).reply
            assert refused.code == 554
            assert refused.text == (
                "5.7.1 <bob@gatepost.test>: Recipient address rejected: Service unavailable; "
                "client [192.0.2.77] is listed by bl.example [dnslist]"
            )
            assert send(postfix, client=Client("192.0.2.78")).accepted


def submission(policyd: PolicyDaemon, **settings: str) -> Service:
    restrictions = {
        **SUBMISSION_RESTRICTIONS,
        "smtpd_recipient_restrictions": f"check_policy_service {asks(policyd)}",
        "smtpd_end_of_data_restrictions": f"check_policy_service {asks(policyd)}",
    }
    return Service("submission", {**restrictions, **settings})


def limit(**settings: Any) -> Mapping[str, Any]:
    rule = {"name": "out", "per": "user", "count": "recipients", "limit": 2, "period": "1d"}
    return {**OFF, "limits": {"rules": [{**rule, **settings}]}}


def from_alice(postfix: PrivatePostfix, subject: str = "A test", **more: Any) -> Exchange:
    who = {"client": LOGGED_IN, "sender": ALICE, "service": "submission", **more}
    return send(postfix, subject, **who)


def test_a_login_reaches_its_limit(directory: Path, start_postfix: StartPostfix) -> None:
    with PolicyDaemon(directory / "p", limit()) as policyd:
        postfix = start_postfix([submission(policyd)])
        assert from_alice(postfix, recipients=("a@example.org", "b@example.org")).accepted
        refused = from_alice(postfix).reply
        assert refused.code == 450
        assert "4.7.1" in refused.text
        assert refused.text.endswith("[limit-out]")


def test_what_is_beyond_a_limit_of_bytes_is_held(
    directory: Path, start_postfix: StartPostfix, sink: Sink
) -> None:
    with PolicyDaemon(directory / "p", limit(count="bytes", limit=2000, action="hold")) as policyd:
        postfix = start_postfix([submission(policyd)])
        assert from_alice(postfix, "small").accepted
        sink.wait_for_subject("small")
        held = from_alice(postfix, "large", body="x" * 2000)
        assert held.accepted
        (entry,) = postfix.queue_entries()
        assert (entry["queue_name"], entry["queue_id"]) == ("hold", held.queue_id)
        assert f"limit-out: {ALICE}" in postfix.log_text()


def test_the_mail_of_a_login_is_held_when_much_of_it_came_back(
    directory: Path, start_postfix: StartPostfix, sink: Sink
) -> None:
    """Bounces at DATA: a server that only asks whether the sender exists gets no further."""
    compromised = {"bounces": 1, "bounces_at": "DATA"}
    with PolicyDaemon(directory / "p", {**OFF, "compromised": compromised}) as policyd:
        check = {"smtpd_data_restrictions": f"check_policy_service {asks(policyd)}"}
        mx = Service("mx", {**MX_RESTRICTIONS, **check})
        postfix = start_postfix([mx, submission(policyd)])
        with RawClient(postfix.port()) as callout:
            callout.hello(address="192.0.2.77")
            for _ in range(5):
                assert callout.command("MAIL FROM:<>").code == 250
                assert callout.command(f"RCPT TO:<{ALICE}>").code == 250
                callout.command("RSET")
        assert from_alice(postfix, "before").accepted
        sink.wait_for_subject("before")
        for n in range(2):
            assert send(postfix, f"bounce {n}", sender="<>", recipients=(ALICE,)).accepted
        held = from_alice(postfix, "after")
        assert held.accepted
        assert [entry["queue_id"] for entry in postfix.queue_entries()] == [held.queue_id]
        assert "compromised: 2 bounces of 2 messages" in postfix.log_text()
        assert (
            policyd.daemon.wait_for_log(event="login looks compromised")["sasl_username"] == ALICE
        )


def test_a_login_sends_only_as_itself(directory: Path, start_postfix: StartPostfix) -> None:
    with PolicyDaemon(directory / "p", {**OFF, "ownership": {"enabled": True}}) as policyd:
        postfix = start_postfix([submission(policyd)])
        assert from_alice(postfix).accepted
        refused = from_alice(postfix, sender="ceo@gatepost.test").reply
        assert refused.code == 553
        assert f"not owned by user {ALICE} [sender-not-owned]" in refused.text


def test_a_sender_is_owned_that_postfix_makes_of_another(
    directory: Path, start_postfix: StartPostfix
) -> None:
    """Postfix takes a quoted source route and "%" for what they are, after it asked."""
    owners = [f"@gatepost.test {ALICE}", "ceo@gatepost.test ceo"]
    section = {"enabled": True, "strangers": "reject", "owners": owners}
    with PolicyDaemon(directory / "p", {**OFF, "ownership": section}) as policyd:
        postfix = start_postfix([*default_services(policy=asks(policyd)), submission(policyd)])
        assert from_alice(postfix, sender="other@gatepost.test").accepted
        for sender in ("ceo@gatepost.test", '"@x.example:ceo"@gatepost.test', '"@x:ceo"', "ceo"):
            assert from_alice(postfix, sender=sender).reply.code == 553
            assert send(postfix, sender=sender).reply.code == 553
        assert send(postfix, sender='"@x:ceo%gatepost.test"').reply.code == 553
        assert send(postfix).accepted


def test_the_store_dies_and_comes_back_while_mail_flows(
    directory: Path, start_postfix: StartPostfix, sink: Sink
) -> None:
    (directory / "v").mkdir()
    with ValkeyServer(directory / "v") as server:
        settings = {**QUICK, "store": {"kind": "valkey", "url": server.url}}
        with PolicyDaemon(directory / "p", settings) as policyd:
            postfix = start_postfix(default_services(policy=asks(policyd)))
            assert send(postfix).reply.code == 450
            assert sent_until_accepted(postfix, "before").accepted
            server.kill()
            assert send(postfix, sender="c@example.net").reply.code == 450
            assert sent_until_accepted(postfix, "meanwhile", sender="c@example.net").accepted
            server.start()
            policyd.daemon.wait_for_log(event="entries from memory written to the store")
            policyd.daemon.restart()
            assert send(postfix, "after", sender="c@example.net").accepted
        for subject in ("before", "meanwhile", "after"):
            sink.wait_for_subject(subject)


@pytest.mark.parametrize(
    ("options", "code"), [("default_action=DUNNO", 250), ("", 451), ("try_limit=1", 451)]
)
def test_without_the_server_mail_goes_as_main_cf_says(
    directory: Path, start_postfix: StartPostfix, options: str, code: int
) -> None:
    with PolicyDaemon(directory / "p") as policyd:
        postfix = start_postfix(default_services(policy=asks(policyd, options)))
        assert send(postfix).reply.code == 450
        policyd.daemon.kill()
        assert send(postfix).reply.code == code
        policyd.daemon.start()
        assert send(postfix).reply.code == 450


def test_a_restart_of_the_server_is_not_seen_in_a_session(
    directory: Path, start_postfix: StartPostfix
) -> None:
    """One smtpd process with its connection to the server, across a drain and a new start."""
    with PolicyDaemon(directory / "p", {"greylist": {"allow_clients": ["0.0.0.0/0"]}}) as policyd:
        postfix = start_postfix(default_services(policy=asks(policyd)))
        with RawClient(postfix.port()) as client:
            client.hello(address="192.0.2.77")
            assert client.command("MAIL FROM:<a@example.net>").code == 250
            assert client.command("RCPT TO:<bob@gatepost.test>").code == 250
            assert policyd.daemon.stop() == 0
            policyd.daemon.start()
            assert client.command("RCPT TO:<carol@gatepost.test>").code == 250


def test_it_is_asked_at_every_state(directory: Path, start_postfix: StartPostfix) -> None:
    settings = {**OFF, "tables": {"deny_clients": ["192.0.2.66"], "deny_helo": ["evil.example"]}}
    with PolicyDaemon(directory / "p", settings) as policyd:
        check = f"check_policy_service {asks(policyd)}"
        states = ("client", "helo", "sender", "recipient", "data", "end_of_data", "etrn")
        everywhere = {f"smtpd_{state}_restrictions": check for state in states}
        everywhere["smtpd_recipient_restrictions"] = f"reject_unauth_destination, {check}"
        postfix = start_postfix(
            [Service("mx", {**MX_RESTRICTIONS, **everywhere, "smtpd_delay_reject": "no"})]
        )
        sent = send(postfix)
        assert sent.accepted, sent.transcript
        asked = {entry["state"] for entry in policyd.daemon.log_entries(event="decision")}
        assert asked >= {"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE"}
        evil = send(postfix, client=Client("192.0.2.1", helo="mx.evil.example"))
        assert evil.reply.code == 554
        assert "[denied-helo]" in evil.reply.text
        assert "[denied-client]" in send(postfix, client=Client("192.0.2.66")).transcript


def test_no_request_of_postfix_is_ever_malformed(
    directory: Path, start_postfix: StartPostfix
) -> None:
    """Long, strange and 8-bit addresses and HELO names, as Postfix passes them on."""
    with PolicyDaemon(directory / "p", OFF) as policyd:
        postfix = start_postfix(default_services(policy=asks(policyd)))
        with RawClient(postfix.port()) as client:
            client.send(b"EHLO " + b"h" * 1500 + b"\r\n")
            client.read_reply()
            for sender in (b"a=b\\=c@example.net", b"<" * 3, b"\xff\xfe@example.net", b"x" * 1900):
                client.send(b"MAIL FROM:<" + sender + b">\r\n")
                client.read_reply()
                client.command("RCPT TO:<bob@gatepost.test>")
                client.command("RSET")
            client.command("MAIL FROM:<jörg@example.net> SMTPUTF8")
            assert client.command("RCPT TO:<bob@gatepost.test>").code == 250
        assert policyd.daemon.metric("gatepost_policyd_malformed_total") == 0
        senders = [entry.get("sender") for entry in policyd.daemon.log_entries(event="decision")]
        assert "jörg@example.net" in senders
