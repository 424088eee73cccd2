"""Stored passwords that other programs made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "passwords.json").read_text()
)
