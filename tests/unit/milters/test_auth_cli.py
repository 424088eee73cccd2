"""`gatepost auth`: the milter's verdict on a stored message, offline."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.key_pair import new_key
from gatepost.snapshots import disk, form
from milters.cli.auth import auth
from milters.cli.keys import keys
from msgauth.keys import SigningKey

ZONE = """
["signer.example"]
TXT = "v=spf1 ip4:192.0.2.1 -all"
["_dmarc.signer.example"]
TXT = "v=DMARC1; p=reject; sp=quarantine; np=none"
["www.signer.example"]
A = "192.0.2.8"
["r._domainkey.signer.example"]
TXT = "{record}"
"""
MESSAGE = (
    b"From: a@signer.example\nAuthentication-Results: mx.example; x=pass\nSubject: x\n\nhello\n"
)


@functools.cache
def private_key() -> bytes:
    return new_key("rsa")


class Desk:
    """A folder with a configuration, a zone, a key and a message, and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        pem = private_key()
        self.key = folder / "key.pem"
        self.key.write_bytes(pem)
        self.key.chmod(0o600)
        (folder / "zone.toml").write_text(
            ZONE.replace("{record}", SigningKey.parse(pem).public_record())
        )
        self.message = folder / "message.eml"
        self.message.write_bytes(MESSAGE)
        self.config = folder / "gatepost.toml"
        self.config.write_text('hostname = "mx.example"\n[milters]\nkeys = "keys"\n')

    def run(self, *words: str, stdin: bytes | None = None) -> Result:
        words = (*words, "--config", str(self.config), "--dns", str(self.folder / "zone.toml"))
        return CliRunner().invoke(auth, words, input=stdin)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_sign_then_verify(desk: Desk) -> None:
    signed = desk.run(
        "sign", str(desk.message), "--domain", "signer.example", "--selector", "r",
        "--key", str(desk.key), "--time", "1795000000",
    )  # fmt: skip
    assert signed.exit_code == 0, signed.output
    assert signed.stdout_bytes.startswith(b"DKIM-Signature: v=1; a=rsa-sha256;")
    assert signed.stdout_bytes.endswith(MESSAGE.replace(b"\n", b"\r\n"))
    verified = desk.run(
        "verify", "-", "--client", "192.0.2.9", "--mail-from", "x@other.example",
        "--time", "1795000100", stdin=signed.stdout_bytes,
    )  # fmt: skip
    assert verified.exit_code == 0
    assert "\ndkim          pass\n" in verified.output
    assert "\ndmarc         pass " in verified.output
    assert "remove        Authentication-Results number 1" in verified.output
    assert "add           Authentication-Results: mx.example;" in verified.output
    assert "  r._domainkey.signer.example TXT: v=DKIM1" in verified.output


def test_verify_shows_a_trace_in_order(desk: Desk) -> None:
    words = (
        "verify",
        str(desk.message),
        "--client",
        "192.0.2.1",
        "--mail-from",
        "a@signer.example",
    )
    _, _, shown = desk.run(*words, "--trace").output.partition("trace:\n")
    steps = [re.sub(r" \(\d\.\d{3} s\)$", "", line.strip()) for line in shown.splitlines()]
    assert steps == [
        "dmarc asks _dmarc.signer.example TXT: v=DMARC1; p=reject; sp=quarantine; np=none",
        "spf asks signer.example TXT: v=spf1 ip4:192.0.2.1 -all",
        "spf finds pass: signer.example authorizes 192.0.2.1 (ip4:192.0.2.1)",
        "arc finds none",
        "dkim finds none: the message is not signed",
        "dmarc finds pass: spf of signer.example passed and is aligned",
        "spf finds none: the HELO name is not a domain",
        "iprev asks 1.2.0.192.in-addr.arpa PTR: nxdomain",
        "iprev finds permerror: 192.0.2.1 has no name",
    ]
    # each question is shown once: "asked of DNS" has what is not in the trace
    assert "asked of DNS" not in shown
    assert "trace:" not in desk.run(*words).output
    assert "DNS queries:\n" in desk.run(*words).output


def test_a_forgery_with_its_reasons(desk: Desk) -> None:
    forged = desk.run("verify", str(desk.message), "--client", "192.0.2.9")
    assert forged.exit_code == 0
    assert "reason        dmarc-fail-reject" in forged.output
    desk.config.write_text(desk.config.read_text() + '[milters.policy]\npreset = "strict"\n')
    rejected = desk.run("verify", str(desk.message), "--client", "192.0.2.9")
    assert rejected.exit_code == 77
    assert (
        "reply         550 5.7.1 rejected by the DMARC policy of signer.example" in rejected.output
    )


def test_who_has_logged_in_is_not_judged(desk: Desk) -> None:
    told = desk.run("verify", str(desk.message), "--client", "192.0.2.9", "--login", "a")
    assert "origin        authenticated" in told.output
    assert "dmarc" not in told.output


def test_keys_and_values_stand_in_columns(desk: Desk) -> None:
    words = ("verify", str(desk.message), "--client", "192.0.2.9", "--login", "anna")
    verdict = desk.run(*words).stdout.partition("DNS queries:")[0]
    lines = [line for line in verdict.splitlines() if " " in line]
    assert "sasl_username anna" in lines
    assert {line[13] for line in lines} == {" "}
    assert " " not in {line[14] for line in lines}


@pytest.mark.parametrize(
    ("required", "key", "code", "told"),
    [
        ("false", False, 0, "unsigned      no-key"),
        ("true", False, 75, "reply         451 4.7.1 the message cannot be signed now"),
        ("true", True, 0, "signed        signer.example"),
    ],
)
def test_our_own_mail_is_signed_as_by_the_milter(
    desk: Desk, required: str, key: bool, code: int, told: str
) -> None:
    desk.config.write_text(desk.config.read_text() + f"sign.required = {required}\n")
    if key:
        folder = desk.folder / "keys" / "signer.example"
        folder.mkdir(parents=True)
        desk.key.rename(folder / "r.pem")
    shown = desk.run("verify", str(desk.message), "--client", "192.0.2.9", "--login", "a")
    assert (shown.exit_code, told in shown.output) == (code, True), shown.output
    assert ("add           DKIM-Signature: v=1; a=rsa-sha256;" in shown.output) is key


def test_a_seal_is_shown(desk: Desk) -> None:
    folder = desk.folder / "keys" / "signer.example"
    folder.mkdir(parents=True)
    desk.key.rename(folder / "r.pem")
    desk.config.write_text(desk.config.read_text() + 'seal.domain = "signer.example"\n')
    shown = desk.run("verify", str(desk.message), "--client", "192.0.2.9")
    assert shown.exit_code == 0
    assert "seal          sealed" in shown.output
    assert "add           ARC-Seal: i=1; a=rsa-sha256; cv=none;" in shown.output


def test_sign_says_why_it_cannot(desk: Desk) -> None:
    other = desk.run(
        "sign", str(desk.message), "--domain", "other.example", "--selector", "r",
        "--key", str(desk.key),
    )  # fmt: skip
    assert (other.exit_code, "not signed: no-key" in other.output) == (1, True)
    half = desk.run("sign", str(desk.message), "--key", str(desk.key))
    assert half.exit_code == 2
    desk.key.write_text("no key")
    broken = desk.run(
        "sign", str(desk.message), "--domain", "a.example", "--selector", "r",
        "--key", str(desk.key),
    )  # fmt: skip
    assert broken.exit_code == 1
    assert "key.pem" in broken.output


def test_spf(desk: Desk) -> None:
    good = desk.run("spf", "--client", "192.0.2.1", "--mail-from", "<a@signer.example>")
    assert good.output.startswith("mailfrom  pass")
    assert "matched ip4:192.0.2.1" in good.output
    bad = desk.run(
        "spf", "--client", "::1", "--mail-from", "a@signer.example", "--helo", "h.example"
    )
    assert [line.split()[:2] for line in bad.output.splitlines()[:2]] == [
        ["helo", "none"],
        ["mailfrom", "fail"],
    ]
    assert desk.run("spf", "--client", "no address").exit_code == 2


@pytest.mark.parametrize(
    ("domain", "policy"),
    [
        ("signer.example", "reject (p=reject)"),
        ("www.signer.example", "quarantine (sp=quarantine)"),
        ("nothing.signer.example", "none (np=none)"),
        ("other.example", "none: no DMARC record applies"),
    ],
)
def test_dmarc(desk: Desk, domain: str, policy: str) -> None:
    told = desk.run("dmarc", domain)
    assert told.exit_code == 0
    assert f"policy                 {policy}\n" in told.output


def test_what_comes_out_of_dns_cannot_play_with_the_terminal(desk: Desk) -> None:
    zone = desk.folder / "zone.toml"
    zone.write_text('["evil.example"]\nTXT = "v=spf1 \\u001b[31m -all"\n')
    told = desk.run("spf", "--client", "192.0.2.1", "--mail-from", "a@evil.example")
    assert "\x1b" not in told.output


def test_dmarc_asks_what_the_check_asks(desk: Desk) -> None:
    """Whether a name exists is asked only where np= would say something else."""
    zone = desk.folder / "zone.toml"
    zone.write_text(
        '["_dmarc.a.example"]\nTXT = "v=DMARC1; p=reject; sp=quarantine"\n'
        '["_dmarc.b.example"]\nTXT = "v=DMARC1; p=none; np=reject"\n'
        '["a.example"]\nrcode = "tempfail"\n["www.a.example"]\nrcode = "tempfail"\n'
        '["down.b.example"]\nrcode = "tempfail"\n'
    )
    for name, policy, asked in (
        ("a.example", "reject (p=reject)", False),
        ("www.a.example", "quarantine (sp=quarantine)", False),
        ("gone.b.example", "reject (np=reject)", True),
        # the harder one, as it is not known
        (
            "down.b.example",
            "reject (np=reject), as long as DNS gave no answer for down.b.example A",
            True,
        ),
    ):
        told = desk.run("dmarc", name)
        assert told.exit_code == 0, told.output
        assert f"policy                 {policy}\n" in told.output
        assert (f"  {name} A: " in told.output) is asked


FORGED = b"From: a@signer.example\nSubject: x\n\nhello\n"


@pytest.mark.parametrize(
    ("sender", "preset", "status", "reason"),
    [
        ("x@broken.signer.example", "default", 0, "dmarc-temperror-reject"),
        ("x@broken.signer.example", "strict", 75, "dmarc-temperror-reject"),
        ("x@broken.example", "default", 0, "dmarc-fail-reject"),
        ("x@broken.example", "strict", 77, "dmarc-fail-reject"),
    ],
)
def test_verify_has_the_verdict_on_a_name_that_does_not_answer(
    desk: Desk, sender: str, preset: str, status: int, reason: str
) -> None:
    with desk.config.open("a") as config:
        config.write(f'[milters.policy]\npreset = "{preset}"\n')
    with (desk.folder / "zone.toml").open("a") as zone:
        for name in ("broken.signer.example", "broken.example"):
            zone.write(f'["{name}"]\nrcode = "tempfail"\n')
    desk.message.write_bytes(FORGED)
    told = desk.run("verify", str(desk.message), "--client", "203.0.113.9", "--mail-from", sender)
    assert told.exit_code == status, told.output
    assert f"reason        {reason}" in told.output
    assert ("action        quarantine" in told.output) is (preset == "default")


AS_DELIVERED = b"""\
Authentication-Results: mx.example; dmarc=fail reason="nothing that
 passed is aligned; signer.example has p=reject" header.from=signer.example
 policy.dmarc=reject
X-Gatepost-Verdict: quarantine; reason=dmarc-fail-reject
Received: from attacker.example (unknown [192.0.2.5]) by mx.example (Postfix)
 with ESMTP id 4ABC123 for <user@signer.example>; Thu, 26 Nov 2026 10:00:00 +0000
From: Boss <boss@signer.example>
To: user@signer.example
Subject: please pay

pay now
"""


@pytest.mark.parametrize("seal", [False, True])
def test_a_forgery_that_is_redirected_is_not_signed(desk: Desk, seal: bool) -> None:
    folder = desk.folder / "keys" / "signer.example"
    folder.mkdir(parents=True)
    desk.key.rename(folder / "r.pem")
    if seal:
        desk.config.write_text(desk.config.read_text() + 'seal.domain = "signer.example"\n')
    desk.message.write_bytes(AS_DELIVERED)
    shown = desk.run("verify", str(desk.message), "--client", "127.0.0.1")
    assert (shown.exit_code, "origin        internal\n" in shown.output) == (0, True), shown.output
    assert "unsigned      from-outside\n" in shown.output
    assert "DKIM-Signature" not in shown.output
    assert ("seal          sealed\n" in shown.output) is seal
    assert ("add           ARC-Seal: i=1; a=rsa-sha256; cv=none;" in shown.output) is seal
    signed = desk.run("sign", str(desk.message))
    assert (signed.exit_code, "not signed: from-outside" in signed.output) == (1, True)


def keep_account_keys(desk: Desk, values: dict[str, object]) -> None:
    """Let the milter sign with these keys of accounts, which it has kept on disk."""
    body = form.first_line("dkim_keys") + b"".join(
        form.record(name, value) for name, value in sorted(values.items())
    )
    seal, _ = form.last_line(1, "aa", len(values), hashlib.sha256(body))
    kept = desk.folder / "kept"
    kept.mkdir(mode=0o700, exist_ok=True)
    disk.save(kept, form.parse(body + seal, "dkim_keys"))
    desk.config.write_text(
        'hostname = "mx.example"\n[milters]\nkeys = "keys"\n'
        '[milters.accounts]\nurl = "unix:/nowhere"\nkeys = true\nfolder = "kept"\n'
    )


def test_keys_of_accounts_sign(desk: Desk) -> None:
    pem = {"private": private_key().decode()}
    keep_account_keys(desk, {"key:signer.example/r": pem})
    shown = desk.run("verify", str(desk.message), "--login", "a")
    assert "key           r._domainkey.signer.example from accounts" in shown.stdout
    signed = desk.run("sign", str(desk.message))
    assert signed.exit_code == 0, signed.output
    assert b"DKIM-Signature: " in signed.stdout_bytes
    # a key in the folder is named as well
    config = desk.config.read_text().replace(
        "[milters.accounts]",
        f'[[milters.key]]\ndomain = "signer.example"\nselector = "r"\nfile = "{desk.key}"\n'
        "[milters.accounts]",
    )
    desk.config.write_text(config)
    shown = desk.run("verify", str(desk.message), "--login", "a")
    assert f"key           r._domainkey.signer.example from {desk.key}" in shown.stdout


def test_keys_of_accounts_that_are_not_there_let_mail_wait(desk: Desk) -> None:
    keep_account_keys(desk, {})
    (desk.folder / "kept" / "dkim_keys.snapshot").unlink()
    shown = desk.run("verify", str(desk.message), "--login", "a")
    assert "not used: dkim_keys from accounts: the milter has not stored them" in shown.stderr
    assert shown.exit_code == 75
    keep_account_keys(desk, {"key:signer.example/r": {"problem": "the key file is away"}})
    assert desk.run("verify", str(desk.message), "--login", "a").exit_code == 75
    keep_account_keys(desk, {})
    shown = desk.run("verify", str(desk.message), "--login", "a")
    assert (shown.exit_code, "key  " in shown.stdout) == (0, False)
    (desk.folder / "kept" / "dkim_keys.snapshot").chmod(0o644)
    assert "open to others" in desk.run("verify", str(desk.message), "--login", "a").stderr


def test_the_list_of_keys_names_those_of_accounts(desk: Desk) -> None:
    pem = {"private": private_key().decode()}
    keep_account_keys(
        desk,
        {
            "key:signer.example/r": pem,
            "key:other.example/s": pem,
            "key:bad.example/t": {"problem": "no"},
        },
    )
    (desk.folder / "keys").mkdir()
    words = ["list", "--config", str(desk.config)]
    (row, other), said = run_keys(*words, status=1)
    assert row.split() == ["other.example", "s", "rsa", "2048", "active", "accounts"]
    assert other.split() == ["signer.example", "r", "rsa", "2048", "active", "accounts"]
    assert said == "not used: no\n"
    (row,), said = run_keys(*words, "signer.example")
    assert (row.split()[:2], said) == (["signer.example", "r"], "")
    made = json.loads("\n".join(run_keys(*words, "--json", "signer.example")[0]))
    assert made["problems"] == []
    (key,) = made["keys"]
    assert (key["source"], key["file"], key["state"]) == ("accounts", None, "active")
    assert "private" not in json.dumps(made)
    # those of another folder are no keys of this milter
    (desk.folder / "other").mkdir()
    assert run_keys(*words, "--keys", str(desk.folder / "other"))[0] == []


def run_keys(*words: str, status: int = 0) -> tuple[list[str], str]:
    done = CliRunner().invoke(keys, words)
    assert done.exit_code == status, done.output
    return done.stdout.splitlines(), done.stderr
