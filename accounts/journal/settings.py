"""Settings of the section `[accounts.journal]`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gatepost.config import AT_START, Section, WrittenPath


class JournalSettings(Section):
    """Decisions about mail, kept for `gatepost trace`."""

    days: int = Field(
        default=14,
        ge=0,
        le=90,
        description="Days for which decisions are kept. 0: none are kept, and those that are there "
        "are removed. They have addresses, Message-IDs and the results of checks, but neither "
        "subjects nor content.",
    )
    max_records: int = Field(
        default=500_000,
        ge=1000,
        le=20_000_000,
        description="Records that are kept at most, one for each recipient of a decision; the "
        "oldest ones go first. Each takes about 1 KB.",
    )
    file: WrittenPath | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="The file, by default `journal.sqlite3` beside a datastore in SQLite. With "
        "PostgreSQL the records are in a table of the same database, unless this names a file.",
    )

    def path(self, datastore: Path | None) -> Path | None:
        """Return the file; None for a table in PostgreSQL. `datastore` is the file of SQLite."""
        if self.file is not None:
            return self.file
        return None if datastore is None else datastore.with_name("journal.sqlite3")
