"""Every reason id that a reply can have is explained, and none that is explained is dead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from gatepost.reply import Reply
from gatepost.shortage import DEFERRED
from policyd.action import defer_if_permit, refuse
from policyd.bounds import BUSY
from policyd.checks import client
from policyd.checks.tables import REASONS as TABLES
from policyd.reasons import REASONS, reply
from policyd.settings import CheckName

CHECKS = Path(__file__).parents[3] / "policyd" / "checks"


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    reasons = {rule.reason for rule in vars(client).values() if isinstance(rule, client.Rule)}
    reasons |= {f"denied-{word}" for word in TABLES}
    reasons |= {f"{name}-unavailable" for name in get_args(CheckName)}
    for path in CHECKS.glob("*.py"):
        reasons |= set(re.findall(r'^REASON\w* = "([^"]+)"', path.read_text(), re.MULTILINE))
    reasons |= {"limit-", DEFERRED.reason, BUSY.reason}
    assert reasons == set(REASONS)


def test_the_codes_of_a_reply_are_those_of_the_table() -> None:
    for reason, meaning in REASONS.items():
        for code in meaning.codes:
            told = reply(reason, "text", temporary=code.startswith("4"))
            assert f"{told.code} {told.enhanced}" == code
            assert str(refuse(told)).startswith(f"{code} text [{reason}")
    with pytest.raises(ValueError, match="dnslist has no 4xx code"):
        reply("dnslist", "text", temporary=True)


@pytest.mark.parametrize("enhanced", ["4.1.8", "4.1.1", "4.1.25"])
def test_a_code_that_postfix_rewrites_is_a_mistake(enhanced: str) -> None:
    told = Reply(450, enhanced, "text")
    for action in (refuse, defer_if_permit):
        with pytest.raises(ValueError, match=r"x\.1\.x"):
            action(told)
