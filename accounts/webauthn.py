"""Verification of passkeys (WebAuthn level 2), for one host name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from fido2 import cbor
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorAssertionResponse,
    AuthenticatorData,
    CollectedClientData,
    CredentialCreationOptions,
    CredentialRequestOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

MAX_RESPONSE: Final = 16_384
"""Characters of what a browser sends about a passkey."""
MAX_PUBLIC_KEY: Final = 1100
"""Octets of a public key; RSA with 8192 bits fits."""
ALGORITHMS: Final = (-8, -7, -257)
"""EdDSA, ES256 and RS256 (WebAuthn level 2 section 5.8.5 and IANA's registry of COSE)."""


class BadPasskeyError(Exception):
    """A browser sent something wrong about a passkey; the message is for the log."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A verified new passkey; `public_key` is in COSE."""

    credential: bytes
    public_key: bytes
    handle: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """The answer of a browser, which is not verified yet."""

    credential: bytes
    parsed: AuthenticationResponse


class PasskeyParty:
    """The relying party of passkeys: `host` is its id, and the host name of its pages."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._server = Fido2Server(
            PublicKeyCredentialRpEntity(name="Gatepost", id=host), verify_origin=self._is_ours
        )
        self._server.allowed_algorithms = [
            PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=one)
            for one in ALGORITHMS
        ]

    def creation(self, name: str, known: list[bytes], challenge: bytes) -> dict[str, Any]:
        """Return the options with which a browser makes a passkey, as JSON has them.

        `known` are the ids of those that the account has.
        """
        options, _ = self._server.register_begin(
            PublicKeyCredentialUserEntity(name=name, id=_handle(challenge), display_name=name),
            _descriptors(known),
            # it can log in without a password if the authenticator keeps it and knows its owner
            resident_key_requirement=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
            challenge=challenge,
        )
        return _json(options)

    def request(
        self, known: list[bytes] | None, challenge: bytes, *, verified: bool
    ) -> dict[str, Any]:
        """Return the options with which a browser uses a passkey, as JSON has them.

        Without `known`, it offers all for this host. `verified`: the authenticator has to know its
        owner, by a finger or a number.
        """
        options, _ = self._server.authenticate_begin(
            None if known is None else _descriptors(known), _wish(verified), challenge
        )
        return _json(options)

    def registered(self, challenge: bytes | None, text: str) -> NewPasskey:
        """Return the passkey that a browser made; raises `BadPasskeyError`.

        Without a challenge, none is right.
        """
        try:
            response = RegistrationResponse.from_dict(_object(text))
            _check_client(response.response.client_data)
            data: AuthenticatorData = self._server.register_complete(
                _state(challenge, verified=False), response
            )
            made = data.credential_data
        except Exception as error:  # the parser may raise anything for hostile octets
            raise BadPasskeyError(f"{type(error).__name__}: {error}") from None
        if made is None or made.credential_id != response.raw_id:
            raise BadPasskeyError("the id is not that of the key")
        public_key = cbor.encode(made.public_key)
        # WebAuthn level 2 section 7.1 step 16
        if made.public_key.get(3) not in ALGORITHMS or len(public_key) > MAX_PUBLIC_KEY:
            raise BadPasskeyError(
                "the algorithm of the key is not one of those that were asked for"
            )
        return NewPasskey(made.credential_id, public_key, _handle(challenge), data.counter)

    def answer(self, text: str) -> PasskeyAnswer:
        """Read the answer of a browser; raises `BadPasskeyError`."""
        try:
            parsed = AuthenticationResponse.from_dict(_object(text))
            return PasskeyAnswer(parsed.raw_id, parsed)
        except Exception as error:  # as above
            raise BadPasskeyError(f"{type(error).__name__}: {error}") from None

    def verify(
        self,
        challenge: bytes | None,
        answer: PasskeyAnswer,
        public_key: bytes,
        handle: bytes,
        *,
        verified: bool,
    ) -> int:
        """Return the count of signatures if the answer is right; raises `BadPasskeyError`.

        The caller has found the key by the id in the answer, and compares the count. `handle` is
        that of its owner. `verified`: the authenticator must have known its owner.
        """
        try:
            _check_client(answer.parsed.response.client_data)
            _check_handle(answer.parsed.response, handle, verified)
            known = AttestedCredentialData.create(
                Aaguid.NONE,
                answer.credential,
                CoseKey.parse(cast("Mapping[int, Any]", cbor.decode(public_key))),
            )
            state = _state(challenge, verified=verified)
            self._server.authenticate_complete(state, [known], answer.parsed)
        except BadPasskeyError:
            raise
        except Exception as error:  # as above
            raise BadPasskeyError(f"{type(error).__name__}: {error}") from None
        return answer.parsed.response.authenticator_data.counter

    def _is_ours(self, origin: str) -> bool:
        """Return whether a page is one of ours: not one of a host below or beside it."""
        parts = urlsplit(origin)
        scheme = "http" if self.host == "localhost" and parts.scheme == "http" else "https"
        return parts.scheme == scheme and parts.hostname == self.host


def _handle(challenge: bytes | None) -> bytes:
    """Return the handle of the account for a passkey that answers a challenge.

    The authenticator keeps it. It has no name in it (WebAuthn level 2 section 14.6.1).
    """
    return hashlib.sha256(b"gatepost handle" + (challenge or b"")).digest()


def _json(options: CredentialCreationOptions | CredentialRequestOptions) -> dict[str, Any]:
    made: dict[str, Any] = dict(options)
    return made


def _check_handle(response: AuthenticatorAssertionResponse, handle: bytes, needed: bool) -> None:
    # WebAuthn level 2 section 7.2 step 6
    if response.user_handle != handle and (response.user_handle or needed):
        raise BadPasskeyError("the handle is that of another account")


def _check_client(client: CollectedClientData) -> None:
    if client.cross_origin:
        raise BadPasskeyError("the page was in a frame of another site")


def _descriptors(known: list[bytes]) -> list[PublicKeyCredentialDescriptor]:
    kind = PublicKeyCredentialType.PUBLIC_KEY
    return [PublicKeyCredentialDescriptor(type=kind, id=one) for one in known]


def _object(text: str) -> dict[str, Any]:
    if len(text) > MAX_RESPONSE:
        raise BadPasskeyError("the answer is too long")
    value = json.loads(text)
    if not isinstance(value, dict):
        raise BadPasskeyError("the answer is not an object")
    return value


def _state(challenge: bytes | None, *, verified: bool) -> dict[str, Any]:
    if not challenge:
        raise BadPasskeyError("there is no challenge for this browser, or it is too old")
    return {"challenge": websafe_encode(challenge), "user_verification": _wish(verified)}


def _wish(verified: bool) -> UserVerificationRequirement:
    wish = UserVerificationRequirement
    return wish.REQUIRED if verified else wish.PREFERRED
