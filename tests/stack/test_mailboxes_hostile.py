"""Mailboxes and clients that mean harm: floods, sessions that hang, huge folders, odd names."""

from __future__ import annotations

import contextlib
import imaplib
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.stack.mailboxes import (
    ANNA,
    BOB,
    DORA,
    IMAP,
    IMAPS,
    LMTP,
    PASSWORDS,
    SIEVE,
    Mailboxes,
    any_certificate,
)
from tests.stack.stack import FRIEND, RECIPIENT, Stack
from tests.testbed.managesieve import ManageSieve, ManageSieveError
from tests.testbed.smtp import RawClient, Reply
from tests.testbed.waiting import wait_until

POP3 = 10110
MIB = 1 << 20
MANY = 100_000
"""Messages of the huge folder."""
FLOOD = 1000
CLIENTS, SESSIONS = 200, 30
"""Limits of the pod while it is flooded."""
SIZE_LIMIT = 52_428_800
"""As images/postfix/main.cf has it."""
SOON = 30.0
"""Seconds for an answer to somebody else meanwhile, on a machine under load."""

MAKE_MANY = f"""
set -e
mkdir -p huge/cur huge/new huge/tmp
cd huge/cur
perl -e 'for my $n (1..{MANY}) {{
  open my $file, ">", (1790000000 + $n) . ".M1P1.host:2,S";
  print $file "From: carol\\@remote.example\\nSubject: number $n\\n"
    . "Message-ID: <$n\\@remote.example>\\n\\nThe text of $n.\\n";
}}'
"""


@pytest.fixture
def limited(mailboxes: Mailboxes) -> Iterator[Mailboxes]:
    """The pod with room for fewer clients."""
    before = mailboxes.config.files()
    _configure(
        mailboxes, {**before, "DOVECOT_CLIENTS": str(CLIENTS), "DOVECOT_SESSIONS": str(SESSIONS)}
    )
    yield mailboxes
    _configure(mailboxes, before)


def _configure(mailboxes: Mailboxes, files: dict[str, str]) -> None:
    reloads = mailboxes.dovecot.log().count("run: configuration reloaded")
    mailboxes.config.replace(files)
    mailboxes.dovecot.wait_for_log("run: configuration reloaded", count=reloads + 1)
    mailboxes.dovecot.wait_ready()


@pytest.fixture(scope="module")
def huge(mailboxes: Mailboxes) -> Mailboxes:
    """The pod, in which Dora has a folder with `MANY` messages."""
    home = f"{mailboxes.home(DORA)}/mail"
    mailboxes.imap(DORA).logout()
    mailboxes.dovecot.execute("sh", "-c", f"mkdir -p {home} && cd {home} && {MAKE_MANY}")
    return mailboxes


@pytest.fixture(autouse=True)
def others_are_served(mailboxes: Mailboxes) -> Iterator[None]:
    """After each test, nothing has crashed and mail arrives."""
    yield
    assert_served(mailboxes)
    assert not re.search(r"Panic|Fatal|killed with signal|Out of memory", mailboxes.dovecot.log())


def assert_served(mailboxes: Mailboxes) -> None:
    start = time.monotonic()
    assert mailboxes.deliver(BOB, "meanwhile").code == 250
    assert "meanwhile" in mailboxes.subjects(BOB)
    assert time.monotonic() - start < SOON


def connect(mailboxes: Mailboxes, port: int) -> socket.socket:
    return socket.create_connection((mailboxes.address, port), timeout=SOON)


def ended(client: socket.socket) -> bytes:
    """Return the last words of the server; empty if the connection is still there."""
    words = b""
    client.setblocking(False)
    try:
        while part := client.recv(4096):
            words += part
    except BlockingIOError:
        return b""
    except ConnectionError:
        pass
    return words or b"no word"


@pytest.mark.parametrize(("port", "bye"), [(IMAP, b"* BYE "), (POP3, b"-ERR "), (SIEVE, b"BYE ")])
def test_a_thousand_connections_leave_room_for_others(
    limited: Mailboxes, port: int, bye: bytes
) -> None:
    before = limited.dovecot.memory()
    clients = [connect(limited, port) for _ in range(FLOOD)]
    try:
        assert_served(limited)
        for client in clients[:CLIENTS]:
            client.settimeout(SOON)
            assert client.recv(1)  # a greeting
        gone = wait_until(
            lambda: [words for client in clients if (words := ended(client))][
                FLOOD - CLIENTS - 1 :
            ],
            "the connections above the limit to be ended",
        )
        assert gone
        assert limited.dovecot.memory() - before < 64 * MIB
    finally:
        for client in clients:
            client.close()
    refused = limited.dovecot.log().count("Connection queue full")
    assert refused >= 1, bye


def test_one_user_has_so_many_sessions_and_all_users_too(limited: Mailboxes) -> None:
    limited.end_sessions()
    with contextlib.ExitStack() as sessions:

        def are_twenty() -> bool:
            with contextlib.ExitStack() as tried:
                told = Counter(login(limited, ANNA, tried) for _ in range(21))
                if told.pop("", 0) != 20:
                    return False
                assert "[LIMIT]" in next(iter(told))
                sessions.enter_context(tried.pop_all())
                return True

        # those of other tests count until the server has seen their end
        wait_until(are_twenty, "20 sessions of one user, and no more", deadline=60, pause=3)
        told = Counter(login(limited, DORA, sessions) for _ in range(SESSIONS - 20 + 2))
        assert told.pop("") <= SESSIONS - 20
        assert told, "there is no limit for all users"


def login(mailboxes: Mailboxes, user: str, sessions: contextlib.ExitStack) -> str:
    """Open a session that stays; return what refuses it."""
    try:
        sessions.callback(mailboxes.imap(user).shutdown)
    except (imaplib.IMAP4.error, OSError) as error:
        return str(error)
    return ""


def test_a_folder_of_100000_messages(huge: Mailboxes) -> None:
    client = huge.imap(DORA)
    before = huge.dovecot.memory()

    def timed(what: str, command: object) -> bytes:
        start = time.monotonic()
        status, data = command()  # type: ignore[operator]
        assert status == "OK", what
        assert time.monotonic() - start < SOON * 2, what
        assert huge.dovecot.memory() - before < 128 * MIB, what
        return bytes(data[0][1] if isinstance(data[0], tuple) else data[0])

    assert timed("SELECT", lambda: client.select("huge")) == b"%d" % MANY
    last = f"{MANY - 49}:{MANY}"
    fields = "(FLAGS BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])"
    assert b"number " in timed("FETCH", lambda: client.fetch(last, fields))
    assert timed("SEARCH", lambda: client.search(None, 'SUBJECT "99999"')) == b"99999"
    # as webmail lists a folder
    order = timed("SORT", lambda: client.sort("(REVERSE ARRIVAL)", "UTF-8", "UNDELETED"))
    assert len(order.split()) == MANY
    client.logout()


def test_a_client_that_never_reads_costs_little_and_takes_nobody_with_it(huge: Mailboxes) -> None:
    before = huge.dovecot.memory()
    stuck = [never_reading(huge) for _ in range(5)]
    sizes = []
    for _ in range(5):
        time.sleep(0.5)  # whether it still grows
        sizes.append(huge.dovecot.memory())
    assert_served(huge)
    assert max(sizes) - before < len(stuck) * 32 * MIB
    assert sizes[-1] - sizes[-3] < 8 * MIB, "it grows and grows"
    for client in stuck:
        client.close()
    wait_until(
        lambda: (
            "huge" not in huge.dovecot.execute("doveadm", "who", DORA)
            and DORA not in huge.dovecot.execute("doveadm", "who")
        ),
        "the sessions to end",
    )


def never_reading(mailboxes: Mailboxes) -> socket.socket:
    """Return a session that asks for everything with a tiny window, and reads none of it."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    plain.settimeout(SOON)
    plain.connect((mailboxes.address, IMAPS))
    client = any_certificate().wrap_socket(plain)
    reader = client.makefile("rb")
    reader.readline()
    for line in (f'1 LOGIN {DORA} "{PASSWORDS[DORA]}"', "2 SELECT huge"):
        client.sendall(f"{line}\r\n".encode())
        while not reader.readline().startswith(line[:2].encode()):
            pass
    for number in range(20):
        client.sendall(f"a{number} FETCH 1:* (BODY.PEEK[])\r\n".encode())
    return client


def lmtp(mailboxes: Mailboxes, recipient: bytes, message: bytes) -> Reply:
    """Deliver octets; return the reply to their end, or the one that refused them."""
    with RawClient(LMTP, host=mailboxes.address) as client:
        client.command("LHLO mx.example.org")
        client.command("MAIL FROM:<carol@remote.example>")
        client.send(b"RCPT TO:<" + recipient + b">\r\n")
        reply = client.read_reply()
        if reply.code != 250:
            return reply
        client.command("DATA")
        client.send(message + b"\r\n.\r\n")
        return client.read_reply()


LINE = b"0123456789abcdef" * 4 + b"\r\n"


def test_50_mb_pass_or_are_refused_before_they_come(mailboxes: Mailboxes, stack: Stack) -> None:
    with stack.client(FRIEND) as client:
        client.hello()
        reply = client.command(f"MAIL FROM:<alice@example.net> SIZE={SIZE_LIMIT + 1}")
        assert str(reply).startswith("552 5.3.4 "), reply
        assert client.command(f"MAIL FROM:<alice@example.net> SIZE={SIZE_LIMIT}").code == 250
        assert client.command(f"RCPT TO:<{RECIPIENT}>").code == 250
    before = mailboxes.dovecot.memory()
    message = b"Subject: large\r\n\r\n" + LINE * (SIZE_LIMIT // len(LINE))
    assert lmtp(mailboxes, ANNA.encode(), message).code == 250
    session = mailboxes.imap(ANNA)
    status, data = session.append("Drafts", "", imaplib.Time2Internaldate(0), message)
    assert status == "OK", data
    _, data = session.append("Drafts", "", imaplib.Time2Internaldate(0), message + LINE * 300_000)
    assert b"[LIMIT]" in data[0] or b"[OVERQUOTA]" in data[0] or b"[TOOBIG]" in data[0], data
    assert mailboxes.dovecot.memory() - before < 64 * MIB
    session.select("Drafts")
    session.store("1:*", "+FLAGS", "\\Deleted")
    session.expunge()


NAMES = (
    b"../../bob/mail/evil", b"/etc/evil", b"..", b"a/../../../evil", b"~bob/evil", b"a//b",
    b"x" * 300, b"\0evil", b"e\0vil", b"&AGU", b"&evil-", b"&AC4ALgAv-evil", b"new", b"cur/evil",
    b"dovecot.index", b"\xff\xfe", b"a/" * 200 + b"evil",
)  # fmt: skip


def outside(mailboxes: Mailboxes) -> str:
    """Return the files that no name of Anna's may reach."""
    homes = [mailboxes.home(user) for user in (ANNA, BOB)]
    return mailboxes.dovecot.execute(
        *("find", "/srv/mail", "/tmp"),  # noqa: S108
        *(word for home in homes for word in ("-not", "-path", f"{home}/*")),
    )


def test_no_name_of_a_folder_or_a_script_leaves_the_mailbox(mailboxes: Mailboxes) -> None:
    assert mailboxes.deliver(ANNA, "the first").code == 250  # this makes the folder
    before = outside(mailboxes)
    home = ("ls", "-A", mailboxes.home(ANNA))
    inside = mailboxes.dovecot.execute(*home).split()
    for name in NAMES:
        client = mailboxes.imap(ANNA)
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            client.send(b"c CREATE {%d}\r\n" % len(name))
            if client.readline().startswith(b"+"):
                client.send(name + b"\r\n")
                client.readline()
        client.shutdown()
        sieve = ManageSieve(mailboxes.address, SIEVE)
        sieve.login(ANNA, PASSWORDS[ANNA])
        with contextlib.suppress(ManageSieveError, UnicodeDecodeError):
            text = name.decode("latin-1").replace("\\", "\\\\")
            sieve.put(text, "keep;\n")
        sieve.close()
        reply = lmtp(mailboxes, b'"anna+' + name + b'"@example.org', b"Subject: named\r\n\r\nHi")
        assert reply.code in (250, 500, 501, 550, 553), (name, reply)
    assert outside(mailboxes) == before
    made = set(mailboxes.dovecot.execute(*home).split()) - set(inside)
    assert made <= {
        "sieve",
        ".dovecot.sieve",
        ".dovecot.svbin",
        ".dovecot.lda-dupes",
        ".dovecot.lda-dupes.locks",
    }
    mailboxes.sieve(ANNA, "keep;\n")


def nested(depth: int) -> bytes:
    parts = [
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d' % (n, n) for n in range(depth)
    ]
    return b"MIME-Version: 1.0\r\n" + b"\r\n".join(parts) + b"\r\n\r\ninnermost aardvark\r\n"


BROKEN = {
    "nested 1,000 deep": nested(1000),
    "10,000 parts": b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\naardvark\r\n" * 10_000,
    "boundary never closed": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\naardvark\r\n",
    "header of 1 MB": b"X-Long: " + b"a" * MIB + b"\r\n\r\naardvark\r\n",
    "1 MB of folded header": b"X-Long: a" + b"\r\n b" * (MIB // 4) + b"\r\n\r\naardvark\r\n",
    "NUL": b"X-Nul: a\0b\r\n\r\nan \0 aardvark \0\r\n",
    "base64 that is none": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"====\0\xff aardvark\r\n",
    "message in message": b"Content-Type: message/rfc822\r\n\r\n" * 500 + b"aardvark\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", list(BROKEN))
def test_broken_mime_is_stored_found_and_read(mailboxes: Mailboxes, name: str) -> None:
    before = mailboxes.dovecot.memory()
    message = b"Subject: broken: " + name.encode() + b"\r\n" + BROKEN[name]
    assert lmtp(mailboxes, ANNA.encode(), message).code == 250
    client = mailboxes.imap(ANNA)
    client.select()
    number = client.search(None, 'SUBJECT "broken"')[1][0].split()[-1].decode()
    assert f"broken: {name}".encode() in client.fetch(number, "(ENVELOPE)")[1][0]  # type: ignore[operator]
    for item in ("BODYSTRUCTURE", "BODY.PEEK[]", "ENVELOPE", "BODY.PEEK[1.1.1.MIME]"):
        status, data = client.fetch(number, f"({item})")
        assert status == "OK", (item, data)
    status, _ = client.search(None, 'BODY "aardvark"')
    assert status == "OK"
    assert mailboxes.dovecot.memory() - before < 64 * MIB
    client.logout()


@pytest.mark.parametrize("port", [IMAP, POP3, SIEVE, LMTP])
def test_a_line_without_end_is_cut(mailboxes: Mailboxes, port: int) -> None:
    before = mailboxes.dovecot.memory()
    with connect(mailboxes, port) as client:
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(64):
                client.sendall(b"a" * MIB)
        assert mailboxes.dovecot.memory() - before < 16 * MIB
