"""The chart tests need helm: without it they fail, unless the machine says that it has none."""

from __future__ import annotations

import os

import pytest

from tests.chart.helm import WITHOUT_HELM, missing


@pytest.fixture(autouse=True, scope="session")
def _helm() -> None:
    if reason := missing():
        if os.environ.get(WITHOUT_HELM):
            pytest.skip(f"{reason}, and {WITHOUT_HELM} is set")
        pytest.fail(f"{reason}: install helm 3.14 or later, or set {WITHOUT_HELM}=1", pytrace=False)
