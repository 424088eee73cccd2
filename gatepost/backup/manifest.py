"""Manifest of a backup: its version, its time, its parts and the checksum of its list."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatepost.errors import StartError

NAME = "manifest.json"
FORMAT = 1
"""The layout of the folder; an unknown one is refused."""
_MAX = 1 << 20
_WORD = re.compile(r"[a-z]{1,40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A complete backup. It is written last, so a folder without one is no backup."""

    version: str
    """The version of Gatepost that wrote it."""
    hostname: str
    time: str
    """When it began, in UTC, as in RFC 3339."""
    parts: dict[str, dict[str, int]]
    """By part: numbers by noun."""
    left_out: tuple[str, ...]
    """The parts that were left out on request."""
    list_sha256: str
    """The checksum of the list of files."""

    def text(self) -> str:
        """Return the JSON document."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a backup; raises `StartError`."""
    path = folder / NAME
    try:
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.read(_MAX))
        return _parse(path, found)
    except FileNotFoundError:
        raise StartError(f"{folder} has no complete backup: there is no {NAME}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StartError(f"{path} cannot be read: {error}") from None


def _parse(path: Path, found: Any) -> Manifest:
    if isinstance(found, dict) and found.get("format", FORMAT) != FORMAT:
        raise StartError(f"{path} was written by a later version of Gatepost")
    match found:
        case {
            "version": str(version),
            "hostname": str(hostname),
            "time": str(time),
            "parts": dict(parts),
            "left_out": list(left_out),
            "list_sha256": str(digest),
        } if _DIGEST.fullmatch(digest):
            for name, counts in parts.items():
                _check_part(name, counts)
            return Manifest(version, hostname, time, parts, tuple(map(str, left_out)), digest)
    raise ValueError("it is not a manifest")


def _check_part(name: str, counts: Any) -> None:
    if not _WORD.fullmatch(name) or not isinstance(counts, dict):
        raise ValueError(f"{name!r} is not a part")
    if not all(type(count) is int for count in counts.values()):
        raise ValueError(f"the numbers of {name} are not numbers")
