"""docs/policy.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from milters.policy import METHODS, PRESETS, Disposition, reason_id, reply
from milters.policy_settings import PolicyAction, PolicySettings

TEXT = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()


def reasons() -> list[str]:
    section = PolicySettings()
    return [
        reason_id(method, outcome)
        for method in METHODS
        for outcome in type(getattr(section, method)).model_fields
    ]


def test_every_reason_id_is_explained_with_its_reply() -> None:
    rows = [row for row in TEXT.splitlines() if row.startswith("| `")]
    for reason in reasons():
        (row,) = [row for row in rows if re.search(rf"`{reason}`", row)]
        action: PolicyAction = "defer" if "temperror" in reason else "reject"
        told = reply(Disposition(action, reason), "example.org")
        assert f"{told.code} {told.enhanced}" in row, reason


def test_the_presets_are_as_in_the_code() -> None:
    shown: dict[tuple[str, str], list[str]] = {}
    for row in TEXT.splitlines():
        match = re.match(r"\| `(\w+)\.(\w+)`[^|]*\| (\w+) \| (\w+) \| (\w+) \|", row)
        if match:
            shown[match[1], match[2]] = [match[3], match[4], match[5]]
    written = {key for table in PRESETS.values() for key in table}
    assert written <= shown.keys()
    for key, actions in shown.items():
        presets = [PRESETS[name].get(key, "accept") for name in ("default", "strict", "report")]
        assert presets == actions, key
