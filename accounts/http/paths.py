"""Paths of the API."""

from __future__ import annotations

from urllib.parse import quote

ROOT = "/api/v1"


def location(*parts: str | int) -> str:
    """Return the path of an object; each part is escaped."""
    # "@" may stand in a path (RFC 3986 section 3.3)
    return "/".join((ROOT, *(quote(str(part), safe="@") for part in parts)))
