"""Settings of the table `[accounts.database]`: the place of the datastore."""

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
_PLAIN_SERVER = re.compile(
    r"postgresql://(?:[\w.-]+@)?(?:[\w.-]+(?::[0-9]{1,5})?)?/[\w.-]+"
    r"(?:\?(?:host|port|ssl)=[\w./-]+(?:&(?:host|port|ssl)=[\w./-]+)*)?\Z",
    re.ASCII,
)
"""Plausible URLs, checked without SQLAlchemy, which takes memory."""


def _check_url(text: str) -> str:
    if _PLAIN_FILE.match(text) or _PLAIN_SERVER.match(text):
        return text
    try:
        # imported here, so that the other daemons and their commands do not need it
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise ValueError(
            "needs SQLAlchemy: run pip install '.[accounts]' in the checkout"
        ) from None
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"this is not a URL of a database: {_FORMS}") from None
    if url.drivername not in ("sqlite", "postgresql"):
        raise ValueError(f"{url.drivername!r} is not a supported database: {_FORMS}")
    if url.password is not None:
        raise ValueError("the password must not be in the URL: use password_file")
    if "\0" in unquote(text):
        raise ValueError(f"the URL has a NUL: {_FORMS}")
    if url.drivername == "sqlite":
        if not (url.database or "").startswith("/") or url.host or url.query:
            raise ValueError("the path of the file must be absolute: write sqlite:////path")
    elif not url.database:
        raise ValueError(f"it names no database: {_FORMS}")
    elif other := set(url.query) - {"host", "port", "ssl"}:
        raise ValueError(f"{min(other)!r} is not a known parameter: use host, port and ssl")
    return text


class DatabaseSettings(Section):
    """Settings of `[accounts.database]`."""

    url: Annotated[str, AfterValidator(_check_url)] = Field(
        default=DEFAULT_URL,
        json_schema_extra=AT_START,
        description="The database: `sqlite:////path` for a file, or "
        "`postgresql://user@host/name`. `?host=/run/postgresql` names the folder of "
        "a unix socket, `?ssl=verify-full` requires TLS.",
    )
    password_file: SecretPath | None = Field(
        default=None,
        description="File with the password for PostgreSQL; it is read for each connection.",
    )
    key_file: SecretPath | None = Field(
        default=None,
        description="File with the key that encrypts private DKIM keys, passwords of remote "
        "accounts and secrets of one-time codes: 32 random octets in base64, as "
        "`openssl rand -base64 32` prints them. Further lines are older keys, until `gatepost "
        "accounts reseal` has encrypted everything with the first one.",
    )
    connections: int = Field(
        default=8,
        ge=1,
        le=100,
        json_schema_extra=AT_START,
        description="Maximum number of connections to PostgreSQL per process.",
    )
    timeout: Duration = Field(
        default=10.0,
        gt=0,
        le=100,
        json_schema_extra=AT_START,
        description="The database counts as away if it does not answer within this time.",
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
