"""A key that was read from its file, ready to sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from msgauth.keys import SigningKey


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private key and where it comes from. `was_activated` says that `gatepost keys activate`
    has seen it at every name server; a key put there by hand was seen by nobody."""

    domain: str
    selector: str
    key: SigningKey = field(repr=False, compare=False)
    path: Path
    was_activated: bool
    digest: bytes = field(repr=False)
    """SHA-256 of the file: tells two keys of one name apart."""

    @property
    def identity(self) -> tuple[str, str, bytes]:
        """What tells it from every other key, also from an earlier one of its name."""
        return self.domain, self.selector, self.digest

    @property
    def name(self) -> tuple[str, str]:
        """Domain and selector."""
        return self.domain, self.selector
