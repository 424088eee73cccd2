"""The page about rules shows a rule and its script as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

from accounts.sieve import MAX_RULES, MAX_SCRIPT, compile_rules, parse_rule
from accounts.sieve.actions import RuleAction
from accounts.sieve.conditions import Condition
from accounts.sieve.fields import Match

PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_rule_becomes_the_script() -> None:
    script = compile_rules([parse_rule(json.loads(block("json")))])
    assert script == block("sieve").replace("\n", "\r\n")


def test_every_kind_is_described() -> None:
    for kinds in (Condition, RuleAction):
        for model in get_args(get_args(kinds)[0]):
            kind = model.model_fields["kind"].default
            (row,) = re.findall(rf"^\|[^|]*`{kind}`[^|]*\|.*$", PAGE, re.MULTILINE)
            for name, field in model.model_fields.items():
                if name not in ("kind", "negate"):
                    assert f"`{field.alias or name}`" in row
    for word in get_args(Match):
        assert f"`{word}`" in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{MAX_RULES} rules" in PAGE
    assert f"{MAX_SCRIPT:,} octets" in PAGE
