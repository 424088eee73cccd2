"""Reader of SQL dumps: rows of INSERT and COPY. Nothing is executed.

It knows what mysqldump, mariadb-dump, phpMyAdmin, pg_dump and sqlite3's `.dump` write. The names of
columns come from the INSERT or COPY itself, otherwise from CREATE TABLE, otherwise from the caller.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence

from accounts.exchange.notes import SourceError, SourcePlace
from accounts.exchange.sql_values import Dialect, Values, ValueSyntaxError, copied
from accounts.exchange.tables import TableRow, Tables

MOST_COLUMNS = 200
MOST_PROBLEMS = 1000
"""Maximum number of unreadable places; a file with more is not a dump."""

_NAME = r'(?:`(?:[^`]++|``)*+`|"(?:[^"]++|"")*+"|[\w$]++)'
_DOTTED = rf"({_NAME}(?:\s*+\.\s*+{_NAME})*+)"
_COLUMNS = rf"(?:\(\s*+({_NAME}(?:\s*+,\s*+{_NAME})*+)\s*+\))"
_FLAGS = re.IGNORECASE | re.DOTALL

_SKIPPED = re.compile(r"(?:\s++|;|--[^\n]*+|#[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/|\\[^\n]*+)*+")
_DELIMITER = re.compile(r"DELIMITER[ \t]++([^\s]++)[^\n]*+", re.IGNORECASE)
_INSERT = re.compile(
    rf"(?:INSERT|REPLACE)\s++(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|OR\s++\w++)\s++)*+"
    rf"(?:INTO\s++)?{_DOTTED}\s*+{_COLUMNS}?+\s*+(?:OVERRIDING\s++\w++\s++VALUE\s++)?VALUES?\s*+(?=\()",
    _FLAGS,
)
_OTHER_INSERT = re.compile(rf"(?:INSERT|REPLACE)\s++(?:\w++\s++)*?INTO\s++{_DOTTED}", _FLAGS)
_COPY = re.compile(rf"COPY\s++{_DOTTED}\s*+{_COLUMNS}?+\s++FROM\s++stdin[^;\n]*+;[^\n]*+\n", _FLAGS)
_CREATE = re.compile(
    rf"CREATE\s++(?:TEMPORARY\s++)?TABLE\s++(?:IF\s++NOT\s++EXISTS\s++)?{_DOTTED}\s*+\(", _FLAGS
)
_ROW = re.compile(r"\s*+,?\s*+\(")
_ONE_NAME = re.compile(_NAME)
_PART = re.compile(
    rf"\s++|--[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/|'(?:[^'\\]++|\\.|'')*+'|({_NAME})|(.)", re.DOTALL
)
_NO_COLUMN = frozenset(
    {"primary", "key", "unique", "index", "constraint", "foreign", "fulltext", "spatial", "check"}
    | {"exclude", "like", "period"}
)


def _rest_of_statement(backslash: bool) -> re.Pattern[str]:
    string = r"'(?:[^'\\]++|\\.|'')*+(?:'|\Z)" if backslash else r"'(?:[^']++|'')*+(?:'|\Z)"
    dollar = "" if backslash else r"|\$(\w*+)\$.*?(?:\$\1\$|\Z)"
    return re.compile(
        rf"(?:[^;'\"`$/#-]++|{string}|\"(?:[^\"\\]++|\\.)*+(?:\"|\Z)|`[^`]*+(?:`|\Z)"
        rf"|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)|--[^\n]*+{dollar}|[$/#-])*+;?",
        re.DOTALL,
    )


_STATEMENT = {True: _rest_of_statement(True), False: _rest_of_statement(False)}


def guess_dialect(text: str) -> Dialect:
    """Return the dialect of a dump, from its head and from its quotes."""
    head = text[:4000]
    if "PostgreSQL database" in head or re.search(r"^COPY .* FROM stdin", head, re.MULTILINE):
        return "postgresql"
    if "PRAGMA foreign_keys" in head or re.match(r"\s*BEGIN TRANSACTION;", head):
        return "sqlite"
    if re.search(r"MySQL dump|MariaDB dump|phpMyAdmin|/\*!|ENGINE\s*=", head) or "`" in head:
        return "mysql"
    # without a head: only in MySQL does a backslash hide a quote
    return "mysql" if "\\'" in text else "postgresql"


def read_dump(
    file: str,
    data: bytes,
    layouts: Mapping[str, Sequence[Sequence[str]]],
    dialect: Dialect | None = None,
) -> Tables:
    """Return the rows of the tables that `layouts` names.

    `layouts` has, for each table, the columns of known versions: one is taken by its number of
    values when the dump does not name the columns. A row that cannot be read is in `problems`. The
    time grows with the length of the file and no faster. Raises `SourceError` for UTF-16, for too
    many rows and for more than `MOST_PROBLEMS` problems.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(f"{file}: the file is in UTF-16; save it as UTF-8")
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    return _Dump(file, text, layouts, dialect or guess_dialect(text)).read()


class _Dump:
    def __init__(
        self,
        file: str,
        text: str,
        layouts: Mapping[str, Sequence[Sequence[str]]],
        dialect: Dialect,
    ) -> None:
        self._file = file
        self._text = text
        self._layouts = layouts
        self._values = Values(dialect)
        self._statement = _STATEMENT[dialect == "mysql"]
        self._delimiter = ";"
        self._created: dict[str, list[str]] = {}
        self._tables = Tables()
        self._counted, self._line = 0, 1

    def read(self) -> Tables:
        """Return the rows of the whole dump."""
        position = 0
        while True:
            match = _SKIPPED.match(self._text, position)
            position = match.end() if match else position
            if position >= len(self._text):
                return self._tables
            position = self._one_statement(position)

    def _one_statement(self, position: int) -> int:
        text = self._text
        if match := _DELIMITER.match(text, position):
            self._delimiter = match[1]
            return match.end()
        if self._delimiter != ";":  # the body of a trigger or procedure
            found = text.find(self._delimiter, position)
            return len(text) if found < 0 else found + len(self._delimiter)
        if match := _INSERT.match(text, position):
            table = _last_name(match[1])
            if table in self._layouts:
                return self._insert(table, match)
        elif match := _COPY.match(text, position):
            return self._copy(_last_name(match[1]), match)
        elif match := _CREATE.match(text, position):
            self._create(_last_name(match[1]), match.end())
        elif (match := _OTHER_INSERT.match(text, position)) and self._wants(match[1]):
            self._problem(position, "an INSERT without VALUES is not supported")
        return self._skip(position)

    def _wants(self, name: str) -> bool:
        return _last_name(name) in self._layouts

    def _skip(self, position: int) -> int:
        match = self._statement.match(self._text, position)
        return max(match.end() if match else 0, position + 1)

    def _insert(self, table: str, match: re.Match[str]) -> int:
        named = _names(match[2]) if match[2] else self._created.get(table)
        position = match.end()
        while row := _ROW.match(self._text, position):
            start = row.end()
            try:
                values, position = self._values.row(self._text, start, MOST_COLUMNS)
            except ValueSyntaxError as error:
                self._problem(start, f"a row of table {table}: {error}")
                return self._skip(start)
            columns = self._columns(table, named, len(values))
            if columns is None:
                self._problem(
                    start, f"a row of table {table} has {len(values)} values: unknown layout"
                )
            else:
                self._tables.add(table, TableRow(columns, values, self._place(start)))
        return self._skip(position)  # ON DUPLICATE KEY …

    def _copy(self, table: str, match: re.Match[str]) -> int:
        named = _names(match[2]) if match[2] else self._created.get(table)
        position = match.end()
        text = self._text
        while position < len(text):
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            line = text[position:end].removesuffix("\r")
            start, position = position, end + 1
            if line == "\\.":
                break
            if table not in self._layouts:
                continue
            fields = line.split("\t", MOST_COLUMNS)
            columns = self._columns(table, named, len(fields))
            if columns is None:
                self._problem(
                    start, f"a row of table {table} has {len(fields)} values: unknown layout"
                )
            else:
                row = TableRow(columns, [copied(one) for one in fields], self._place(start))
                self._tables.add(table, row)
        return position

    def _columns(self, table: str, named: list[str] | None, count: int) -> Mapping[str, int] | None:
        choices: Sequence[Sequence[str]] = [named] if named is not None else self._layouts[table]
        for names in choices:
            if len(names) == count:
                return {name: index for index, name in enumerate(names)}
        return None

    def _create(self, table: str, position: int) -> None:
        """Remember the names of the columns; a part that starts with a keyword is not a column."""
        names: list[str] = []
        depth, first = 1, True
        while depth and len(names) < MOST_COLUMNS and (match := _PART.match(self._text, position)):
            position = match.end()
            name, mark = match.groups()
            if name and first:
                first = False
                if name[0] in '`"' or name.lower() not in _NO_COLUMN:
                    names.append(_plain(name))
            elif mark == ",":
                first = depth == 1 or first
            elif mark is not None:
                depth += (mark == "(") - (mark == ")")
                if mark == ";":
                    break
        self._created[table] = names

    def _place(self, position: int) -> SourcePlace:
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return SourcePlace(self._file, self._line)

    def _problem(self, position: int, text: str) -> None:
        if len(self._tables.problems) == MOST_PROBLEMS:
            raise SourceError(f"{self._file}: more than {MOST_PROBLEMS} statements cannot be read")
        self._tables.problems.append((self._place(position), text))


def _plain(name: str) -> str:
    if name[0] in '`"':
        name = name[1:-1].replace(name[0] * 2, name[0])
    return name.lower()


def _last_name(dotted: str) -> str:
    return _plain(_ONE_NAME.findall(dotted)[-1])


def _names(listed: str) -> list[str]:
    return [_plain(name) for name in _ONE_NAME.findall(listed)]
