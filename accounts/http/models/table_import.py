"""Models of the import of a table."""

from __future__ import annotations

from pydantic import Field

from accounts.http.models.base import RequestModel, ResponseModel

MAX_TABLE = 256 << 10
"""Characters of a table."""


class TableImport(RequestModel):
    """A table of mailboxes and aliases."""

    table: str = Field(
        max_length=MAX_TABLE,
        description="Comma-separated values; docs/accounts-import.md describes the columns.",
    )
    expected: str | None = Field(
        default=None,
        description="The digest of the preview; without it nothing is changed.",
    )


class ImportChangeOut(ResponseModel):
    """A change of an import. Secrets are never shown."""

    line: int = Field(description="The line of the table.")
    action: str = Field(description="add, change, or conflict for one that is refused.")
    kind: str
    name: str
    reason: str
    fields: list[str]


class ImportLineOut(ResponseModel):
    """A line that cannot be read."""

    line: int
    reason: str


class TableImportOut(ResponseModel):
    """The changes of an import."""

    is_written: bool
    digest: str
    kept: int = Field(description="Objects that are as the table says already.")
    changes: list[ImportChangeOut]
    left_out: list[ImportLineOut]
