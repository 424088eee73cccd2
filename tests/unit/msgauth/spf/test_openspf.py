"""The openspf test suites: each scenario is a zone, each test a client that sends."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from msgauth.ask import NXDOMAIN, TEMPFAIL, Answer, Question, Rcode
from msgauth.drive import solve
from msgauth.mail_address import MailAddress
from msgauth.spf import check_mail_from
from tests.conformance import suite

SUITES = {
    name: list(yaml.safe_load_all(suite(f"spf/{name}.yml").read_text(encoding="utf-8")))
    for name in ("rfc7208-tests", "rfc4408-tests")
}

MAX_CNAMES = 8


class SuiteZone:
    """The `zonedata` of a scenario. SPF records stand for TXT where a name has no TXT of its own,
    TIMEOUT answers every type that the name has no records of."""

    def __init__(self, zonedata: Mapping[str, list[Any]]) -> None:
        self._names = {name.lower(): records for name, records in zonedata.items()}

    def __call__(self, question: Question) -> Answer:
        name = question.name.lower()
        for _ in range(MAX_CNAMES):
            if name not in self._names:
                return NXDOMAIN
            entries = self._names[name]
            records = list(self._records(entries, question.rdtype))
            if records:
                return Answer(Rcode.OK, tuple(records))
            if "TIMEOUT" in entries:
                return TEMPFAIL
            aliases = [e["CNAME"] for e in entries if isinstance(e, dict) and "CNAME" in e]
            if not aliases:
                return Answer(Rcode.OK)
            name = aliases[0].lower().rstrip(".")
        return TEMPFAIL

    def _records(self, entries: list[Any], rdtype: str) -> Iterator[str]:
        tables = [entry for entry in entries if isinstance(entry, dict)]
        wanted = rdtype
        if rdtype == "TXT" and not any("TXT" in table for table in tables):
            wanted = "SPF"
        for table in tables:
            value = table.get(wanted)
            if value is None or value == "NONE":
                continue
            if rdtype == "MX":
                yield f"{value[0]} {value[1]}"
            elif isinstance(value, list):
                yield "".join(value)
            else:
                yield str(value)


def _cases() -> Iterator[Any]:
    for suite_name, scenarios in SUITES.items():
        for scenario in scenarios:
            for name, case in scenario["tests"].items():
                label = f"{suite_name}/{scenario['description']}/{name}"
                yield pytest.param(scenario["zonedata"], case, id=label)


@pytest.mark.parametrize(("zonedata", "case"), list(_cases()))
def test_the_result_is_one_that_the_suite_allows(
    zonedata: Mapping[str, list[Any]], case: Mapping[str, Any]
) -> None:
    result = solve(
        check_mail_from(
            ipaddress.ip_address(case["host"]),
            case["helo"],
            MailAddress.parse(case["mailfrom"] or ""),
        ),
        SuiteZone(zonedata),
    )
    allowed = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert result.status in allowed, result
    if result.status == "fail" and "explanation" in case:
        wanted = "" if case["explanation"] == "DEFAULT" else case["explanation"]
        assert result.explanation == wanted
