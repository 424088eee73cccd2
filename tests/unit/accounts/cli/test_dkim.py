"""`gatepost dkim` and `gatepost remote`: the objects that have a secret which is encrypted."""

from __future__ import annotations

import pytest

from accounts.directory import dkim_keys, remote_accounts
from accounts.store.seal import SecretSeal
from msgauth.keys import SigningKey
from tests.unit.accounts.cli.shell import KEY, Shell
from tests.unit.accounts.desk import Desk
from tests.unit.accounts.secrets_suite import ED25519

ANNA = "anna@example.org"
SEAL = SecretSeal([KEY])
ADD = ("remote", "add", ANNA, "imap", "IMAP.example.net", "anna")


def stored_key(shell: Shell, selector: str) -> SigningKey:
    desk = Desk(shell.settings)
    try:
        return desk.read(
            lambda c: SigningKey.parse(
                dkim_keys.private(c, SEAL, dkim_keys.get(c, "example.org", selector))
            )
        )
    finally:
        desk.close()


def stored_secret(shell: Shell) -> str:
    desk = Desk(shell.settings)
    try:
        return desk.read(
            lambda c: remote_accounts.secret(c, SEAL, remote_accounts.find(c, mailbox=ANNA)[0])
        )
    finally:
        desk.close()


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_a_key_is_drawn_and_its_record_printed(filled: Shell, algorithm: str) -> None:
    result = filled.call("dkim", "add", "example.org", "S1", "--algorithm", algorithm)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("s1._domainkey.example.org. 3600 IN TXT ")
    assert result.stderr.splitlines()[-1] == "  gatepost dkim activate example.org s1"
    assert filled.run("dkim", "record", "example.org", "s1") == result.stdout
    shown = filled.json("dkim", "show", "example.org", "s1")
    key = stored_key(filled, "s1")
    assert (shown["state"], shown["algorithm"]) == ("new", key.type)
    assert shown["public_record"] == key.public_record()
    quoted = [text for text in result.stdout.split('"')[1::2] if text]
    assert "".join(quoted) == key.public_record()
    assert "private" not in shown
    assert "PRIVATE" not in str(filled.audit())


def test_the_life_of_a_key(filled: Shell) -> None:
    file = filled.folder / "key.pem"
    file.write_bytes(ED25519)
    made = filled.json("dkim", "import", "example.org", "old", str(file))
    assert made["algorithm"] == "ed25519"
    assert stored_key(filled, "old").public_record() == made["public_record"]
    filled.run("dkim", "activate", "example.org", "old")
    filled.run("dkim", "add", "example.org", "new", "--algorithm", "ed25519")
    assert "retire it first" in filled.error("dkim", "remove", "example.org", "old", "--yes")
    assert filled.json("dkim", "activate", "example.org", "new")["state"] == "active"
    states = {one["selector"]: one["state"] for one in filled.json("dkim", "list", "example.org")}
    assert states == {"new": "active", "old": "retired"}
    (one,) = filled.json("dkim", "list", "example.org", "--state", "retired")
    assert one["selector"] == "old"
    assert filled.json("dkim", "retire", "example.org", "new")["state"] == "retired"
    result = filled.call("dkim", "remove", "example.org", "old", typed="y\n")
    assert "Remove the DKIM key old of example.org?" in result.stderr
    assert [one["selector"] for one in filled.json("dkim", "list", "example.org")] == ["new"]
    assert filled.json("domain", "show", "example.org")["dkim_keys"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "private"),
        (b"\xff\xfe\x00", "private"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be decoded"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "a public key"),
        (b"x" * 100_000, "longer than"),
    ],
)
def test_a_file_that_has_no_key(filled: Shell, text: bytes, reason: str) -> None:
    before = filled.everything()
    assert reason in filled.error("dkim", "import", "example.org", "s1", "-", typed=text)
    assert "No such file" in filled.error("dkim", "import", "example.org", "s1", "/nowhere/x")
    assert filled.everything() == before


def test_nothing_is_stored_without_a_key_to_encrypt_it(filled: Shell) -> None:
    text = filled.config.read_text()
    filled.config.write_text("\n".join(one for one in text.splitlines() if "key_file" not in one))
    before = filled.everything()
    assert "no key to encrypt with" in filled.error("dkim", "add", "example.org", "s1")
    assert "no key to encrypt with" in filled.error(*ADD, typed="secret")
    assert filled.everything() == before
    # all else works
    assert filled.json("dkim", "list", "example.org") == []
    assert filled.json("user", "list") != []


def test_a_remote_account(filled: Shell) -> None:
    made = filled.json(*ADD, "--folder", "Sent", "--interval", "15m", typed="the secret\n")
    assert (made["host"], made["port"], made["interval"]) == ("imap.example.net", 993, 900)
    number = str(made["id"])
    assert stored_secret(filled) == "the secret"
    assert "already" in filled.error(*ADD, typed="x")
    file = filled.folder / "secret"
    file.write_text("another, ä\n")
    words = ("remote", "password", ANNA, number, "--password-file", str(file))
    assert filled.json(*words)["version"] == 2
    assert stored_secret(filled) == "another, ä"
    made = filled.json(
        *("remote", "set", ANNA, number, "--tls", "starttls", "--port", "143"),
        *("--destination", "Old mail", "--keep", "yes", "--enabled", "no"),
    )
    assert (made["tls"], made["port"], made["destination"]) == ("starttls", 143, "Old mail")
    assert filled.json("remote", "show", ANNA, number) == made
    assert filled.json("remote", "list", ANNA) == [made]
    assert "Old mail" in filled.run("remote", "show", ANNA, number)
    made = filled.json("remote", "set", ANNA, number, "--destination", "none")
    assert made["destination"] is None
    printed = filled.run("remote", "list", ANNA) + str(filled.audit())
    assert "secret\n" not in printed
    assert "another" not in printed
    removed = filled.json("remote", "remove", ANNA, number, "--yes")
    assert removed == {"removed": made["id"], "mailbox": ANNA}
    assert "no such remote account" in filled.error("remote", "show", ANNA, number)


def test_the_account_of_another_mailbox_is_none(filled: Shell) -> None:
    filled.user("bob@example.org")
    number = str(filled.json(*ADD, typed="secret")["id"])
    for words in (("show",), ("set", "--keep", "yes"), ("remove", "--yes"), ("password",)):
        text = filled.error("remote", words[0], "bob@example.org", number, *words[1:], typed="x")
        assert text == "This mailbox has no such remote account."


@pytest.mark.parametrize(
    ("words", "typed", "reason"),
    [
        ((*ADD, "--port", "0"), "secret", "port"),
        ((*ADD, "--interval", "5s"), "secret", "interval"),
        (("remote", "add", ANNA, "imap", "a b", "anna"), "secret", "host"),
        (("remote", "add", ANNA, "pop3", "x.example", "a\nb"), "secret", "login"),
        (ADD, "", "empty"),
        (ADD, "a\x01b", "secret"),
        (ADD, b"\xff", "not UTF-8"),
    ],
)
def test_a_bad_remote_account_is_refused(
    filled: Shell, words: tuple[str, ...], typed: str | bytes, reason: str
) -> None:
    before = filled.everything()
    assert reason in filled.error(*words, typed=typed)
    assert filled.everything() == before
