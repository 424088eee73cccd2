"""An authenticator of passkeys without hardware, which can do everything wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

PRESENT, VERIFIED, ATTESTED = 1, 4, 64


def coded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One passkey; its attributes say how it answers."""

    origin: str = "https://mail.example"
    party: str = "mail.example"
    flags: int = PRESENT | VERIFIED
    count: int = 0
    credential: bytes = field(default_factory=lambda: os.urandom(32))
    handle: bytes = b""
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    client: dict[str, Any] = field(default_factory=dict)

    def create(self, options: dict[str, Any]) -> str:
        """Answer the options for a new passkey."""
        public = options["publicKey"]
        self.handle = plain(public["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        # COSE (of WebAuthn level 2, section 5.8.5): EC2, ES256, P-256, and the two coordinates
        cose = {
            1: 2,
            3: -7,
            -1: 1,
            -2: numbers.x.to_bytes(32, "big"),
            -3: numbers.y.to_bytes(32, "big"),
        }
        data = self._data(ATTESTED) + bytes(16)
        data += struct.pack(">H", len(self.credential)) + self.credential + cbor.encode(cose)
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", public["challenge"])
        return self._answer(clientDataJSON=client, attestationObject=attestation)

    def get(self, options: dict[str, Any]) -> str:
        """Answer the options for a login."""
        public = options["publicKey"]
        client = self._client("webauthn.get", public["challenge"])
        data = self._data(0)
        signed = data + hashlib.sha256(client).digest()
        return self._answer(
            clientDataJSON=client,
            authenticatorData=data,
            signature=self.key.sign(signed, ec.ECDSA(hashes.SHA256())),
            userHandle=self.handle,
        )

    def _data(self, flags: int) -> bytes:
        head = hashlib.sha256(self.party.encode()).digest()
        return head + struct.pack(">BI", self.flags | flags, self.count)

    def _client(self, kind: str, challenge: str) -> bytes:
        given = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(given | self.client).encode()

    def _answer(self, **response: bytes) -> str:
        known = {name: coded(value) for name, value in response.items() if value}
        name = coded(self.credential)
        return json.dumps(
            {
                "id": name,
                "rawId": name,
                "type": "public-key",
                "response": known,
                "clientExtensionResults": {},
            }
        )
