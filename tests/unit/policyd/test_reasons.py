"""Every reason id that a reply can have is explained, and none that is explained is dead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from policyd.checks.client import RULES
from policyd.checks.tables import REASONS as TABLES
from policyd.reasons import REASONS
from policyd.settings import CheckName

CHECKS = Path(__file__).parents[3] / "policyd" / "checks"


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    reasons = {rule.reason for rule in RULES}
    reasons |= {f"denied-{word}" for word in TABLES}
    reasons |= {f"{name}-unavailable" for name in get_args(CheckName)}
    for path in CHECKS.glob("*.py"):
        reasons |= set(re.findall(r'^REASON\w* = "([^"]+)"', path.read_text(), re.MULTILINE))
    reasons.add("limit-")
    assert reasons == set(REASONS)
