"""Writes docs/reference/openapi.json from the operations and models of the API."""

from __future__ import annotations

from pathlib import Path

from accounts.http import openapi

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    (ROOT / "docs/reference/openapi.json").write_text(openapi.text(), encoding="utf-8")
