"""``gatepost accounts`` as Dovecot asks it: passwords, mailboxes and all of them, over HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from accounts.directory import app_passwords, domains, mailboxes, sieve_rules
from accounts.store.transaction import Write
from gatepost.listen import Inet, Unix
from tests.daemon.accounts_dovecot import TOKEN, DictClient, DovecotDaemon, Told
from tests.daemon.accounts_process import SECRET, people, quick_hash
from tests.testbed.daemon import gatepost_command
from tests.testbed.ports import LOOPBACK

ANNA = "anna@example.org"
NAME = "priv/sieve/name/rules"
RULE = {"match": "always", "conditions": [], "actions": [{"kind": "fileinto", "mailbox": "Lists"}]}
APP = "one two three four five"


def more_people(write: Write) -> None:
    people(write)
    mailboxes.add(
        write, "small@example.org", password=quick_hash(), quota=10_000_000, may_receive=False
    )
    mailboxes.add(write, "nologin@example.org", password=quick_hash(), may_login=False)
    mailboxes.add(write, "mute@example.org", password=quick_hash(), may_send=False)
    app_passwords.add(write, ANNA, "phone", password=quick_hash(APP), protocols=["imap", "sieve"])
    domains.add(write, "off.example")
    mailboxes.add(write, "box@off.example", password=quick_hash())
    domains.change(write, "off.example", None, enabled=False)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gate(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DovecotDaemon]:
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    # attempts of these tests must not wait for one another
    settings = {"attempts": {"free_account": 100, "free_network": 100}}
    daemon = DovecotDaemon(tmp_path_factory.mktemp("dovecot"), settings, url=url)
    daemon.change(more_people)
    with daemon:
        yield daemon


PASSWORDS = [
    (ANNA, SECRET, "imap", "ok"),
    ("ANNA@Example.NET", SECRET, "pop3", "ok"),
    (ANNA, SECRET, "doveadm", "ok"),
    (ANNA, APP, "imap", "ok"),
    (ANNA, APP, "sieve", "ok"),
    (ANNA, APP, "pop3", "disabled"),
    (ANNA, APP, "submission", "disabled"),
    (ANNA, APP, "doveadm", "disabled"),
    (ANNA, APP, "nonsense", "disabled"),
    ("mute@example.org", SECRET, "submission", "disabled"),
    ("mute@example.org", SECRET, "imap", "ok"),
    ("nologin@example.org", SECRET, "imap", "disabled"),
    ("nologin@example.org", SECRET, "submission", "ok"),
    ("off@example.org", SECRET, "imap", "disabled"),
    ("off@example.org", "wrong", "imap", "mismatch"),
    ("box@off.example", SECRET, "imap", "disabled"),
    (ANNA, "wrong", "imap", "mismatch"),
    (ANNA, b"\xff\xfe\x00", "imap", "mismatch"),
    (ANNA, "", "imap", "mismatch"),
    (ANNA, "x" * 513, "imap", "mismatch"),
    ("nobody@example.org", SECRET, "imap", "unknown"),
    ("anna", SECRET, "imap", "unknown"),
    ("info@example.org", SECRET, "imap", "unknown"),
    ("anna+x@example.org", SECRET, "imap", "unknown"),
]


@pytest.mark.parametrize(("user", "password", "protocol", "word"), PASSWORDS)
def test_passwords(
    gate: DovecotDaemon, user: str, password: str | bytes, protocol: str, word: str
) -> None:
    told = gate.verify(user, password, protocol)
    assert told.word == word
    assert (told.status == 200) == (word == "ok")
    address = user.lower().replace(".net", ".org")
    expected = {}
    if word == "ok":
        expected = {"user": address, "userdb_home_folder": gate.home(address)}
    assert told.fields == expected


def test_a_login_brings_the_fields_of_the_mailbox(gate: DovecotDaemon) -> None:
    expected = {"user": "small@example.org", "userdb_quota_storage_size": "10000000"}
    expected["userdb_home_folder"] = gate.home("small@example.org")
    assert gate.verify("small@example.org").fields == expected


@pytest.mark.parametrize(
    ("user", "protocol", "word"),
    [
        (ANNA, "lmtp", "ok"),
        ("Anna@EXAMPLE.net", "lmtp", "ok"),
        ("off@example.org", "lmtp", "ok"),
        ("box@off.example", "lmtp", "ok"),
        ("small@example.org", "lmtp", "unknown"),
        ("small@example.org", "", "unknown"),
        ("small@example.org", "imap", "ok"),
        ("small@example.org", "doveadm", "ok"),
        ("info@example.org", "lmtp", "unknown"),
        ("nobody@example.org", "lmtp", "unknown"),
        ("nobody@foreign.example", "lmtp", "unknown"),
        ("../../etc/passwd", "lmtp", "unknown"),
        ("anna@example.org\n", "lmtp", "unknown"),
        ("a" * 2000 + "@example.org", "lmtp", "unknown"),
    ],
)
def test_mailboxes(gate: DovecotDaemon, user: str, protocol: str, word: str) -> None:
    told = gate.userdb(user, protocol)
    assert told.word == word
    address = user.lower().replace(".net", ".org")
    expected = {}
    if word == "ok":
        expected = {"user": address, "home_folder": gate.home(address)}
    if user == "small@example.org" and word == "ok":
        expected["quota_storage_size"] = "10000000"
    assert told.fields == expected


def test_all_mailboxes(gate: DovecotDaemon) -> None:
    listed = gate.users()
    assert listed == sorted(listed)
    assert {ANNA, "off@example.org", "small@example.org", "box@off.example"} <= set(listed)
    assert [gate.userdb(address, "doveadm").word for address in listed] == ["ok"] * len(listed)


def test_tokens(gate: DovecotDaemon) -> None:
    refused = Told("", 403, {}, "token\n")
    for token in (None, "", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "\xff" * 40):
        assert gate.userdb(ANNA, token=token) == refused
        assert gate.verify(ANNA, token=token) == refused
        assert gate.request("GET", "/dovecot/users", token=token) == refused
    # a unix socket has the mode of its file
    assert gate.userdb(ANNA, unix=True, token=None).word == "ok"
    assert gate.verify(ANNA, unix=True, token=None).word == "ok"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/dovecot/verify", b"", 400),
        ("POST", "/dovecot/verify", b"user=a%40example.org&password=x", 400),
        ("POST", "/dovecot/verify", b"user=a&user=b&password=x&protocol=imap", 400),
        ("POST", "/dovecot/verify", b"user=%zz&password=x&protocol=imap", 400),
        ("POST", "/dovecot/verify", b"user=%ff&password=x&protocol=imap", 400),
        ("POST", "/dovecot/verify", b"user=%00&password=x&protocol=imap", 400),
        ("POST", "/dovecot/verify", b"&" * 1000, 400),
        ("POST", "/dovecot/verify", b"user=" + b"x" * 16_384, 413),
        ("POST", "/dovecot/verify", b"user=" + b"x" * (10 << 20), 413),
        ("GET", "/dovecot/verify", None, 405),
        ("GET", "/dovecot/userdb", None, 400),
        ("GET", "/dovecot/userdb?user=", None, 400),
        ("GET", "/dovecot/userdb?user=" + "x" * 30_000, None, 431),
        ("GET", "/dovecot/other", None, 404),
        ("GET", "/", None, 404),
    ],
)
def test_what_cannot_be_read_is_no_answer(
    gate: DovecotDaemon, method: str, path: str, body: bytes | None, status: int
) -> None:
    told = gate.request(method, path, body, token=TOKEN)
    assert (told.word, told.status) == ("", status)
    assert gate.userdb(ANNA).word == "ok"


def test_a_login_has_a_line_without_its_password(gate: DovecotDaemon) -> None:
    gate.verify(ANNA, "hidden secret", client="2001:db8::7")
    line = gate.daemon.wait_for_log(event="login", client="2001:db8::7")
    assert (line["result"], line["reason"]) == ("wrong", "wrong-password")
    assert (line["address"], line["protocol"], line["session"]) == (ANNA, "imap", "abc")
    assert "hidden secret" not in gate.daemon.log.read_text()
    assert TOKEN not in gate.daemon.log.read_text()


# -- the dictionary of rules ----------------------------------------------------------------------


def test_every_mailbox_has_a_script(gate: DovecotDaemon) -> None:
    for user in (ANNA, "Anna@example.net", "off@example.org", "box@off.example"):
        line = gate.look_up(user, NAME)
        assert line[0] == "O"
        script = gate.look_up(user, f"priv/sieve/data/{line[1:]}")
        assert script.startswith("O# ")
        assert "if" not in script
    for user in ("nobody@example.org", "info@example.org", "x@foreign.example", "", "x"):
        assert gate.look_up(user, NAME) == "N"
    assert gate.look_up(ANNA, "priv/sieve/name/other") == "N"
    assert gate.look_up(ANNA, "priv/quota/storage") == "N"


def test_a_rule_is_in_the_next_script(gate: DovecotDaemon) -> None:
    user = "bob@example.org"
    with DictClient(gate.dict) as client:
        before = client.look_up(user, NAME)[1:]
        text_before = client.look_up(user, f"priv/sieve/data/{before}")
        gate.change(lambda write: sieve_rules.add(write, user, "lists", rule=RULE))
        after = client.look_up(user, NAME)[1:]
        assert after != before
        text = client.look_up(user, f"priv/sieve/data/{after}")
        assert 'fileinto :create "Lists"' in text
        # a delivery that began before the change finds what it was told of
        assert client.look_up(user, f"priv/sieve/data/{before}") == text_before
        assert client.look_up(user, "priv/sieve/data/0000").startswith("F")
        gate.change(lambda write: sieve_rules.remove(write, user, "lists"))
        assert client.look_up(user, NAME)[1:] == before
        client.send(f"I0\t0\tpriv/sieve/name/\t{user}\n".encode())
        assert client.read_line() == f"O{NAME}\t{before}"
        assert client.read_line() == ""


# -- probes ---------------------------------------------------------------------------------------


def probe(kind: str, address: object) -> subprocess.CompletedProcess[str]:
    command = [str(gatepost_command()), "probe", kind, str(address), "--timeout", "20"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_probes(gate: DovecotDaemon) -> None:
    tcp, unix, dictionary = Inet(LOOPBACK, gate.port), Unix(gate.http), Unix(gate.dict)
    for kind, address, said in (
        ("dovecot", unix, "probe.invalid: unknown"),
        ("dovecot", tcp, "it answers, and requires a token"),
        ("dict", dictionary, "probe.invalid: none"),
    ):
        assert probe(kind, address).stdout == f"{kind} {address}: {said}\n"
    # of another server each
    for kind, address in (("dovecot", dictionary), ("dict", unix), ("dict", Unix(gate.socket))):
        done = probe(kind, address)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: {kind} {address}: ")
