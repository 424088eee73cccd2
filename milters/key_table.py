"""The interface that finds the keys that may sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgauth.keys import SigningKey
from msgauth.mail_address import MailAddress


@dataclass(frozen=True, slots=True)
class DomainKey:
    """A key that may sign now: its record is published, and it is neither retired nor revoked.

    `domain` and `selector` are in A-labels and lower-case.
    """

    domain: str
    selector: str
    key: SigningKey = field(repr=False)


class KeyTable(Protocol):
    """The source of signing keys."""

    def keys_of(self, domain: str) -> Sequence[DomainKey]:
        """Return the keys that sign for exactly this domain (A-labels, lower-case), or none.

        Never raises or waits: keys are read together with the configuration.
        """

    def keys_for(self, author: MailAddress) -> Sequence[DomainKey] | None:
        """Return the aligned keys that a table names for this author, possibly none.

        None if no table has an entry for the author: then the domain decides.
        """

    def is_unreadable(self, domain: str) -> bool:
        """Return whether there may be a key for mail From `domain` that cannot be read.

        If so, it is unknown whether the mail has a key. `domain` is in A-labels and lower-case.
        """
