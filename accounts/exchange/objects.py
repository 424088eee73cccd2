"""Objects of a JSON or YAML tree, read field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from accounts.exchange.notes import SourceError, SourcePlace


class WrongTypeError(ValueError):
    """A field has another type than expected; the message names the field, never the value."""


class Fields:
    """An object of a tree. A field that is missing or null reads as its default."""

    def __init__(self, values: Mapping[str, Any], place: SourcePlace) -> None:
        self.values = values
        self.place = place

    def text(self, *names: str) -> str:
        """Return the first of the fields that is there as text without blanks around it."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                return str(value).strip()
            if value is not None:
                raise WrongTypeError(f"{name} is not text")
        return ""

    def flag(self, name: str, default: bool) -> bool:
        """Return a truth value; 0 and 1 count."""
        value = self.values.get(name)
        if value is None:
            return default
        if value in (True, False):
            return bool(value)
        raise WrongTypeError(f"{name} is neither true nor false")

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
            return value
        raise WrongTypeError(f"{name} is not a whole number")

    def texts(self, name: str) -> list[str]:
        """Return a list of text; one text with commas is a list, too."""
        value = self.values.get(name)
        if value is None:
            return []
        if isinstance(value, str):
            return [part for one in value.split(",") if (part := one.strip())]
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return [part for one in value if (part := one.strip())]
        raise WrongTypeError(f"{name} is not a list of text")

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list."""
        value = self.values.get(name)
        if value is None:
            return
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise WrongTypeError(f"{name} is not a list of objects")
        for one in value:
            yield Fields(one, self.place)


def root_of(file: str, tree: Any) -> Fields:
    """Return the document as an object; raise `SourceError` if it is not one."""
    if not isinstance(tree, dict):
        raise SourceError(f"{file}: expected an object at the top level")
    return Fields(tree, SourcePlace(file))
