"""opendkim verifies what we sign, we verify what it signs, and changed messages get one verdict."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from msgauth.dkim import Canonicalization, DkimResult, MessageVerifier, SignatureSpec
from msgauth.message import HeaderField, parse_message
from tests.testbed.waiting import DEADLINE
from tests.unit.msgauth.dkim.test_sign import CANONICALIZATIONS, MESSAGE, sign
from tests.unit.msgauth.keyring import ED25519, FOLDER, RSA, RSA_1024, run

pytestmark = pytest.mark.skipif(
    not (shutil.which("opendkim") and shutil.which("opendkim-testmsg")),
    reason="needs opendkim and opendkim-tools",
)

LATE = 4_000_000_000
KEYS = {"rsa": RSA, "short": RSA_1024, "ed": ED25519}
ZONE = {f"{name}._domainkey.example.org": key.public_record() for name, key in KEYS.items()}
KEY_FILES = {"rsa": "rsa2048.pem", "short": "rsa1024-pkcs1.pem", "ed": "ed25519.pem"}
MESSAGES = {
    "plain": MESSAGE,
    "empty": b"From: a@example.org\n\n",
    "blank": b"From: a@example.org\n\n\n \n\t\n\n",
    "spaces": b"FROM: a@example.org  \nSubject: two \t one \n\t\n  folds\t\nTo: b@c.d\n\n"
    b" a \t b\t\n\n \nc\n",
    "octets": b"From: a@example.org\nSubject: \xc3\xbc \xff\n\n\xc3\xbc \xff \x0b\x0c\n",
    "same": b"From: a@example.org\nTo: b@c.d\nTo: e@f.g\nCc: h@i.j\nX-Other: x\nCC: k@l.m\n\nx\n",
    "long": b"From: a@example.org\nSubject: " + b"x " * 400 + b"\n\n" + b"line \n" * 20_000,
}  # fmt: skip


def message(fields: tuple[HeaderField, ...], body: bytes) -> bytes:
    return b"".join(map(bytes, fields)) + b"\r\n" + body


def signed(raw: bytes, selector: str, canonicalization: str = "relaxed/relaxed") -> bytes:
    algorithms = Canonicalization.parse(canonicalization)
    spec = SignatureSpec("example.org", selector, KEYS[selector], algorithms)
    signatures, fields, body = sign(raw, spec)
    return message(signatures + fields, body)


def opendkim(folder: Path, raw: bytes, *settings: str) -> str:
    """What opendkim prints when it processes one message with these settings."""
    keys, config, path = folder / "keys", folder / "opendkim.conf", folder / "message.eml"
    keys.write_text("".join(f"{name} {text}\n" for name, text in ZONE.items()))
    lines = [f"TestPublicKeys {keys}", f"Socket local:{folder}/unused", "Syslog no"]
    config.write_text("\n".join([*lines, *settings, ""]))
    path.write_bytes(raw)
    done = subprocess.run(
        ["opendkim", "-x", config, "-t", path, "-v", "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="surrogateescape",
        timeout=DEADLINE,
        check=False,
    )
    assert "mlfi_" in done.stdout, done.stdout
    return done.stdout


def opendkim_passes(raw: bytes, folder: Path) -> bool:
    text = opendkim(folder, raw, "Mode v", "MinimumKeyBits 1024")
    return re.search(r"verification .* succeeded", text) is not None


def opendkim_signs(raw: bytes, folder: Path, selector: str, canonicalization: str) -> HeaderField:
    key = folder / "key.pem"
    key.write_bytes((FOLDER / KEY_FILES[selector]).read_bytes())
    text = opendkim(
        folder,
        raw,
        "Mode s",
        "Domain example.org",
        f"Selector {selector}",
        f"KeyFile {key}",
        "RequireSafeKeys no",
        f"SignatureAlgorithm {KEYS[selector].algorithm}",
        f"Canonicalization {canonicalization}",
    )
    match = re.search(r"hname='DKIM-Signature' hvalue='([^']*)'", text)
    assert match, text
    return HeaderField.received(b"DKIM-Signature", b" " + match[1].encode())


def our_result(raw: bytes) -> DkimResult:
    fields, body = parse_message(raw)
    verifier = MessageVerifier(fields)
    verifier.body(body)
    return run(verifier.finish(LATE), ZONE)[0]


def read_otherwise(raw: bytes) -> bool:
    """Whether opendkim's test mode sees another header than the octets say.

    It makes one space of what is behind a colon, ends a line at a lone CR, and does not know space
    before a colon. A milter client does none of this.
    """
    fields, _ = parse_message(raw)
    return b"\r" in raw.replace(b"\r\n", b"") or any(
        not re.match(rb" [^ \t\r\n]", field.value) or field.name.endswith((b" ", b"\t"))
        for field in fields
    )


@pytest.mark.parametrize("canonicalization", CANONICALIZATIONS)
@pytest.mark.parametrize("selector", sorted(KEYS))
@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_opendkim_verifies_what_we_sign(
    name: str, selector: str, canonicalization: str, tmp_path: Path
) -> None:
    raw = signed(MESSAGES[name], selector, canonicalization)
    assert opendkim_passes(raw, tmp_path)
    assert our_result(raw).status == "pass"


@pytest.mark.parametrize("canonicalization", CANONICALIZATIONS)
@pytest.mark.parametrize("selector", sorted(KEYS))
@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_we_verify_what_opendkim_signs(
    name: str, selector: str, canonicalization: str, tmp_path: Path
) -> None:
    raw = MESSAGES[name].replace(b"\n", b"\r\n")
    field = opendkim_signs(raw, tmp_path, selector, canonicalization)
    passed = our_result(bytes(field) + raw).status == "pass"
    if selector == "ed" and canonicalization.startswith("simple"):
        # opendkim 2.11 beta does not verify its own Ed25519 signatures over a "simple" header
        assert passed is opendkim_passes(bytes(field) + raw, tmp_path)
    else:
        assert passed


def test_opendkims_own_sha1_never_passes() -> None:
    # RFC 8301 section 3.1; opendkim-testmsg signs with nothing else
    raw = MESSAGE.replace(b"\n", b"\r\n")
    done = subprocess.run(
        ["opendkim-testmsg", "-C", "-d", "example.org", "-s", "rsa", "-k", FOLDER / "rsa2048.pem"],
        input=raw,
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )
    assert b"rsa-sha1" in done.stdout
    assert our_result(done.stdout).status == "permerror"


def test_the_same_verdict_on_changed_messages(tmp_path: Path) -> None:
    pieces = [b"", b" ", b"\t", b"x", b"1", b"=", b";", b":", b"\r\n ", b"A", b"\xc3\xa9"]
    dice = random.Random(6376)
    passed = 0
    for _ in range(120):
        canonicalization = dice.choice(CANONICALIZATIONS)
        raw = bytearray(signed(MESSAGE, dice.choice(["rsa", "ed"]), canonicalization))
        # in front is the name of the field, at the end the line ends that opendkim insists on
        start = dice.randrange(16, len(raw) - 10)
        raw[start : start + dice.randrange(3)] = dice.choice(pieces)
        ours = our_result(bytes(raw))
        passed += ours.status == "pass"
        if opendkim_passes(bytes(raw), tmp_path) is not (ours.status == "pass"):
            # RFC 6376 section 6.1.1: b= and bh= are base64, in which opendkim skips what is not
            assert ours.reason.endswith("is not base64") or read_otherwise(bytes(raw)), bytes(raw)
    assert 10 < passed < 110
