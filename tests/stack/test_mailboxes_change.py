"""Mailboxes while something changes under them: certificate, settings, accounts, secrets, keys."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import json
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator

import pytest

from tests.stack import mailboxes as pod_of_mailboxes
from tests.stack.mailboxes import (
    ANNA,
    BOB,
    DOVEADM,
    IMAP,
    IMAP_PROXY,
    IMAPS,
    IMAPS_PROXY,
    KEY,
    LMTP,
    PASSWORDS,
    POP3S_PROXY,
    SIEVE_PROXY,
    Mailboxes,
    any_certificate,
)
from tests.stack.stack import BALANCER, HOSTNAME, STRANGER
from tests.testbed.certificate import self_signed
from tests.testbed.container import process_status
from tests.testbed.managesieve import ManageSieve
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.smtp import RawClient
from tests.testbed.waiting import wait_until

ANY_USER = 54321
LEARN = '#!/bin/sh\necho "$1 $2 $(grep -c .)" >> /tmp/learnt\n'


@pytest.fixture(scope="module")
def changing(network: Network) -> Iterator[Mailboxes]:
    """A pod of its own, run by a user that the image does not know."""
    settings = {"DOVECOT_LEARN": "/config/learn", "learn": LEARN}
    with pod_of_mailboxes.running(network, settings, ANY_USER) as running:
        yield running


def serial(mailboxes: Mailboxes, host: str = HOSTNAME) -> int:
    """Return what identifies the certificate that a client gets now, if it asks for that host."""
    with (
        socket.create_connection((mailboxes.address, IMAPS), timeout=30) as plain,
        any_certificate().wrap_socket(plain, server_hostname=host) as client,
    ):
        return hash(client.getpeercert(binary_form=True))


def idle(mailboxes: Mailboxes, user: str) -> imaplib.IMAP4:
    client = mailboxes.imap(user)
    client.select()
    client.send(b"X1 IDLE\r\n")
    assert client.readline().startswith(b"+")
    return client


def hears_of(client: imaplib.IMAP4, text: bytes) -> bool:
    """Return whether a waiting session says a line with the text; others may come before."""
    while line := client.readline():
        if text in line:
            return True
    return False


def test_it_runs_as_anybody(changing: Mailboxes) -> None:
    assert process_status(changing.dovecot, "Uid") == [str(ANY_USER)] * 4
    assert process_status(changing.dovecot, "CapBnd") == ["0" * 16]
    podman("healthcheck", "run", changing.dovecot.name)
    for file in ("environ", "cmdline"):
        seen = changing.dovecot.execute("cat", f"/proc/1/{file}")
        assert KEY not in seen


def test_a_new_certificate_is_used_and_a_waiting_session_lives_on(changing: Mailboxes) -> None:
    session = idle(changing, ANNA)
    before = serial(changing)
    more = MountedFolder(changing.certificates.path / "more", mode=0o640)
    more.path.mkdir(mode=0o755)
    for folder, names in (
        (more, ("mail.example.com", "*.example.net")),
        (changing.tls, (HOSTNAME,)),
    ):
        certificate, key = self_signed(*names)
        folder.replace({"tls.crt": certificate, "tls.key": key})
    wait_until(lambda: serial(changing) != before, "the new certificate", deadline=30)
    # in Dovecot, old processes that do not end within 6 s after a reload would be killed by default
    changing.dovecot.wait_for_log("run: configuration reloaded")
    with contextlib.suppress(TimeoutError):
        session.socket().settimeout(8)
        assert not session.readline(), "the session was closed"
        pytest.fail("the session was closed")
    session.socket().settimeout(60)
    assert changing.deliver(ANNA, "while waiting").code == 250
    wait_until(lambda: serial(changing, "mail.example.com") != serial(changing), "the other name")
    assert serial(changing, "imap.example.net") == serial(changing, "mail.example.com")
    assert serial(changing, "mail.example.edu") == serial(changing)


def test_a_bad_certificate_or_setting_is_refused_and_the_old_one_serves(
    changing: Mailboxes,
) -> None:
    before = serial(changing)
    for folder, changes, reason in (
        (changing.tls, {"tls.key": self_signed(HOSTNAME)[1]}, "is not the certificate of"),
        (changing.config, {"x.conf": "mail_plugins {\n  quotum = yes\n}\n"}, "no plugin quotum"),
        (changing.config, {"x.conf": "imap_idle = soon\n"}, "check: doveconf: "),
        (changing.config, {"DOVECOT_MAILBOX_FULL": "maybe"}, "write defer or refuse"),
        (changing.config, {"DOVECOT_PROXY_NETWORKS": "0.0.0.0/0"}, "is the whole Internet"),
    ):
        old = folder.files()
        reloads = changing.dovecot.log().count("configuration reloaded")
        folder.update(changes)
        changing.dovecot.wait_for_log(reason)
        assert serial(changing) == before
        assert changing.imap().noop()[0] == "OK"
        folder.replace(old)
        changing.dovecot.wait_for_log("configuration reloaded", count=reloads + 1)


def test_a_setting_changes_without_a_restart(changing: Mailboxes) -> None:
    old = changing.config.files()
    reloads = changing.dovecot.log().count("configuration reloaded")
    changing.config.update({"extra.conf": "imap_id_send {\n  name = changed\n}\n"})
    changing.dovecot.wait_for_log("configuration reloaded", count=reloads + 1)
    changing.dovecot.wait_ready()
    client = changing.imap(login=False)
    assert b"changed" in b"".join(client.xatom("ID", "NIL")[1] + client.response("ID")[1])
    changing.config.replace(old)
    changing.dovecot.wait_for_log("configuration reloaded", count=reloads + 2)


@pytest.mark.parametrize("version", [1, 2])
def test_the_real_address_comes_through_a_balancer(changing: Mailboxes, version: int) -> None:
    client = f"198.51.100.{20 + version}"
    with proxied(changing, IMAPS_PROXY, version, client) as plain:
        secured = any_certificate().wrap_socket(plain)
        talk(secured, f'1 LOGIN {ANNA} "{PASSWORDS[ANNA]}"')
        secured.close()
    changing.dovecot.wait_for_log(f"rip={client}")
    logged = wait_until(lambda: changing.accounts.log_entries(client=client), "the log of accounts")
    assert logged[0]["protocol"] == "imap"


def test_no_password_goes_unencrypted(changing: Mailboxes) -> None:
    """Neither from outside, nor through a balancer, which Dovecot would trust."""
    with proxied(changing, IMAP_PROXY, 1, STRANGER) as client:
        assert b"LOGINDISABLED" in client.recv(1000)
    with socket.create_connection((changing.address, IMAP), 30, (STRANGER, 0)) as client:
        assert b"LOGINDISABLED" in client.recv(1000)
    line = proxy_line(1, STRANGER)
    sieve = ManageSieve(changing.address, SIEVE_PROXY, source=BALANCER, before=line, tls=False)
    assert '"SASL" ""' in sieve.capabilities
    sieve.close()
    sieve = ManageSieve(changing.address, SIEVE_PROXY, source=BALANCER, before=line)
    sieve.login(ANNA, PASSWORDS[ANNA])
    sieve.close()


def test_only_a_balancer_may_name_addresses(changing: Mailboxes) -> None:
    address = (changing.address, POP3S_PROXY)
    with socket.create_connection(address, 30, (STRANGER, 0)) as client:
        client.sendall(proxy_line(1, "10.20.0.5"))
        with contextlib.suppress(ConnectionError):
            assert client.recv(100) == b""


def test_what_users_move_is_learnt(changing: Mailboxes) -> None:
    assert changing.deliver(BOB, "to be moved").code == 250
    client = changing.imap(BOB)
    client.select("INBOX")
    client.copy("1", "Junk")
    client.select("Junk")
    client.copy("1", "INBOX")
    client.copy("1", "Trash")
    learnt = changing.dovecot.execute("cat", "/tmp/learnt").splitlines()  # noqa: S108
    assert [line.rpartition(" ")[0] for line in learnt] == [f"spam {BOB}", f"ham {BOB}"]
    assert all(int(line.split()[-1]) > 3 for line in learnt), "the message did not come"


def test_doveadm_needs_its_key(changing: Mailboxes) -> None:
    def ask(key: str) -> bytes:
        body = json.dumps([["who", {}, "tag"]]).encode()
        head = (
            "POST /doveadm/v1 HTTP/1.1\r\nHost: dovecot\r\nContent-Type: application/json\r\n"
            f"Authorization: X-Dovecot-API {base64.b64encode(key.encode()).decode()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((changing.address, DOVEADM), timeout=30) as client:
            client.sendall(head.encode() + body)
            return client.makefile("rb").readline()

    assert ask(KEY).startswith(b"HTTP/1.1 200 ")
    assert ask("another key").startswith(b"HTTP/1.1 401 ")


def test_nobody_is_wrong_or_unknown_while_accounts_is_away(changing: Mailboxes) -> None:
    session = idle(changing, ANNA)
    podman("stop", "--time=5", changing.accounts.name)
    assert "[UNAVAILABLE]" in changing.refusal(ANNA)
    assert "[UNAVAILABLE]" in changing.refusal(ANNA, "not this one, never")
    for recipient in (ANNA, "nobody@example.org"):
        assert str(changing.deliver(recipient, "while away")).startswith("451 4."), recipient
    assert changing.may_come(ANNA, 1000).startswith("DEFER_IF_PERMIT")
    podman("start", changing.accounts.name)
    changing.accounts.wait_ready()
    changing.imap(ANNA)
    assert "AUTHENTICATIONFAILED" in changing.refusal(ANNA, "not this one, never")
    assert changing.deliver(ANNA, "back again").code == 250
    assert hears_of(session, b"EXISTS"), "the waiting session is gone"


def test_a_wrong_token_makes_no_password_wrong(changing: Mailboxes) -> None:
    old = changing.secrets.files()
    reloads = changing.dovecot.log().count("configuration reloaded")
    changing.secrets.update({"token": "ffffffffffffffffffffffffffffffff\n"})
    changing.dovecot.wait_for_log("configuration reloaded", count=reloads + 1)
    assert "[UNAVAILABLE]" in changing.refusal(ANNA)
    assert str(changing.deliver(ANNA, "with a wrong token")).startswith("451 4.")
    changing.secrets.replace(old)
    changing.dovecot.wait_for_log("configuration reloaded", count=reloads + 2)
    changing.dovecot.wait_ready()
    changing.imap(ANNA)


def test_mail_outlives_a_kill_and_it_stops_in_good_order(changing: Mailboxes) -> None:
    assert changing.deliver(BOB, "kept").code == 250
    podman("kill", "--signal=KILL", changing.dovecot.name)
    podman("start", changing.dovecot.name)
    changing.dovecot.wait_ready()
    assert "kept" in changing.subjects(BOB)
    podman("stop", "--time=20", changing.dovecot.name)
    assert changing.dovecot.state["State"]["ExitCode"] == 0


def test_a_burst_at_a_new_start_is_served(changing: Mailboxes) -> None:
    """Without a look-up before, some of so many at once fail after 13 seconds."""
    podman("start", changing.dovecot.name)
    changing.dovecot.wait_ready()
    clients = [RawClient(LMTP, host=changing.address) for _ in range(60)]
    try:
        for client in clients:
            client.command("LHLO mx.example.org")
            client.command("MAIL FROM:<carol@remote.example>")
        for number, client in enumerate(clients):
            client.send(f"RCPT TO:<nobody{number}@example.org>\r\n".encode())
        # the word of accounts, and not the temporary error that it could not be asked
        assert {client.read_reply().code for client in clients} == {550}
    finally:
        for client in clients:
            client.close()


# last in this module: from here on, the pod has encrypted mail


def test_mail_is_encrypted_in_the_files_and_read_by_its_user(changing: Mailboxes) -> None:
    reloads = changing.dovecot.log().count("configuration reloaded")
    changing.secrets.update({"mail-key": new_mail_key()})
    changing.config.update({"DOVECOT_MAIL_KEY_FILE": "/secrets/mail-key"})
    changing.dovecot.wait_for_log("from now on, mail is encrypted with the key")
    changing.dovecot.wait_for_log("configuration reloaded", count=reloads + 1)
    changing.dovecot.wait_ready()
    changing.command("user", "add", "eve@example.org", stdin=PASSWORDS[BOB])
    fields = "X-Remark: marmalade-field\r\n"
    reply = changing.deliver(
        "eve@example.org", "marmalade subject", fields=fields, text="marmalade words"
    )
    assert reply.code == 250
    client = changing.imap("eve@example.org", PASSWORDS[BOB])
    client.select("INBOX")
    for criteria in (("TEXT", "marmalade"), ("SUBJECT", "marmalade"), ("BODY", '"marmalade w"')):
        assert client.search(None, *criteria)[1] == [b"1"], criteria
    # everything that Dovecot might cache
    client.fetch("1", "(ENVELOPE PREVIEW BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])")
    client.sort("(SUBJECT)", "UTF-8", "ALL")
    (_, whole), *_ = [one for one in client.fetch("1", "(BODY[])")[1] if isinstance(one, tuple)]
    assert b"marmalade words" in whole
    client.copy("1", "Archive")
    client.append("Sent", "", "", b"Subject: marmalade sent\r\n\r\nmarmalade\r\n")
    client.logout()
    assert files_with(changing, "CRYPTED") >= 3
    assert files_with(changing, "marmalade") == 0
    assert files_with(changing, "Carol <carol@remote.example>", "eve-*") == 0
    # mail from before is read as it is
    assert "kept" in changing.subjects(BOB)


def test_without_its_key_encrypted_mail_is_not_served(changing: Mailboxes) -> None:
    reason = "neither DOVECOT_MAIL_KEY_FILE nor DOVECOT_MAIL_OLD_KEY_FILES has it"
    key = changing.secrets.files()["mail-key"]
    for folder, changes in (
        (changing.config, {"DOVECOT_MAIL_KEY_FILE": ""}),
        (changing.secrets, {"mail-key": new_mail_key()}),
    ):
        old, count = folder.files(), changing.dovecot.log().count(reason)
        reloads = changing.dovecot.log().count("configuration reloaded")
        folder.update(changes)
        changing.dovecot.wait_for_log(reason, count=count + 1)
        # the process still has the key
        assert changing.imap("eve@example.org", PASSWORDS[BOB]).noop()[0] == "OK"
        folder.replace(old)
        changing.dovecot.wait_for_log("configuration reloaded", count=reloads + 1)
    # another key for new mail, and the old one for the mail that is there
    changing.secrets.update({"mail-key": new_mail_key(), "old-key": key})
    changing.config.update({"DOVECOT_MAIL_OLD_KEY_FILES": "/secrets/old-key"})
    changing.dovecot.wait_for_log("from now on, mail is encrypted with the key", count=2)
    changing.dovecot.wait_ready()
    assert changing.deliver("eve@example.org", "second", text="marmalade again").code == 250
    client = changing.imap("eve@example.org", PASSWORDS[BOB])
    client.select("INBOX")
    assert client.search(None, "TEXT", "marmalade")[1] == [b"1 2"]
    assert files_with(changing, "marmalade") == 0
    # none at all at a start
    changing.config.update({"DOVECOT_MAIL_KEY_FILE": None, "DOVECOT_MAIL_OLD_KEY_FILES": None})
    podman("restart", "--time=20", changing.dovecot.name)
    changing.dovecot.wait_for_log("run: this configuration is not usable, see above")


def new_mail_key() -> str:
    """Return a key as images/dovecot/README.md makes one."""
    command = ("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def files_with(mailboxes: Mailboxes, text: str, home: str = "*") -> int:
    """Return the number of files in the volume that have a text, compressed or not."""
    command = f"grep -raslF -- '{text}' /srv/mail/*/{home} | wc -l"
    return int(mailboxes.dovecot.execute("sh", "-c", command))


def proxy_line(version: int, client: str) -> bytes:
    """The beginning of a connection in the PROXY protocol, section 2.1 and 2.2."""
    if version == 1:
        return f"PROXY TCP4 {client} 192.0.2.1 40000 993\r\n".encode()
    addresses = socket.inet_aton(client) + socket.inet_aton("192.0.2.1")
    body = addresses + struct.pack("!HH", 40000, 993)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, len(body)) + body


@contextlib.contextmanager
def proxied(mailboxes: Mailboxes, port: int, version: int, client: str) -> Iterator[socket.socket]:
    address = (mailboxes.address, port)
    with socket.create_connection(address, 30, (BALANCER, 0)) as connection:
        connection.sendall(proxy_line(version, client))
        yield connection


def talk(client: ssl.SSLSocket, line: str) -> bytes:
    """Read the greeting, send a command and return the line that answers it."""
    reader = client.makefile("rb")
    reader.readline()
    client.sendall(f"{line}\r\n".encode())
    return reader.readline()
