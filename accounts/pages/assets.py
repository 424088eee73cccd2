"""Files of the pages that never change: style sheets and scripts, served from memory.

Each URL has a digest of the content, so that a browser asks for it once.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: its URL below the path of the pages, its media type, and its octets."""

    url: str
    media_type: str
    octets: bytes
    compressed: bytes


@cache
def assets() -> dict[str, Asset]:
    """Return all files by name."""
    found = {}
    for place in (files("accounts.pages") / "static").iterdir():
        stem, _, ending = place.name.rpartition(".")
        if ending not in _TYPES:
            continue
        octets = place.read_bytes()
        digest = hashlib.sha256(octets).hexdigest()[:12]
        url = f"/static/{stem}.{digest}.{ending}"
        found[place.name] = Asset(url, _TYPES[ending], octets, gzip.compress(octets, 9, mtime=0))
    return found


def answer(asset: Asset, request: Request) -> Response:
    """Return a file, compressed if the browser takes it so."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
    octets = asset.compressed if takes_gzip(request) else asset.octets
    return Response(octets, media_type=asset.media_type, headers=headers)


def takes_gzip(request: Request) -> bool:
    """Return whether the browser takes compressed answers (RFC 9110 section 12.5.3)."""
    coded = request.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return "gzip" in coded
