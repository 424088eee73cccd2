"""Golden files: a message, its zone, the results expected (see tests/vectors/README.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatepost.dns import Zone
from msgauth.message import HeaderField, parse_message

VECTORS = Path(__file__).parents[2] / "vectors"


def messages(kind: str) -> list[Path]:
    """All golden messages for ``dkim`` or ``arc``."""
    folders = (VECTORS / kind, VECTORS / "private" / kind)
    return [path for folder in folders for path in sorted(folder.glob("*.eml"))]


def check(path: Path, results: Callable[[tuple[HeaderField, ...], bytes, int, Zone], Any]) -> None:
    """Compare what `results` makes of the message with its JSON; write a .got if they differ."""
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    zone = Zone.read(path.with_suffix(".zone.toml"))
    fields, body = parse_message(path.read_bytes())
    got = {"now": expected["now"], "results": results(fields, body, expected["now"], zone)}
    if got == expected:
        return
    path.with_suffix(".got").write_text(json.dumps(got, indent=2) + "\n", encoding="utf-8")
    pytest.fail(f"{path.with_suffix('.got')} differs from {path.with_suffix('.json').name}")
