"""Autoconfig as ``gatepost accounts`` serves it, switched on and off while it runs."""

from __future__ import annotations

import plistlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.accounts_process import AccountsDaemon, people
from tests.daemon.test_accounts_api import Api
from tests.testbed.certificate import self_signed
from tests.testbed.waiting import wait_until
from tests.unit.accounts.autoconfig.offered import ALL, checked_config, question, without_namespaces

THUNDERBIRD = "/mail/config-v1.1.xml?emailaddress=anna@example.org"
PROFILE = "/email.mobileconfig?email=anna@example.org"
OUTLOOK = "/autodiscover/autodiscover.xml"


class Programs(Api):
    """Mail programs over one connection."""

    def fetch(self, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return the status and the octets of an answer."""
        self.request(method, target, body, {"Content-Type": "text/xml"})
        response = self.getresponse()
        return response.status, response.read()


@pytest.fixture
def settings(tmp_path: Path) -> Mapping[str, Any]:
    return {"http_listen": f"unix:{tmp_path / 'api.sock'}"}


@pytest.fixture
def gate(tmp_path: Path, settings: Mapping[str, Any]) -> Iterator[AccountsDaemon]:
    daemon = AccountsDaemon(tmp_path, settings)
    daemon.change(people)
    with daemon:
        yield daemon


@pytest.fixture
def programs(gate: AccountsDaemon, tmp_path: Path) -> Iterator[Programs]:
    connection = Programs(tmp_path / "api.sock")
    yield connection
    connection.close()


def test_a_reload_offers_it_and_signs_profiles(
    gate: AccountsDaemon, programs: Programs, settings: Mapping[str, Any], tmp_path: Path
) -> None:
    assert programs.fetch("GET", THUNDERBIRD)[0] == 404
    gate.write({**settings, "autoconfig": ALL})
    wait_until(lambda: programs.fetch("GET", THUNDERBIRD)[0] == 200, "autoconfig to be offered")
    checked_config(programs.fetch("GET", THUNDERBIRD)[1])
    assert programs.fetch("GET", THUNDERBIRD.replace("example.org", "other.example"))[0] == 404
    (account,) = plistlib.loads(programs.fetch("GET", PROFILE)[1])["PayloadContent"]
    assert account["EmailAddress"] == "anna@example.org"
    status, answer = programs.fetch("POST", OUTLOOK, question("anna@example.org"))
    assert (status, without_namespaces(answer).findtext(".//LoginName")) == (
        200,
        "anna@example.org",
    )
    pem = tmp_path / "profile.pem"
    pem.write_text("".join(self_signed("mail.example.org")))
    pem.chmod(0o640)
    gate.write({**settings, "autoconfig": {**ALL, "profile_key_file": str(pem)}})
    wait_until(lambda: programs.fetch("GET", PROFILE)[1][:1] == b"\x30", "profiles to be signed")
    # a key that cannot be used signs nothing, and no profile goes out without a signature
    pem.write_text("nothing")
    wait_until(lambda: programs.fetch("GET", PROFILE)[0] == 503, "the new file to be seen")
    assert programs.fetch("GET", THUNDERBIRD)[0] == 200


def test_ten_megabytes_are_refused_and_others_are_served(
    gate: AccountsDaemon, settings: Mapping[str, Any], tmp_path: Path
) -> None:
    gate.write({**settings, "autoconfig": ALL})
    other = Programs(tmp_path / "api.sock")
    wait_until(lambda: other.fetch("GET", THUNDERBIRD)[0] == 200, "autoconfig to be offered")
    for _ in range(3):
        large = Programs(tmp_path / "api.sock")
        assert large.fetch("POST", OUTLOOK, b"<a>" + b"x" * (10 << 20))[0] == 413
        large.close()
        assert other.fetch("POST", OUTLOOK, question("anna@example.org"))[0] == 200
    other.close()


def test_config_check_reads_the_key_of_profiles(tmp_path: Path) -> None:
    pem = tmp_path / "profile.pem"
    pem.write_text("nothing")
    pem.chmod(0o640)
    daemon = AccountsDaemon(tmp_path, {"autoconfig": {**ALL, "profile_key_file": str(pem)}})
    command = [sys.executable, "-m", "gatepost.cli", "config", "check", "--config"]
    done = subprocess.run(
        [*command, str(daemon.config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "accounts.autoconfig.profile_key_file" in done.stdout + done.stderr
    pem.write_text("".join(self_signed("mail.example.org")))
    done = subprocess.run(
        [*command, str(daemon.config)], capture_output=True, text=True, check=False
    )
    assert "profile_key_file" not in done.stdout + done.stderr
