"""Result of a reader, in a form that a test can state in a line."""

from __future__ import annotations

from typing import Any

from accounts.exchange.document import AliasEntry, MailboxEntry, parse, render
from accounts.exchange.files import SourceFiles
from accounts.exchange.notes import Reading

CRYPT = "$6$saltsaltsaltsalt$" + (
    "4lgy5j.OYngSS5SLC4rZiU5QpxTj7pxKkbem7/3lWgKoUSjzk0gd7KhXYw9PBRfK/zrnyTovgi9WVf7so/NXz/"
)
HASH = "{SHA512-CRYPT}" + CRYPT
BCRYPT = "$2y$05$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a"


def files(**content: str | bytes) -> SourceFiles:
    """Return files; `__` in a name stands for `/`, `_DOT_` for a dot."""
    return SourceFiles(
        {
            name.replace("_DOT_", ".").replace("__", "/"): data.encode()
            if isinstance(data, str)
            else data
            for name, data in content.items()
        }
    )


def mailboxes(reading: Reading) -> dict[str, MailboxEntry]:
    return {one.address: one for one in reading.document.mailboxes}


def aliases(reading: Reading) -> dict[str, tuple[str, ...]]:
    return {one.address: one.targets for one in reading.document.aliases}


def alias(reading: Reading, address: str) -> AliasEntry:
    return next(one for one in reading.document.aliases if one.address == address)


def domains(reading: Reading) -> dict[str, dict[str, Any]]:
    """Return the fields of each domain that say something."""
    return {
        one.name: {
            key: value
            for key, value in one.model_dump(exclude_defaults=True).items()
            if key != "name"
        }
        for one in reading.document.domains
    }


def said(reading: Reading, *texts: str) -> bool:
    """Return whether one note has all of the texts."""
    return any(all(text in str(note) for text in texts) for note in reading.notes)


def whole(reading: Reading) -> Reading:
    """Return the reading; its document survives its file."""
    assert parse(render(reading.document)) == reading.document
    return reading
