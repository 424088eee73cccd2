"""Form of a snapshot, the same in transit and on disk.

It is text in UTF-8. The first line says which snapshot it is, each further line is a record, and
the last line is the seal::

    gatepost-snapshot 1 senders
    KEY<tab>JSON
    CHECKSUM<tab>{"generation":17,"lineage":"5f0c…","records":1,"tag":"93b1…"}

Keys are unique and in the order of their octets, so that a record is found without an index. `tag`
is the SHA-256 of everything before the seal; it identifies the content, regardless of its maker and
time. CHECKSUM is the SHA-256 of everything else. It reveals damage but not forgery: anybody who can
write to the file, or answer in place of accounts, is trusted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

FORMAT = 1
NAMES = ("dkim_keys", "greylist", "recipients", "senders", "stores")
"""Names of the snapshots that accounts makes."""
MEDIA_TYPE = "application/vnd.gatepost.snapshot"
GENERATION_FIELD = "Gatepost-Generation"
"""The header field with the generation that the content is known to be current for."""
LINEAGE_FIELD = "Gatepost-Lineage"
"""The header field with the lineage of the data: see `Seal`."""

MAX_SIZE = 128 << 20
"""Octets of a snapshot; 100,000 mailboxes take about 8 MB."""
MAX_KEY = 400
"""Octets of a key: an address and the word before it."""
MAX_LINE = 1 << 20
"""Octets of a line."""
MAX_GENERATION = 2**63 - 1

_WORD = re.compile(r"[0-9a-f]{0,64}\Z")
_TAG = re.compile(r"[0-9a-f]{64}\Z")


class SnapshotError(ValueError):
    """A snapshot cannot be used; the message is the part of a sentence that says why."""


class SnapshotSeal(NamedTuple):
    """The last line of a snapshot.

    `generation` is that of its data. `lineage` differs between databases, and changes when a backup
    is restored: within a lineage, generations grow.
    """

    generation: int
    lineage: str
    records: int
    tag: str


class SnapshotData:
    """A parsed and checked snapshot. Immutable."""

    def __init__(self, name: str, data: bytes, seal: SnapshotSeal, start: int, end: int) -> None:
        self.name = name
        self.data = data
        """The octets of the snapshot."""
        self.seal = seal
        self._start = start
        self._end = end

    def get(self, key: str) -> Any:
        """Return the value of a key, or None."""
        wanted = key.encode("utf-8", "surrogatepass")
        data, low, high = self.data, self._start, self._end
        while low < high:
            line = data.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = data.index(b"\n", line)
            tab = data.index(b"\t", line)
            found = data[line:tab]
            if found == wanted:
                return json.loads(data[tab + 1 : end])
            if found < wanted:
                low = end + 1
            else:
                high = line
        return None

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield all keys with their values, in order."""
        at = self._start
        while at < self._end:
            end = self.data.index(b"\n", at)
            key, _, value = self.data[at:end].partition(b"\t")
            yield key.decode(), json.loads(value)
            at = end + 1


def first_line(name: str) -> bytes:
    """Return the first line of a snapshot."""
    return f"gatepost-snapshot {FORMAT} {name}\n".encode()


def record(key: str, value: Any) -> bytes:
    """Return the line of a record; raises `SnapshotError` if it cannot be one."""
    line = f"{key}\t{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n".encode(
        "utf-8", "surrogatepass"
    )
    if len(line) > MAX_LINE or not _is_key(key.encode("utf-8", "surrogatepass")):
        raise SnapshotError(f"the record of {key[:80]!a} is too long, or its key is not valid")
    return line


def last_line(generation: int, lineage: str, records: int, before: Any) -> tuple[bytes, str]:
    """Return the seal and the tag; `before` is the hash of everything before the seal."""
    tag = before.hexdigest()
    seal = {"generation": generation, "lineage": lineage, "records": records, "tag": tag}
    text = json.dumps(seal, separators=(",", ":")).encode()
    whole = before.copy()
    whole.update(text)
    return b"%b\t%b\n" % (whole.hexdigest().encode(), text), tag


def parse(data: bytes, name: str, *, is_checked: bool = False) -> SnapshotData:
    """Read the snapshot `name`; raises `SnapshotError`.

    `is_checked`: its records were checked before, so only later damage is looked for.
    """
    if len(data) > MAX_SIZE:
        raise SnapshotError(f"it has more than {MAX_SIZE} octets")
    seal, start, end = _read_frame(data, name)
    if not is_checked:
        count = _check_records(data[start:end])
        if count != seal.records:
            raise SnapshotError(f"it has {count} records, not {seal.records}")
    return SnapshotData(name, data, seal, start, end)


def _read_frame(data: bytes, name: str) -> tuple[SnapshotSeal, int, int]:
    """Return the seal, and where the records begin and end."""
    first = data[: data.find(b"\n", 0, 200) + 1]
    words = first.split()
    if len(words) != 3 or words[0] != b"gatepost-snapshot":  # the parts of a line
        raise SnapshotError("it does not begin like a snapshot")
    if words[1] != b"%d" % FORMAT:
        raise SnapshotError("its format is that of another version of Gatepost")
    if words[2] != name.encode():
        raise SnapshotError(f"it is another snapshot than {name}")
    end = data.rfind(b"\n", 0, len(data) - 1) + 1
    checksum, _, text = data[end:].partition(b"\t")
    if not data.endswith(b"\n") or end < len(first):
        raise SnapshotError("its end is missing")
    hashed = hashlib.sha256(memoryview(data)[:end])
    tag = hashed.hexdigest()
    hashed.update(text[:-1])
    if hashed.hexdigest().encode() != checksum:
        raise SnapshotError("it is incomplete or damaged: the checksum is wrong")
    seal = _read_seal(text)
    if seal.tag != tag:
        raise SnapshotError("its tag does not match its content")
    return seal, len(first), end


def _read_seal(text: bytes) -> SnapshotSeal:
    try:
        seal = SnapshotSeal(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise SnapshotError("cannot parse its seal") from None
    numbers: tuple[object, ...] = (seal.generation, seal.records)
    if (
        not all(isinstance(one, int) and 0 <= one <= MAX_GENERATION for one in numbers)
        or not is_lineage(seal.lineage)
        or not is_tag(seal.tag)
    ):
        raise SnapshotError("its seal has invalid values")
    return seal


def is_tag(text: object) -> bool:
    """Return whether this can be the tag of a snapshot."""
    return isinstance(text, str) and _TAG.match(text) is not None


def is_lineage(text: object) -> bool:
    """Return whether this can be the lineage of a database."""
    return isinstance(text, str) and _WORD.match(text) is not None


def _check_records(records: bytes) -> int:
    """Return the number of records; raises `SnapshotError` unless all are valid and in order."""
    before, count, at = b"", 0, 0
    while at < len(records):
        end = records.index(b"\n", at)
        if end - at > MAX_LINE:
            raise SnapshotError(f"a record has more than {MAX_LINE} octets")
        key, tab, value = records[at:end].partition(b"\t")
        if not tab or not _is_key(key) or key <= before:
            raise SnapshotError("its records are not in order")
        try:
            key.decode()
            json.loads(value)
        except (ValueError, RecursionError):
            raise SnapshotError(f"the record of {key[:80]!a} cannot be read") from None
        before, at = key, end + 1
        count += 1
    return count


def _is_key(key: bytes) -> bool:
    return 0 < len(key) <= MAX_KEY and min(key) > 0x20  # SP
