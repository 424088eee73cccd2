"""Table of all operations, from which the routes and the OpenAPI document are made."""

from __future__ import annotations

from accounts.http.batch import batch
from accounts.http.operation import Operation
from accounts.http.resources import (
    access_to_mail,
    administrators,
    aliases,
    deleted_mailboxes,
    domains,
    filtering,
    greylist,
    journal,
    mailboxes,
    moves,
    myself,
    overview,
    personal_aliases,
    quarantine,
    second_factors,
    table_import,
    tokens,
)

_PARTS: tuple[Operation, ...] = (
    *myself.OPERATIONS,
    *domains.OPERATIONS,
    *mailboxes.OPERATIONS,
    *moves.OPERATIONS,
    *deleted_mailboxes.OPERATIONS,
    *aliases.OPERATIONS,
    *personal_aliases.OPERATIONS,
    *access_to_mail.OPERATIONS,
    *filtering.OPERATIONS,
    *second_factors.OPERATIONS,
    *administrators.OPERATIONS,
    *tokens.OPERATIONS,
    *journal.OPERATIONS,
    *quarantine.OPERATIONS,
    *table_import.OPERATIONS,
    *overview.OPERATIONS,
    *greylist.OPERATIONS,
)

OPERATIONS: tuple[Operation, ...] = (*_PARTS, batch(_PARTS))

BY_NAME = {operation.name: operation for operation in OPERATIONS}
"""The same operations by name."""
