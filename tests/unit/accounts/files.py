"""Files of SQLite for tests: migrated once, then copied."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from accounts.store import migrate
from accounts.store.settings import DatabaseSettings


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounts.db"
        migrate.upgrade(settings(path))
        return path.read_bytes()


def settings(path: Path) -> DatabaseSettings:
    """Return the settings for a file."""
    return DatabaseSettings(url=f"sqlite:///{path}")


def make(path: Path, content: bytes | None = None) -> DatabaseSettings:
    """Make a datastore without any data, or one with the content of another one's file."""
    path.write_bytes(_migrated() if content is None else content)
    path.chmod(0o600)
    return settings(path)
