"""Contents of the snapshots by name: their records, and the changes that concern them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from accounts.lookup.terms import LookupTerms
from accounts.snapshots.dkim_keys import key_records
from accounts.snapshots.greylist import exception_records
from accounts.snapshots.history import Changes
from accounts.snapshots.recipients import recipient_records
from accounts.snapshots.senders import SnapshotRecord, next_expiry, sender_records
from accounts.snapshots.stores import store_records
from accounts.store.seal import SecretSeal


class SnapshotInputs(NamedTuple):
    """Everything that records depend on, apart from the data."""

    terms: LookupTerms
    seal: SecretSeal


class Content(NamedTuple):
    """Definition of a snapshot: the maker of its records, and the changes that concern it.

    `areas` are the first words of actions in the audit log. Changes of mailboxes count only if they
    are about `mailbox_fields`. `expiry` returns when the records change without a change of the
    data.
    """

    records: Callable[[Connection, SnapshotInputs], Iterator[SnapshotRecord]]
    areas: frozenset[str]
    mailbox_fields: frozenset[str] = frozenset()
    expiry: Callable[[Connection, int], int | None] = lambda _connection, _now: None

    def is_concerned(self, changes: Changes) -> bool:
        """Return whether these changes may change the records.

        An action of no known area concerns all snapshots.
        """
        if changes.actions is None:
            return True
        for action in changes.actions:
            area = action.partition(".")[0]
            if area not in _AREAS:
                return True
            if action == "mailbox.change":
                if changes.mailbox_fields & (self.mailbox_fields | {"*"}):
                    return True
            elif area in self.areas:
                return True
        return False


CONTENTS = {
    "dkim_keys": Content(
        lambda connection, inputs: key_records(connection, inputs.seal),
        frozenset({"dkim-key", "domain", "secrets"}),
    ),
    "greylist": Content(
        lambda connection, _inputs: exception_records(connection),
        frozenset({"greylist-exception", "domain"}),
    ),
    "recipients": Content(
        lambda connection, inputs: recipient_records(connection, inputs.terms),
        frozenset(
            {"domain", "mailbox", "alias", "preferences", "listed-sender"}
            | {"domain-preferences", "domain-listed-sender"}
        ),
    ),
    "senders": Content(
        lambda connection, inputs: sender_records(connection, inputs.terms),
        frozenset({"domain", "mailbox", "alias", "sender-right"}),
        frozenset({"enabled", "may_send"}),
        next_expiry,
    ),
    "stores": Content(
        lambda connection, _inputs: store_records(connection),
        frozenset({"domain", "mailbox"}),
        frozenset({"store"}),
    ),
}

_AREAS = frozenset().union(*(content.areas for content in CONTENTS.values())) | {
    "administrator",
    "app-password",
    "remote-account",
    "rule",
    "token",
    "trace",
    "greylist",
}
