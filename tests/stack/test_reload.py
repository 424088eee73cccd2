"""ConfigMaps and Secrets that change under the running pod, as the kubelet changes them."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterator

import pytest

from gatepost.key_pair import new_key
from msgauth.keys import SigningKey
from tests.stack.stack import ALICE, COLLEAGUE, FRIEND, HOSTNAME, Stack, World
from tests.testbed.certificate import self_signed
from tests.testbed.pod import Network
from tests.testbed.waiting import wait_until

NOT_USED = "run: error: the new configuration is not used"
RELOADED = "run: configuration reloaded"
DAEMONS = ("milters", "policyd")


@pytest.fixture(scope="module")
def changing(network: Network, world: World) -> Iterator[Stack]:
    """A pod whose configuration these tests change."""
    running = Stack(network, world)
    try:
        running.start()
        yield running
    finally:
        running.remove()


@contextlib.contextmanager
def nothing_restarts(stack: Stack) -> Iterator[None]:
    """No container is started anew in this block."""
    before = {name: one.pid for name, one in stack.pod.containers.items()}
    yield
    assert {name: one.pid for name, one in stack.pod.containers.items()} == before


@contextlib.contextmanager
def next_hop_is(stack: Stack, next_hop: str) -> Iterator[None]:
    """Postfix hands on to this next hop in this block, and to the one before behind it."""
    postfix = stack.container("postfix")
    before = stack.pod.data("mail-postfix")["POSTFIX_NEXT_HOP"]
    reloads = postfix.log().count(RELOADED)
    stack.configure("mail-postfix", {"POSTFIX_NEXT_HOP": next_hop})
    try:
        postfix.wait_for_log(RELOADED, count=reloads + 1)
        yield
    finally:
        stack.configure("mail-postfix", {"POSTFIX_NEXT_HOP": before})
        postfix.wait_for_log(RELOADED, count=reloads + 2)


def generation(stack: Stack, daemon: str) -> float:
    return stack.metric(daemon, "gatepost_config_generation")


def is_good(stack: Stack, daemon: str) -> bool:
    return stack.metric(daemon, "gatepost_config_last_reload_success") == 1


def tls_session(stack: Stack) -> smtplib.SMTP:
    """An SMTP session on port 25 that has begun TLS and believes any certificate."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    smtp = smtplib.SMTP(stack.address, 25, "mail.example.net", source_address=(FRIEND, 0))
    smtp.starttls(context=trusting)
    return smtp


def served_certificate(stack: Stack) -> str:
    """The certificate on port 25, as PEM."""
    with tls_session(stack) as smtp:
        assert isinstance(smtp.sock, ssl.SSLSocket)
        octets = smtp.sock.getpeercert(binary_form=True)
    assert octets is not None
    return ssl.DER_cert_to_PEM_cert(octets)


def test_both_daemons_take_a_new_configuration(changing: Stack) -> None:
    assert changing.send("before", sender="x@plain.example").accepted
    before = {daemon: generation(changing, daemon) for daemon in DAEMONS}
    new = changing.gatepost_toml(
        {
            "policyd": {"tables": {"deny_senders": ["plain.example"]}},
            "milters": {"authserv_id": "gate.example.org"},
        }
    )
    with nothing_restarts(changing):
        changing.configure("mail-gatepost", {"gatepost.toml": new})
        for daemon in DAEMONS:
            wait_until(
                lambda: generation(changing, daemon) > before[daemon],  # noqa: B023
                f"{daemon} to take the new configuration",
            )
        denied = changing.send("denied", sender="x@plain.example")
        assert denied.reply.text.endswith("[denied-sender]")
        assert changing.send("new name").accepted
        (results,) = changing.sink.wait_for_subject("new name").fields("Authentication-Results")
        assert results.startswith("gate.example.org;")


def test_a_bad_gatepost_toml_is_refused_and_the_old_one_kept(changing: Stack) -> None:
    good = changing.pod.data("mail-gatepost")["gatepost.toml"]
    before = {daemon: generation(changing, daemon) for daemon in DAEMONS}
    with nothing_restarts(changing):
        changing.configure("mail-gatepost", {"gatepost.toml": good + "\n[nonsense]\na = 1\n"})
        for daemon in DAEMONS:
            wait_until(
                lambda: not is_good(changing, daemon),  # noqa: B023
                f"{daemon} to refuse the configuration",
            )
            (entry,) = changing.container(daemon).log_entries(
                event="configuration not reloaded, the old one stays in use"
            )
            assert "nonsense" in str(entry)
            assert generation(changing, daemon) == before[daemon]
        assert changing.send("in spite of it").accepted
        changing.sink.wait_for_subject("in spite of it")
        changing.configure("mail-gatepost", {"gatepost.toml": good})
        for daemon in DAEMONS:
            wait_until(lambda: is_good(changing, daemon), f"{daemon} to be well")  # noqa: B023


def test_postfix_takes_a_new_domain_and_finishes_old_sessions(changing: Stack) -> None:
    new_domain = ("bob@example.com",)
    assert changing.send("too early", recipients=new_domain).reply.code == 554
    postfix = changing.container("postfix")
    reloads = postfix.log().count(RELOADED)
    with nothing_restarts(changing), changing.client(FRIEND) as open_before:
        open_before.hello()
        begun = open_before.begin("alice@example.net", "bob@example.org")
        assert begun.code == 354, begun
        changing.configure("mail-postfix", {"POSTFIX_DOMAINS": "example.org example.com"})
        postfix.wait_for_log(RELOADED, count=reloads + 1)
        sent = changing.send("new domain", recipients=new_domain)
        assert sent.accepted, sent.transcript
        changing.sink.wait_for_subject("new domain")
        open_before.send(b"From: alice@example.net\r\nSubject: begun before\r\n\r\nHi\r\n")
        assert open_before.end().code == 250
        changing.sink.wait_for_subject("begun before")


@pytest.mark.parametrize("next_hop", ["smtp:[mailstore]:25", "smtp:mailstore:25"])
def test_a_service_of_the_namespace_can_be_the_next_hop(changing: Stack, next_hop: str) -> None:
    """A cluster finds a short name in the domains that its pods search."""
    with next_hop_is(changing, next_hop):
        # whoever was verified before would not be asked about again
        recipient = f"bob+{next_hop.count('[')}@example.org"
        sent = changing.send(next_hop, recipients=(recipient,))
        assert sent.accepted, sent.transcript
        changing.sink.wait_for_subject(next_hop)


@pytest.mark.parametrize(
    "next_hop", ["smtp:[nowhere]:25", "smtp:nowhere.test", "lmtp:inet:nowhere:24"]
)
def test_a_next_hop_that_has_no_name_yet_keeps_mail_waiting(changing: Stack, next_hop: str) -> None:
    """A cluster's DNS does not know a headless service before it has a pod that is ready."""
    with next_hop_is(changing, next_hop):
        recipient = f"bob+{len(next_hop)}@example.org"
        sent = changing.send("no next hop", recipients=(recipient,))
        assert sent.reply.code == 450, sent.transcript


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("POSTFIX_PROXY", "maybe", "render: POSTFIX_PROXY is 'maybe': write yes or no"),
        ("bad.cf", "smtpd_no_such_parameter = 1\n", "unused parameter: smtpd_no_such_parameter=1"),
        ("bad.cf", "smtpd_timeout = soon\n", "check: smtpd_timeout = soon: write a time"),
    ],
)
def test_a_bad_setting_of_postfix_is_refused_and_the_old_one_kept(
    changing: Stack, name: str, text: str, reason: str
) -> None:
    postfix = changing.container("postfix")
    refused = postfix.log().count(NOT_USED)
    in_use = postfix.execute("cat", "/etc/postfix/main.cf")
    good = changing.pod.data("mail-postfix").get(name)
    with nothing_restarts(changing):
        changing.configure("mail-postfix", {name: text})
        try:
            log = postfix.wait_for_log(NOT_USED, count=refused + 1)
            assert reason in log
            assert postfix.execute("cat", "/etc/postfix/main.cf") == in_use
            subject = f"in spite of {text.strip()}"
            assert changing.send(subject).accepted
            changing.sink.wait_for_subject(subject)
        finally:
            reloads = postfix.log().count(RELOADED)
            changing.configure("mail-postfix", {name: good})
            postfix.wait_for_log(RELOADED, count=reloads + 1)


def test_a_new_certificate_is_served_and_a_wrong_one_is_not(changing: Stack) -> None:
    tls = changing.secrets["mail-tls"]
    assert served_certificate(changing) == tls.files()["tls.crt"]
    postfix = changing.container("postfix")
    reloads, refused = (postfix.log().count(text) for text in (RELOADED, NOT_USED))
    certificate, key = self_signed(HOSTNAME)
    with nothing_restarts(changing), tls_session(changing) as open_before:
        tls.update({"tls.crt": certificate, "tls.key": key})
        postfix.wait_for_log(RELOADED, count=reloads + 1)
        assert served_certificate(changing) == certificate
        message = "From: alice@example.net\r\nSubject: encrypted before\r\n\r\nHi\r\n"
        open_before.sendmail("alice@example.net", ["bob@example.org"], message)
        changing.sink.wait_for_subject("encrypted before")
        tls.update({"tls.crt": self_signed(HOSTNAME)[0]})
        log = postfix.wait_for_log(NOT_USED, count=refused + 1)
        assert "/tls/tls.crt is not the certificate of /tls/tls.key" in log
        assert served_certificate(changing) == certificate
        tls.update({"tls.crt": certificate})
        postfix.wait_for_log(RELOADED, count=reloads + 2)


def test_a_new_key_signs(changing: Stack) -> None:
    pem = new_key("ed25519")
    changing.dns.add("next._domainkey.example.org", "TXT", SigningKey.parse(pem).public_record())
    dkim = changing.secrets["mail-dkim"]
    old = dkim.files()

    def selectors() -> set[str]:
        changing.remote.clear()
        sent = changing.send(
            "new key", client=COLLEAGUE, sender=ALICE, recipients=("carol@remote.example",)
        )
        assert sent.accepted, sent.transcript
        signed = changing.remote.wait_for_subject("new key")
        return {
            tag.strip().removeprefix("s=")
            for field in signed.fields("DKIM-Signature")
            for tag in field.split(";")
            if tag.strip().startswith("s=")
        }

    assert selectors() == {"r", "e"}
    with nothing_restarts(changing):
        dkim.replace({"example.org.next.pem": pem.decode()})
        wait_until(lambda: selectors() == {"next"}, "the new key to sign")
        dkim.replace(old)
        wait_until(lambda: selectors() == {"r", "e"}, "the old keys to sign again")
