"""Body hashes: each combination of canonicalization and length is computed once per message.

Several signatures, and DKIM and ARC together, need the same hash of the same body. They share one
`BodyHashes`: each requests its hashes before the body arrives, the body passes through once, and
each reads its digest at the end. Nothing is hashed without a request.
"""

from __future__ import annotations

import hashlib

from msgauth.dkim.canonical import BodyCanonicalizer, Canonical


class BodyHash:
    """The SHA-256 of one canonical form of the body, or of its first octets.

    `digest` (32 octets) and `octets` (length of the whole canonical body, including the part beyond
    the limit) are set when the body has ended.
    """

    __slots__ = ("_hash", "_left", "digest", "octets")

    def __init__(self, limit: int | None) -> None:
        self._hash = hashlib.sha256()
        self._left = limit
        self.digest = b""
        self.octets = 0

    def update(self, data: bytes) -> None:
        """Hash the part of `data` within the limit."""
        if self._left is None:
            self._hash.update(data)
        elif self._left:
            self._hash.update(data[: self._left])
            self._left = max(self._left - len(data), 0)

    def finish(self, octets: int) -> None:
        """End the body, whose canonical form has `octets` octets."""
        self.digest = self._hash.digest()
        self.octets = octets


class _Form:
    """One canonical form of the body, and the hashes over it by their limit."""

    __slots__ = ("canonicalizer", "hashes")

    def __init__(self, algorithm: Canonical) -> None:
        self.hashes: dict[int | None, BodyHash] = {}
        self.canonicalizer = BodyCanonicalizer(algorithm, self._emit)

    def _emit(self, data: bytes) -> None:
        for body_hash in self.hashes.values():
            body_hash.update(data)


class BodyHashes:
    """All requested hashes over the body of one message."""

    __slots__ = ("_ended", "_forms")

    def __init__(self) -> None:
        self._forms: dict[Canonical, _Form] = {}
        self._ended = False

    def want(self, algorithm: Canonical, limit: int | None = None) -> BodyHash:
        """Request the hash over the first `limit` octets of the canonical body, or over all of it.

        Call it before the body arrives. All callers get the same object for the same hash.
        """
        form = self._forms.get(algorithm)
        if form is None:
            form = self._forms[algorithm] = _Form(algorithm)
        body_hash = form.hashes.get(limit)
        if body_hash is None:
            body_hash = form.hashes[limit] = BodyHash(limit)
        return body_hash

    def update(self, chunk: bytes) -> None:
        """Take the next chunk of the body, cut anywhere."""
        for form in self._forms.values():
            form.canonicalizer.update(chunk)

    def finish(self) -> None:
        """End the body; more calls do nothing, because every user of the hashes calls it."""
        if self._ended:
            return
        self._ended = True
        for form in self._forms.values():
            form.canonicalizer.finish()
            for body_hash in form.hashes.values():
                body_hash.finish(form.canonicalizer.octets)
