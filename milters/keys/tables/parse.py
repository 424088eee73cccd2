"""Parser of KeyTable and SigningTable (opendkim.conf(5))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from milters.keys.tables.dataset import DataSet, DataSetEntry
from milters.keys.tables.errors import Place
from msgauth.domain import ancestors

MAX_ADDRESS = 1024
"""Maximum characters of an address in a lookup; RFC 5321 section 4.5.3.1 allows 320."""

AUTHOR_DOMAIN = "%"
"""In a table: the domain of the From field."""


@dataclass(frozen=True, slots=True)
class KeyTableEntry:
    """One key. `domain` is ``%`` for the author's domain; `file` may contain ``%`` for it.

    `algorithm` is the fourth field, supported by opendkim 2.11; empty if missing.
    """

    place: Place
    name: str
    domain: str
    selector: str
    file: str
    algorithm: str = ""


@dataclass(frozen=True, slots=True)
class TableProblem:
    """An unused line of a table, and the reason."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def parse_key_table(table: DataSet) -> tuple[dict[str, KeyTableEntry], list[TableProblem]]:
    """Return the keys by name, and the invalid lines. The first of two with the same name
    counts."""
    keys: dict[str, KeyTableEntry] = {}
    problems: list[TableProblem] = []
    for entry in table.entries:
        fields = tuple(part.strip() for part in entry.fields)
        if len(fields) not in (3, 4) or not all(fields):
            problems.append(
                TableProblem(entry.place, f"{entry.key}: write NAME DOMAIN:SELECTOR:/PATH/OF/KEY")
            )
        elif not fields[2].startswith(("/", "./", "../")):
            problems.append(
                TableProblem(
                    entry.place,
                    f"{entry.key}: the private key is in the table itself; put it into a file of "
                    "its own",
                )
            )
        elif entry.key in keys:
            problems.append(
                TableProblem(entry.place, f"{entry.key}: already in {keys[entry.key].place}")
            )
        else:
            keys[entry.key] = KeyTableEntry(entry.place, entry.key, *fields)
    return keys, problems


@dataclass(frozen=True, slots=True)
class SigningEntry:
    """One line of a SigningTable: authors that match `pattern` get the key `key_name`.

    `signer` is the second field, for the tag i=; empty if missing.
    """

    place: Place
    pattern: str
    key_name: str
    signer: str = ""

    @property
    def domain(self) -> str:
        """The domain in the pattern, in lower case; empty if there is none or several."""
        domain = self.pattern.rpartition("@")[2].lower().removeprefix(".")
        return "" if "*" in domain or "%" in domain else domain


class Glob:
    """A pattern in which ``*`` matches any text, including none; letters match in either case.

    Matching takes time proportional to the text, whatever the pattern.
    """

    __slots__ = ("_parts",)

    def __init__(self, pattern: str) -> None:
        self._parts = pattern.lower().split("*")

    def matches(self, text: str) -> bool:
        """Return whether the whole of `text`, in lower case, matches."""
        first, *middle = self._parts
        if not middle:
            return text == first
        last = middle.pop()
        if len(text) < len(first) + len(last):
            return False
        if not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


class SigningTable:
    """Finds the entries for an author. Immutable."""

    def __init__(self, is_refile: bool, entries: tuple[SigningEntry, ...]) -> None:
        self.is_refile = is_refile
        self.entries = entries
        self._exact: dict[str, list[int]] = {}
        self._globs: list[tuple[int, Glob]] = []
        for number, entry in enumerate(entries):
            pattern = entry.pattern.lower()
            head = pattern.removeprefix("*@")
            if is_refile and "*" in head:
                self._globs.append((number, Glob(pattern)))
            elif is_refile and head != pattern and "@" not in head:
                # *@example.org, by far the most common form: found by the domain
                self._exact.setdefault(f"@{head}", []).append(number)
            else:
                self._exact.setdefault(pattern, []).append(number)

    def lookup(self, address: str) -> tuple[SigningEntry, ...]:
        """Return every entry for the author `address`, in the order of opendkim.

        With MultipleSignatures opendkim uses all of them, otherwise only the first.
        """
        address = address.lower()
        if len(address) > MAX_ADDRESS or "@" not in address:
            return ()
        if not self.is_refile:
            return tuple(
                self.entries[number]
                for query in _queries(address)
                for number in self._exact.get(query, ())
            )
        domain = address.rpartition("@")[2]
        numbers = [*self._exact.get(address, ()), *self._exact.get(f"@{domain}", ())]
        numbers += [number for number, glob in self._globs if glob.matches(address)]
        return tuple(self.entries[number] for number in sorted(numbers))


def _queries(address: str) -> Iterator[str]:
    """Yield the keys that opendkim looks up in a table without patterns, in its order."""
    user, _, host = address.rpartition("@")
    above = list(ancestors(host))
    yield address
    yield host
    for domain in above:
        yield f"{user}@.{domain}"
    for domain in above:
        yield f".{domain}"
    yield f"{user}@*"
    yield "*"


def parse_signing_table(table: DataSet) -> tuple[SigningTable, list[TableProblem]]:
    """Return the entries of the table, and the lines that are invalid or can never match."""
    entries: list[SigningEntry] = []
    problems: list[TableProblem] = []
    for entry in table.entries:
        problem = _check_signing(entry, is_refile=table.kind == "refile")
        if problem:
            problems.append(TableProblem(entry.place, f"{entry.key}: {problem}"))
            continue
        fields = entry.fields
        signer = fields[1].strip() if len(fields) > 1 else ""
        entries.append(SigningEntry(entry.place, entry.key, fields[0].strip(), signer))
    return SigningTable(table.kind == "refile", tuple(entries)), problems


def _check_signing(entry: DataSetEntry, *, is_refile: bool) -> str:
    fields = entry.fields
    if not fields or not fields[0].strip():
        return "does not name a key of the KeyTable"
    if is_refile and "*" not in entry.key and "@" not in entry.key:
        return f"matches nobody: with refile:, write *@{entry.key}"
    if not is_refile and "*" in entry.key and not entry.key.endswith("@*") and entry.key != "*":
        return "is a pattern, and patterns only work with refile:"
    return ""
