"""Operation that imports a table of mailboxes and aliases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from accounts.exchange.csv_table import CsvTable, read_table
from accounts.exchange.hashes import plain_text
from accounts.exchange.notes import SourceError
from accounts.exchange.upload import Preview, carry_out
from accounts.http.access import Forbidden
from accounts.http.call import ApiReply, Call
from accounts.http.models.table_import import TableImport, TableImportOut
from accounts.http.operation import Operation, Reach
from accounts.passwords import BadPassword, Password, WeakPassword, check_new
from accounts.store.errors import Invalid
from accounts.store.transaction import Write

MOST_LINES = 1000
"""Lines of a table."""
MOST_PASSWORDS = 100
"""Passwords in clear text in a table: the hash of each takes a tenth of a second."""

_NO_LOGIN = "{SSHA512}" + "A" * 104
"""Placeholder for the hash of a password in clear text in a preview."""


async def import_table(call: Call) -> ApiReply:
    """Say what a table would change, or change it if the client has seen that."""
    table = _read(call)
    clear = _clear(table)
    _check_scope(call, table)
    expected = call.body.expected
    hashes = dict.fromkeys(clear, _NO_LOGIN)
    if expected is not None:
        hashes = {text: await call.context.workers.hash(Password(text)) for text in clear}
    seal = call.context.seal

    def work(write: Write) -> Preview:
        return carry_out(write, table, seal, hashes.__getitem__, expected)

    if expected is None:
        made = await call.context.database.rehearse(call.actor, work)
    else:
        made = await call.write(work)
    return ApiReply(_shown(made, table, is_written=expected is not None))


def _read(call: Call) -> CsvTable:
    settings = call.context.passwords

    def check(address: str, clear: str) -> str | None:
        try:
            check_new(Password(clear), address, settings)
        except (BadPassword, WeakPassword) as error:
            return str(error)
        return None

    try:
        octets = call.body.table.encode()
        return read_table("table", octets, most=MOST_LINES, check=check)
    except (SourceError, UnicodeEncodeError) as error:
        told = str(error) if isinstance(error, SourceError) else "table: it is not text"
        raise Invalid("table", f"{told[:1].upper()}{told[1:]}.") from None


def _clear(table: CsvTable) -> list[str]:
    found = [plain_text(one.password) for one in table.reading.document.mailboxes]
    clear = list(dict.fromkeys(one for one in found if one is not None))
    if len(clear) > MOST_PASSWORDS:
        raise Invalid(
            "table",
            f"It has more than {MOST_PASSWORDS} passwords in clear text: give hashes, or import "
            "parts of the table.",
        )
    return clear


def _check_scope(call: Call, table: CsvTable) -> None:
    has_aliases = bool(table.reading.document.aliases)
    if has_aliases and not call.principal.has_scope("aliases", write=True):
        raise Forbidden("The token has no scope aliases:write.")


def _shown(made: Preview, table: CsvTable, *, is_written: bool) -> dict[str, Any]:
    return {
        "is_written": is_written,
        "digest": made.digest,
        "kept": made.kept,
        "changes": [asdict(one) for one in made.changes],
        "left_out": [
            {"line": note.place.line, "reason": note.text} for note in table.reading.notes
        ],
    }


OPERATIONS = [
    Operation(
        "import-table",
        "POST",
        "/import",
        "mailboxes",
        Reach.GLOBAL,
        "Import a table of mailboxes and aliases; without `expected`, say what that would change",
        import_table,
        takes=TableImport,
        gives=TableImportOut,
        is_alone=True,
    )
]
