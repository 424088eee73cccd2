"""Messages of the benchmarks: plain ones to sign, signed ones to verify.

The signing code here is simple and independent of the code under test; relaxed canonicalization
does not change the bodies of the messages.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import random
import re
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from tests.testbed.smtp_load import Journey

SELECTOR = "s1"
ED25519_SELECTOR = "s2"
CLIENT = "192.0.2.10"
"""The client that sends mail from outside; the SPF records name it."""

_LINE = 76
_WORDS = ("the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "with", "was", "be")
_SIGNED = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")

Field = tuple[str, str]
"""Name and value; the value is everything after the colon, folded with CRLF."""


@dataclass(frozen=True)
class Mail:
    """A message and its envelope."""

    client: str
    sender: str
    recipient: str
    fields: tuple[Field, ...]
    body: bytes

    @property
    def octets(self) -> bytes:
        """Return the message in the form for SMTP."""
        head = "".join(f"{name}:{value}\r\n" for name, value in self.fields)
        return head.encode() + b"\r\n" + self.body

    def with_fields_on_top(self, *fields: Field) -> Mail:
        """Return the message with more header fields on top."""
        return replace(self, fields=(*fields, *self.fields))


def domain(number: int) -> str:
    """Return the domain `number`; `tools.bench.records` has the records, the same for all.

    The top-level domain is not ``test``: libunbound, in opendkim, never queries it.
    """
    return f"d{number}.bench.example"


def compose(size: int, number: int = 0, *, client: str = CLIENT) -> Mail:
    """Return a message of `size` octets from domain `number`."""
    name = domain(number)
    fields = (
        (
            "Received",
            f" from client.{name} (client.{name} [{client}])\r\n"
            "\tby mail.gateway.example (Postfix) with ESMTPS id 4QfZ3b2V6wz9sT\r\n"
            "\tfor <someone@rcpt.example>; Thu, 19 Nov 2026 10:20:30 +0000 (UTC)",
        ),
        ("From", f' "A Sender, of some company" <sender@{name}>'),
        ("To", " Someone <someone@rcpt.example>"),
        ("Subject", " Minutes of the meeting of last week, and what is to be done until the next"),
        ("Date", " Thu, 19 Nov 2026 10:20:28 +0000"),
        ("Message-ID", f" <20261119102028.4711.{number}@{name}>"),
        ("MIME-Version", " 1.0"),
        ("Content-Type", " text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", " 8bit"),
        ("User-Agent", " Some Mailer/128.0 (X11; Linux x86_64)"),
        ("In-Reply-To", f" <previous.20261112.090000@{name}>"),
        ("References", f" <first.20261101.080000@{name}>\r\n <previous.20261112.090000@{name}>"),
    )
    bare = Mail(client, f"sender@{name}", "someone@rcpt.example", fields, b"")
    return replace(bare, body=_body(size - len(compose_header(bare))))


def compose_header(mail: Mail) -> bytes:
    """Return the header including the empty line at its end."""
    return replace(mail, body=b"").octets


@functools.cache
def _text(size: int) -> bytes:
    chance = random.Random(size)
    lines, left = [], size
    while left > 0:
        line = ""
        while len(line) < min(_LINE, left - 2) - 8:
            line += chance.choice(_WORDS) + " "
        line = (line.rstrip() + ".")[: max(left - 2, 1)]
        lines.append(line.encode() + b"\r\n")
        left -= len(lines[-1])
    return b"".join(lines)


def _body(size: int) -> bytes:
    # a little rounded, so that many messages share one body
    return _text(max(size // 64 * 64, 64))


class Keys:
    """New RSA-2048 and Ed25519 keys, in PEM files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.rsa_file, self.ed25519_file = folder / "rsa.pem", folder / "ed25519.pem"
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ed25519 = ed25519.Ed25519PrivateKey.generate()
        _write(self.rsa, self.rsa_file)
        _write(self.ed25519, self.ed25519_file)

    @property
    def rsa_record(self) -> str:
        """Return the text of the TXT record."""
        octets = self.rsa.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"

    @property
    def ed25519_record(self) -> str:
        """Return the text of the TXT record."""
        octets = self.ed25519.public_key().public_bytes_raw()
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(octets).decode()}"


def _write(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, file: Path) -> None:
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    file.chmod(0o600)


def sign(mail: Mail, number: int, key: rsa.RSAPrivateKey) -> Mail:
    """Return the message with an rsa-sha256 signature of domain `number`, relaxed/relaxed."""
    body_hash = base64.b64encode(_sha256(mail.body)).decode()
    value = (
        f" v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain(number)};\r\n"
        f"\ts={SELECTOR}; t=1795083628; h={':'.join(_SIGNED)};\r\n"
        f"\tbh={body_hash};\r\n\tb="
    )
    present = dict(mail.fields)
    lines = [_relaxed(name, present[name]) for name in _SIGNED]
    # RFC 6376 section 3.7: the signature's own field comes last, without the line's end
    text = "\r\n".join([*lines, _relaxed("DKIM-Signature", value)])
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    encoded = base64.b64encode(signature).decode()
    folded = "\r\n\t ".join(encoded[at : at + 70] for at in range(0, len(encoded), 70))
    return mail.with_fields_on_top(("DKIM-Signature", value + folded))


@dataclass(frozen=True, kw_only=True)
class SignedJourney(Journey):
    """Messages of `size` octets that the domain in From signs, each a different one."""

    keys: Keys
    size: int

    def message(self, number: int) -> bytes:
        """Return the message with this number; its domain is the next one."""
        return sign(compose(self.size, number + 1), number + 1, self.keys.rsa).octets


@functools.cache
def _sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _relaxed(name: str, value: str) -> str:
    # RFC 6376 section 3.4.2
    value = re.sub(r"[ \t\r\n]+", " ", value).strip()
    return f"{name.lower()}:{value}"
