"""The check that `helm test` runs, with a real Postfix and the milter."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.postfix.conftest import StartPostfix
from tests.postfix.site import Site, open_directory, running_site
from tests.testbed.postfix import HOSTNAME, default_services

SCRIPT = Path(__file__).resolve().parents[2] / "k8s" / "chart" / "files" / "check.py"


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("helm_check", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_directory() as folder, running_site(folder) as running:
        yield running


def environment(port: int, **more: str) -> dict[str, str]:
    return {
        "CHECK_SMTP": f"127.0.0.1:{port}",
        "CHECK_HOSTNAME": HOSTNAME,
        "CHECK_DOMAIN": "gatepost.test",
        **more,
    }


def run(
    check: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
) -> tuple[int, list[str]]:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status: int = check.main()
    return status, capsys.readouterr().out.splitlines()


def test_a_system_that_works_passes(
    check: ModuleType,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variables = environment(site.postfix.port(), CHECK_MILTER=site.milters.postfix)
    status, lines = run(check, monkeypatch, capsys, variables)
    assert (status, [line[:4] for line in lines]) == (0, ["ok  "] * 3), lines
    assert "EHLO" in lines[0]
    assert "reaches the milter" in lines[1]


def test_another_server_does_not_pass(
    check: ModuleType,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variables = environment(site.postfix.port(), CHECK_HOSTNAME="mx.example.net")
    status, lines = run(check, monkeypatch, capsys, variables)
    assert status == 1
    assert lines[0].startswith("FAIL the greeting is not from mx.example.net: 220")


def test_nobody_there_does_not_pass(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = environment(9, CHECK_POLICY="unix:/nowhere/policyd")
    monkeypatch.setattr(check, "TIMEOUT", 15)
    status, lines = run(check, monkeypatch, capsys, variables)
    assert (status, [line[:4] for line in lines]) == (1, ["FAIL"] * 3)


def test_a_milter_that_is_down_does_not_pass(
    check: ModuleType,
    start_postfix: StartPostfix,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    postfix = start_postfix(default_services(milters="inet:127.0.0.1:9"))
    status, lines = run(check, monkeypatch, capsys, environment(postfix.port()))
    assert status == 1
    assert lines[-1].startswith("FAIL MAIL (does Postfix reach the milter?): 451")


def test_a_policy_server_that_is_down_does_not_pass(
    check: ModuleType,
    start_postfix: StartPostfix,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    postfix = start_postfix(
        default_services(policy="{ inet:127.0.0.1:9, timeout=2s, try_limit=1 }")
    )
    status, lines = run(check, monkeypatch, capsys, environment(postfix.port()))
    assert status == 1
    assert lines[-1].startswith("FAIL RCPT (does Postfix reach the policy server?): 451 4.3.5")


def test_an_open_relay_does_not_pass(
    check: ModuleType,
    start_postfix: StartPostfix,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    postfix = start_postfix(default_services())
    postfix.configure(
        "mx", mynetworks="127.0.0.0/8", smtpd_recipient_restrictions="permit_mynetworks, reject"
    )
    status, lines = run(check, monkeypatch, capsys, environment(postfix.port()))
    assert status == 1
    assert lines[-1].startswith("FAIL this pod may relay")
