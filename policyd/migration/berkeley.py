"""Reader of B-tree files of Berkeley DB (versions 3 to 6), such as those of postgrey.

It reads the meta page, the path to the first leaf, and the chain of leaves with their items on the
page or on overflow pages: all that is needed to find every key and value. It uses no library,
because the one that wrote the file may no longer be installed. All offsets are checked; a truncated
or damaged file raises `BerkeleyError` and nothing else.

If postgrey is running or was killed, some of its data may still be only in its log files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from gatepost.files import open_regular
from policyd.errors import PolicydError

MAX_FILE = 4 << 30
"""Maximum size of a file in bytes: postgrey with a million triplets has some 150 MB."""
MAX_VALUE = 1 << 20
"""Maximum bytes of one key or value."""

_MAGIC = 0x053162
_META_SIZE = 512
_HEADER = 26  # bytes of a page before its table of items
_INTERNAL, _LEAF, _OVERFLOW, _META = 3, 5, 7, 9
_KEYDATA, _OVERFLOW_ITEM = 1, 3
_DELETED = 0x80
_CHECKSUM_FLAG = 0x01
_ENCRYPTED_OFFSET, _META_FLAGS_OFFSET = 24, 26


class BerkeleyError(PolicydError):
    """The file is no Berkeley DB B-tree, or it is damaged; the message says what is wrong where."""


def read_btree(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield every key with its value, in the order of the keys; raises `BerkeleyError`."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise BerkeleyError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise BerkeleyError(f"{path}: larger than {MAX_FILE} bytes")
    try:
        yield from _Tree(data).pairs()
    except BerkeleyError as error:
        raise BerkeleyError(f"{path}: {error}") from None


class _Tree:
    def __init__(self, data: bytes) -> None:
        self._data = data
        if len(data) < _META_SIZE:
            raise BerkeleyError("too short for a Berkeley DB")
        for order in "<>":
            if struct.unpack_from(f"{order}I", data, 12)[0] == _MAGIC and data[25] == _META:
                self._order = order
                break
        else:
            raise BerkeleyError("no B-tree of Berkeley DB")
        (self._page_size,) = self._unpack("I", 20)
        if self._page_size < 512 or self._page_size > 65536 or self._page_size & 511:
            raise BerkeleyError(f"a page size of {self._page_size} cannot be")
        if data[_ENCRYPTED_OFFSET]:
            raise BerkeleyError("it is encrypted")
        # with checksums enabled, 8 bytes of checksum follow the header of each page
        self._items_at = _HEADER + (8 if data[_META_FLAGS_OFFSET] & _CHECKSUM_FLAG else 0)
        (self._root,) = self._unpack("I", 88)

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self._order + form, self._data, at)
        except struct.error:
            raise BerkeleyError(f"it ends before byte {at}") from None

    def _page(self, number: int) -> int:
        """Return the offset of a page."""
        at = number * self._page_size
        if number == 0 or at + self._page_size > len(self._data):
            raise BerkeleyError(f"there is no page {number}")
        return at

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        number = self._first_leaf()
        seen: set[int] = set()
        while number:
            if number in seen:
                raise BerkeleyError(f"page {number} comes twice")
            seen.add(number)
            yield from self._leaf(number)
            (number,) = self._unpack("I", self._page(number) + 16)

    def _first_leaf(self) -> int:
        number = self._root
        for _ in range(256):  # the level of a page is one byte
            at = self._page(number)
            kind = self._data[at + 25]
            if kind == _LEAF:
                return number
            if kind != _INTERNAL:
                raise BerkeleyError(f"page {number} is of the kind {kind}")
            # BINTERNAL: length (2), type (1), unused (1), page number (4)
            (number,) = self._unpack("I", self._item(number, 0) + 4)
        raise BerkeleyError("the tree has no bottom")

    def _item(self, page: int, index: int) -> int:
        """Return the offset of an item of a page."""
        at = self._page(page)
        (inside,) = self._unpack("H", at + self._items_at + 2 * index)
        if inside + 3 > self._page_size:
            raise BerkeleyError(f"item {index} of page {page} lies outside")
        return at + inside

    def _leaf(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        at = self._page(number)
        if self._data[at + 25] != _LEAF:
            raise BerkeleyError(f"page {number} is no leaf")
        (entries,) = self._unpack("H", at + 20)
        for index in range(0, entries - 1, 2):
            key, value = self._value(number, index), self._value(number, index + 1)
            if key is not None and value is not None:
                yield key, value

    def _value(self, page: int, index: int) -> bytes | None:
        """Return an item; None if it is deleted."""
        at = self._item(page, index)
        kind = self._data[at + 2]
        if kind & _DELETED:
            return None
        if kind == _KEYDATA:
            (length,) = self._unpack("H", at)
            if at + 3 + length > self._page(page) + self._page_size:
                raise BerkeleyError(f"item {index} of page {page} is too long")
            return self._data[at + 3 : at + 3 + length]
        if kind == _OVERFLOW_ITEM:
            number, length = self._unpack("II", at + 4)
            return self._overflow(number, length)
        raise BerkeleyError(f"item {index} of page {page} is of the kind {kind}")

    def _overflow(self, number: int, length: int) -> bytes:
        if length > MAX_VALUE:
            raise BerkeleyError(f"a value of {length} bytes")
        found = bytearray()
        while number and len(found) < length:
            at = self._page(number)
            if self._data[at + 25] != _OVERFLOW:
                raise BerkeleyError(f"page {number} is no overflow page")
            (here,) = self._unpack("H", at + 22)  # hf_offset: how many bytes are on this page
            if not 0 < here <= self._page_size - self._items_at:
                raise BerkeleyError(f"page {number} is damaged")
            found += self._data[at + self._items_at : at + self._items_at + here]
            (number,) = self._unpack("I", at + 16)
        if len(found) != length:
            raise BerkeleyError("a value is incomplete")
        return bytes(found)
