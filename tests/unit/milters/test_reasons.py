"""The codes that docs/reference/replies.md has for the milter are those of its replies."""

from __future__ import annotations

import ast
from pathlib import Path

from gatepost.shortage import DEFERRED
from milters.policy import Disposition, reply
from milters.reasons import reasons

MILTERS = Path(__file__).parents[3] / "milters"
TABLE = "policy.py"


def test_every_reply_of_the_code_has_the_codes_of_the_reference() -> None:
    told = reasons()
    found = set()
    for path in MILTERS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Reply"), args=[code, enhanced, _, reason]):
                    if path.name == TABLE:
                        continue
                    number, more, name = map(ast.literal_eval, (code, enhanced, reason))
                    assert told[name].codes == (f"{number} {more}",), name
                    found.add(name)
    # of the shared ground
    assert told[DEFERRED.reason].codes == (f"{DEFERRED.code} {DEFERRED.enhanced}",)
    found.add(DEFERRED.reason)
    own = {reason for reason, meaning in told.items() if len(meaning.codes) == 1}
    assert found == own


def test_the_replies_of_the_policy_table_have_the_codes_of_the_reference() -> None:
    for reason, meaning in reasons().items():
        if len(meaning.codes) == 2:
            later, never = (
                reply(Disposition(action, reason), "example.org") for action in ("defer", "reject")
            )
            assert str(later).startswith(f"{meaning.codes[0]} ")
            assert str(never).startswith(f"{meaning.codes[1]} ")
            assert not later.enhanced[1:].startswith(".1.")
