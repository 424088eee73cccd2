"""The table `[accounts.database]`: where the datastore is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, Field

from gatepost.config.changes import AT_START
from gatepost.config.section import Section
from gatepost.config.types import Duration, SecretPath

if TYPE_CHECKING:
    from sqlalchemy import URL

DEFAULT_URL = "sqlite:////var/lib/gatepost/accounts/accounts.db"

_FORMS = "write sqlite:////absolute/path, or postgresql://user@host/database"


_SQLITE = "sqlite:///"

_PLAIN_FILE = re.compile(r"sqlite:////[\w./-]+\Z", re.ASCII)
"""An URL that is right at first sight, without SQLAlchemy, which takes memory."""


def _check_url(text: str) -> str:
    if _PLAIN_FILE.match(text):
        return text
    try:
        # here, so that the other daemons and their commands need none of it
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise ValueError(
            "needs SQLAlchemy: run pip install '.[accounts]' in the checkout"
        ) from None
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"this is no URL of a database: {_FORMS}") from None
    if url.drivername not in ("sqlite", "postgresql"):
        raise ValueError(f"{url.drivername!r} is no database that Gatepost knows: {_FORMS}")
    if url.password is not None:
        raise ValueError("the password does not stand in the URL: use password_file")
    if "\0" in unquote(text):
        raise ValueError(f"a NUL cannot stand in it: {_FORMS}")
    if url.drivername == "sqlite":
        if not (url.database or "").startswith("/") or url.host or url.query:
            raise ValueError("the path of the file has to be absolute: write sqlite:////path")
    elif not url.database:
        raise ValueError(f"it names no database: {_FORMS}")
    elif other := set(url.query) - {"host", "port", "ssl"}:
        raise ValueError(f"{min(other)!r} is no parameter of it: host, port and ssl are")
    return text


class DatabaseSettings(Section):
    """`[accounts.database]`."""

    url: Annotated[str, AfterValidator(_check_url)] = Field(
        default=DEFAULT_URL,
        json_schema_extra=AT_START,
        description="The database: `sqlite:////path` for a file, or `postgresql://user@host/name`. "
        "`?host=/run/postgresql` names the folder of a unix socket, `?ssl=verify-full` asks for "
        "TLS.",
    )
    password_file: SecretPath | None = Field(
        default=None,
        description="The password for PostgreSQL; read at each connection.",
    )
    key_file: SecretPath | None = Field(
        default=None,
        description="The key that private DKIM keys and passwords of remote accounts are encrypted "
        "with: 32 random octets in base64, as `openssl rand -base64 32` writes them. Further lines "
        "are older keys.",
    )
    connections: int = Field(
        default=8,
        ge=1,
        le=100,
        json_schema_extra=AT_START,
        description="Connections to PostgreSQL that a process opens at most.",
    )
    timeout: Duration = Field(
        default=10.0,
        gt=0,
        le=100,
        json_schema_extra=AT_START,
        description="The database counts as away when it does not answer within this time.",
    )

    @property
    def parsed(self) -> URL:
        """The URL in its parts."""
        from sqlalchemy import make_url

        return make_url(self.url)

    @property
    def path(self) -> Path | None:
        """The file of SQLite; None for PostgreSQL."""
        return Path(self.url.removeprefix(_SQLITE)) if self.url.startswith(_SQLITE) else None
