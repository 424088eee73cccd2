"""A key read from its file, ready to sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from msgauth.keys import SigningKey


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private key and its source. `was_activated` says that `gatepost keys activate` has seen its
    record at every name server; this is false for a key without a state."""

    domain: str
    selector: str
    key: SigningKey = field(repr=False, compare=False)
    path: Path
    was_activated: bool
    digest: bytes = field(repr=False)
    """SHA-256 of the file, which distinguishes keys with the same name."""

    @property
    def identity(self) -> tuple[str, str, bytes]:
        """Domain, selector and file hash: identifies the key, even among keys with the same
        name."""
        return self.domain, self.selector, self.digest

    @property
    def name(self) -> tuple[str, str]:
        """Domain and selector."""
        return self.domain, self.selector
