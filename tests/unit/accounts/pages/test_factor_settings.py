"""Settings of second factors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from accounts.cli.section import SECTION
from accounts.http.factor_rule import FactorRule
from accounts.pages.settings import PagesSettings
from accounts.settings import AccountsSettings


@pytest.mark.parametrize("host", ["", "pages.example.org", "localhost", "xn--bcher-kva.example"])
def test_hosts(host: str) -> None:
    assert PagesSettings(host=host).host == host


@pytest.mark.parametrize(
    "given",
    [
        {"host": "https://a.example"},
        {"host": "a.example:443"},
        {"host": "A.example"},
        {"host": ".example"},
        {"host": "a..example"},
        {"host": "a" * 300},
        {"host": "a.example."},
        {"second_factor": "yes"},
    ],
)
def test_what_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PagesSettings(**given)


def test_the_check_tells_that_apps_need_a_key_file(tmp_path: Path) -> None:
    for rule in FactorRule:
        for key in (None, str(tmp_path / "key")):
            settings = AccountsSettings.model_validate(
                {
                    "database": {"url": f"sqlite:///{tmp_path}/x.db"}
                    | ({} if key is None else {"key_file": key}),
                    "pages": {"enabled": True, "second_factor": rule.value},
                }
            )
            told = dict(SECTION.advice(settings))
            is_told = key is None and rule is not FactorRule.OPTIONAL
            assert ("accounts.pages.second_factor" in told) is is_told
