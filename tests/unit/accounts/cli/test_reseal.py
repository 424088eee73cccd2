"""`gatepost accounts reseal`."""

from __future__ import annotations

import base64

from tests.unit.accounts.cli.shell import KEY, Shell

NEW = b"n" * 32
REMOTE = ("remote", "add", "anna@example.org", "imap", "imap.example.net", "anna")


def put_keys(shell: Shell, *keys: bytes) -> None:
    (file,) = (
        line.partition(" = ")[2].strip('"')
        for line in shell.config.read_text().splitlines()
        if line.startswith("key_file")
    )
    with open(file, "wb") as opened:
        opened.write(b"\n".join(base64.b64encode(one) for one in keys))


def test_a_new_key_takes_over(filled: Shell) -> None:
    filled.run("dkim", "add", "example.org", "s1", "--algorithm", "ed25519")
    filled.run(*REMOTE, typed="secret")
    filled.run("user", "remove", "anna@example.org", "--yes")
    assert filled.run("accounts", "reseal") == "nothing to do\n"
    put_keys(filled, NEW)
    failed = filled.call("accounts", "reseal")
    assert failed.exit_code == 1
    assert "with a key that the key file does not have" in failed.stderr
    put_keys(filled, NEW, KEY)
    assert filled.run("accounts", "reseal") == "2 secrets encrypted with the first key\n"
    put_keys(filled, NEW)
    assert filled.run("accounts", "reseal") == "nothing to do\n"
    filled.run("user", "restore", "anna@example.org")
    document = filled.run("accounts", "export")
    assert '"secret"' in document
    assert filled.run("accounts", "reseal") == "nothing to do\n"
