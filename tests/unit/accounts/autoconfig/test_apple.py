"""Profiles for Apple's devices, read back as property lists, and their signature."""

from __future__ import annotations

import plistlib
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from accounts.autoconfig.apple import profile
from accounts.autoconfig.signer import Signer, SignerError
from gatepost.config import SecretFile
from tests.testbed.certificate import self_signed
from tests.unit.accounts.autoconfig.offered import HOST, settings

ANNA = "anna@example.org"


def read(octets: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    found = plistlib.loads(octets, fmt=plistlib.FMT_XML)
    (account,) = found["PayloadContent"]
    return found, account


def test_a_profile_for_an_address() -> None:
    octets = profile(settings(name="Muster & <Co.>"), "example.org", ANNA)
    assert octets.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC')
    found, account = read(octets)
    assert found["PayloadType"] == "Configuration"
    assert found["PayloadDisplayName"] == "Muster & <Co.>"
    assert account["PayloadType"] == "com.apple.mail.managed"
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    for key in ("EmailAddress", "IncomingMailServerUsername", "OutgoingMailServerUsername"):
        assert account[key] == ANNA
    for way, port in (("Incoming", 993), ("Outgoing", 465)):
        assert account[f"{way}MailServerHostName"] == HOST
        assert account[f"{way}MailServerPortNumber"] == port
        assert account[f"{way}MailServerUseSSL"] is True
        assert account[f"{way}MailServerAuthentication"] == "EmailAuthPassword"
    # the device asks for the password; no profile has one
    assert account["OutgoingPasswordSameAsIncomingPassword"] is True
    assert not [key for key in account if key.endswith("Password") and key[:3] != "Out"]
    for one in (found, account):
        assert one["PayloadVersion"] == 1
        assert str(uuid.UUID(one["PayloadUUID"])).upper() == one["PayloadUUID"]


def test_identifiers_belong_to_an_address() -> None:
    def identifiers(octets: bytes) -> set[str]:
        both = read(octets)
        return {one[key] for one in both for key in ("PayloadUUID", "PayloadIdentifier")}

    first = identifiers(profile(settings(), "example.org", ANNA))
    assert len(first) == 4
    assert first == identifiers(profile(settings(name="Other"), "example.org", ANNA))
    assert not first & identifiers(profile(settings(), "example.org", "bob@example.org"))
    assert not first & identifiers(profile(settings(), "example.org"))


def test_without_an_address_the_device_asks_for_it() -> None:
    _, account = read(profile(settings(), "example.org"))
    assert not {"EmailAddress", "IncomingMailServerUsername"} & set(account)


def test_pop3_where_there_is_no_imap() -> None:
    some = settings(pop3="a.example:110", submission="b.example:587")
    _, account = read(profile(some, "example.org"))
    assert account["EmailAccountType"] == "EmailTypePOP"
    assert account["IncomingMailServerPortNumber"] == 110


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    certificate, key = self_signed(HOST)
    other, _ = self_signed("authority.example")
    path = tmp_path / "profile.pem"
    path.write_text(other + key + certificate)
    path.chmod(0o640)
    return path


def test_openssl_verifies_the_signature(pem: Path, tmp_path: Path) -> None:
    octets = profile(settings(), "example.org", ANNA)
    signed = tmp_path / "signed"
    signed.write_bytes(Signer.read(SecretFile(pem)).sign(octets))
    openssl = ("openssl", "cms", "-verify", "-inform", "DER", "-in", str(signed))
    done = subprocess.run(
        [*openssl, "-CAfile", str(pem), "-purpose", "any", "-binary"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == octets
    assert signed.read_bytes().count(b"authority.example") > 0
    changed = signed.read_bytes().replace(b"anna", b"eve1", 1)
    signed.write_bytes(changed)
    done = subprocess.run([*openssl, "-CAfile", str(pem)], capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "is empty"),
        (lambda text: "nothing", "needs a private key"),
        (lambda text: text.partition("-----BEGIN PRIVATE")[0], "needs a private key"),
        (lambda text: self_signed(HOST)[1] + text, "matches the key"),
    ],
)
def test_a_file_that_cannot_be_used(pem: Path, change: Any, said: str) -> None:
    pem.write_text(change(pem.read_text()))
    with pytest.raises(SignerError, match=said):
        Signer.read(SecretFile(pem))


def test_a_file_that_everybody_reads_is_refused(pem: Path) -> None:
    pem.chmod(0o644)
    with pytest.raises(SignerError, match="accessible to everybody"):
        Signer.read(SecretFile(pem))
    with pytest.raises(SignerError, match="No such file"):
        Signer.read(SecretFile(pem.parent / "absent"))
