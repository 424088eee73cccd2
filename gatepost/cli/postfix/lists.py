"""Parser of Postfix lists: words separated by blanks or commas, and groups in braces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_BETWEEN = " ,\t\r\n"


def split(text: str) -> list[str]:
    """Split a list; a group keeps its outer braces, and an unclosed one its opening brace.

    It reads each character once.
    """
    items: list[str] = []
    depth, start = 0, -1  # where the current item begins
    for n, char in enumerate(text):
        if depth == 0 and char in _BETWEEN:
            if start >= 0:
                items.append(text[start:n])
                start = -1
            continue
        if start < 0:
            start = n
        if char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
    if start >= 0:
        items.append(text[start:])
    return items


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A milter or policy server with its own options: ``{ inet:host:port, timeout=10s }``."""

    address: str
    options: Mapping[str, str] = field(default_factory=dict)


def endpoint(item: str) -> Endpoint:
    """Parse an item of `split` as an address, with or without braces."""
    if not item.startswith("{"):
        return Endpoint(item)
    address, *rest = split(_inside(item)) or [""]
    options: dict[str, str] = {}
    for option in rest:
        name, _, value = _inside(option).partition("=")
        options[name.strip()] = value.strip()
    return Endpoint(address, options)


def _inside(item: str) -> str:
    return item[1:].removesuffix("}").strip() if item.startswith("{") else item
