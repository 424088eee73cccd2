"""Form: the fields that a browser has sent, bounded in size and number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from urllib.parse import parse_qsl

from accounts.http.problems import ApiProblem, WrongField

MAX_FORM = 256 << 10
"""Octets of a form; the longest one has the conditions of a filter."""
MAX_FIELDS = 1000
"""Fields of a form."""

_SIZE = re.compile(r"\s*(\d{1,16})(?:[.,](\d{1,3}))?\s*([kmgt]?)i?b?\s*\Z", re.IGNORECASE)
_FACTOR = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class WebForm:
    """The fields of a form. A field may come more than once."""

    def __init__(self, fields: dict[str, list[str]] | None = None) -> None:
        self._fields = fields or {}

    @classmethod
    def parse(cls, octets: bytes) -> WebForm:
        """Read a body of the type application/x-www-form-urlencoded; raises `ApiProblem`."""
        try:
            pairs = parse_qsl(
                octets.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_FIELDS,
            )
        except ValueError:
            raise ApiProblem(HTTPStatus.BAD_REQUEST, "The form cannot be read.") from None
        fields: dict[str, list[str]] = {}
        for name, value in pairs:
            fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
        return cls(fields)

    def __bool__(self) -> bool:
        return bool(self._fields)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def text(self, name: str) -> str:
        """Return a field without spaces around it; empty if it is missing."""
        return self._fields.get(name, [""])[0].strip()

    def secret(self, name: str) -> str:
        """Return a field exactly as it was typed, for a password."""
        return self._fields.get(name, [""])[0]

    def lines(self, name: str) -> list[str]:
        """Return the lines of a field that are not empty; commas separate, too."""
        parts = self._fields.get(name, [""])[0].replace(",", "\n").split("\n")
        return [part.strip() for part in parts if part.strip()]

    def all(self, name: str) -> list[str]:
        """Return all values of a field that may come more than once."""
        return list(self._fields.get(name, ()))

    def flag(self, name: str) -> bool:
        """Return whether a box is ticked."""
        return name in self._fields

    def number(self, name: str, least: int, most: int) -> int:
        """Return a whole number; raises `ApiProblem`."""
        text = self.text(name)
        if text.isascii() and text.isdecimal() and len(text) < 16 and least <= int(text) <= most:
            return int(text)
        raise wrong(name, f"It must be a whole number from {least} to {most}.")

    def size(self, name: str) -> int | None:
        """Return a size in octets, such as ``2 GB``; None if it is empty. Raises `ApiProblem`."""
        text = self.text(name)
        if not text:
            return None
        found = _SIZE.match(text) if text.isascii() else None
        if found is None:
            raise wrong(name, "Write a size such as 500 MB or 2 GB.")
        whole, part, unit = found.groups()
        factor: int = 1000 ** _FACTOR[unit.lower()]
        return int(whole) * factor + int((part or "").ljust(3, "0")) * factor // 1000

    def day(self, name: str) -> date | None:
        """Return a day; None if it is empty. Raises `ApiProblem`."""
        text = self.text(name)
        if not text:
            return None
        try:
            return date.fromisoformat(text[:20])
        except ValueError:
            raise wrong(name, "Write a day such as 2030-12-31.") from None

    def last_moment(self, name: str) -> int | None:
        """Return the end of a day in UTC, in seconds since the epoch; None if it is empty.

        Raises `ApiProblem`.
        """
        day = self.day(name)
        if day is None:
            return None
        try:
            after = datetime.combine(day + timedelta(days=1), time(), UTC)
        except OverflowError:
            raise wrong(name, "Write a day such as 2030-12-31.") from None
        return int(after.timestamp())


def wrong(field: str, text: str) -> ApiProblem:
    """Return the error for a field."""
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, text, errors=[WrongField(field, text)])
