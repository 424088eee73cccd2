"""Where the test suites of others are, and how a test skips without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _find() -> Path | None:
    named = os.environ.get("GATEPOST_CONFORMANCE")
    if named:
        return Path(named)
    above = Path(__file__).resolve().parents[2:]
    return next((p for p in (a / "shared/conformance" for a in above) if p.is_dir()), None)


ROOT = _find()
"""The folder of the suites: GATEPOST_CONFORMANCE names it, else it is ``shared/conformance``
beside the checkout or above; None when there is none."""


def suite(name: str) -> Path:
    """Return the path of a file or folder of the suites; skip the calling module without it."""
    if ROOT is None or not (ROOT / name).exists():
        pytest.skip(
            f"needs {name} of the conformance suites: set GATEPOST_CONFORMANCE to their folder",
            allow_module_level=True,
        )
    return ROOT / name
