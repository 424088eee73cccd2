"""The oracles see a good signature, a bad one and a missing key, and ask nobody but our DNS."""

import base64
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.testbed.dns import DnsServer
from tests.testbed.oracles import algorithms, dkimpy_verdicts, opendkim_verdict

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
)
RECORD = base64.b64encode(
    KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
).decode()
# opendkim-testmsg insists on a Date
MESSAGE = (
    b"From: a@example.org\r\nTo: b@example.net\r\nSubject: oracle\r\n"
    b"Date: Sat, 21 Nov 2026 06:56:50 +0000\r\n\r\nhello\r\n"
)
OTHER = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; d=example.org; s=e;\r\n\tbh=eA==; b=eA==; h=from\r\n"
)


@pytest.fixture
def signed(dns: DnsServer) -> bytes:
    dns.add("s._domainkey.example.org", "TXT", f"v=DKIM1; k=rsa; p={RECORD}")
    field: bytes = dkim.sign(MESSAGE, b"s", b"example.org", PEM, include_headers=[b"from", b"date"])
    return OTHER + field + MESSAGE


def test_a_good_signature(signed: bytes, dns: DnsServer, directory: Path) -> None:
    assert algorithms(signed) == ["ed25519-sha256", "rsa-sha256"]
    assert opendkim_verdict(signed, dns, directory, algorithm="rsa-sha256") == "pass"
    other, rsa_verdict = dkimpy_verdicts(signed, dns)
    assert rsa_verdict == ("rsa-sha256", "pass")
    assert other[1] != "pass"


def test_a_changed_body(signed: bytes, dns: DnsServer, directory: Path) -> None:
    changed = signed.replace(b"hello", b"hallo")
    told = opendkim_verdict(changed, dns, directory, algorithm="rsa-sha256")
    assert "Bad signature" in told
    assert dkimpy_verdicts(changed, dns)[1] != ("rsa-sha256", "pass")


def test_a_key_that_is_not_in_dns(signed: bytes, dns: DnsServer, directory: Path) -> None:
    dns.remove("s._domainkey.example.org")
    told = opendkim_verdict(signed, dns, directory, algorithm="rsa-sha256")
    assert "Key retrieval failed" in told
    assert dkimpy_verdicts(signed, dns)[1] != ("rsa-sha256", "pass")
