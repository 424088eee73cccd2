"""The sources of an import by their names, as the command and the API have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from accounts.exchange import (
    couchmail,
    csv_table,
    docker_mailserver,
    dovecot_rspamd,
    mailcow,
    mailu,
    postfix,
    postfixadmin,
)
from accounts.exchange.databases import read_tables
from accounts.exchange.document import LARGEST, DocumentError, parse
from accounts.exchange.files import LARGEST_DOCUMENT, load, read_file
from accounts.exchange.notes import Reading, SourceError
from accounts.exchange.tables import Tables

_Read = Callable[[Sequence[str], str | None, str | None], Reading]


def read_source(
    source: str,
    places: Sequence[str],
    *,
    origin: str | None = None,
    password: str | None = None,
    largest: int = LARGEST,
) -> Reading:
    """Return the accounts of a source.

    `places` are files and folders, or the URL of a database. `origin` completes names without a
    domain, as Postfix's $myorigin does. `password` is that of a database, `largest` the octets that
    an export may have. Raises `SourceError` if there is no such source or it cannot be read; its
    text has no secret.
    """
    if source not in SOURCES:
        raise SourceError(f"{source[:50]!a} is not one of: {', '.join(SOURCES)}")
    if not places:
        raise SourceError(f"{source}: expected {SOURCES[source]}")
    if source == "gatepost":
        return _export(places, largest)
    return _READERS[source](places, origin, password)


def _one(places: Sequence[str]) -> str:
    if len(places) > 1:
        raise SourceError("this source is one file or one database")
    return places[0]


def _export(places: Sequence[str], largest: int) -> Reading:
    path = Path(_one(places))
    try:
        return Reading(parse(read_file(path, largest), path.name, largest), ())
    except DocumentError as error:
        raise SourceError(str(error)) from None


def _postfix(places: Sequence[str], origin: str | None, password: str | None) -> Reading:  # noqa: ARG001
    return postfix.read(load(*map(Path, places)), origin=origin)


def _docker_mailserver(places: Sequence[str], origin: str | None, password: str | None) -> Reading:  # noqa: ARG001
    return docker_mailserver.read(load(*map(Path, places)), origin=origin)


def _dovecot_rspamd(places: Sequence[str], origin: str | None, password: str | None) -> Reading:  # noqa: ARG001
    return dovecot_rspamd.read(load(*map(Path, places)), origin=origin)


def _database(read: Callable[[Tables], Reading], layouts: dict[str, list[list[str]]]) -> _Read:
    return lambda places, _origin, password: read(read_tables(_one(places), layouts, password))


def _document(read: Callable[[str, bytes], Reading]) -> _Read:
    def reading(places: Sequence[str], origin: str | None, password: str | None) -> Reading:  # noqa: ARG001
        path = Path(_one(places))
        return read(path.name, read_file(path, LARGEST_DOCUMENT))

    return reading


SOURCES: Final[Mapping[str, str]] = {
    "gatepost": "a file written by `export`",
    "csv": "a table with a line for each mailbox and alias",
    "postfix": "files of Postfix and Dovecot, or their folder",
    "docker-mailserver": "the folder of its configuration",
    "postfixadmin": "a dump, a file of SQLite, or postgresql://USER@HOST/DATABASE",
    "mailcow": "a dump",
    "mailu": "a file written by config-export",
    "couchmail": "a JSON file with its documents",
    "docker-dovecot-rspamd": "the folder of its configuration",
}
"""The names of the sources, and the files or databases that each reads."""

_READERS: Final[Mapping[str, _Read]] = {
    "postfix": _postfix,
    "docker-mailserver": _docker_mailserver,
    "postfixadmin": _database(postfixadmin.read, postfixadmin.LAYOUTS),
    "mailcow": _database(mailcow.read, mailcow.LAYOUTS),
    "mailu": _document(mailu.read),
    "couchmail": _document(couchmail.read),
    "csv": _document(csv_table.read),
    "docker-dovecot-rspamd": _dovecot_rspamd,
}
