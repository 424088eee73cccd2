"""The REST API as ``gatepost accounts`` serves it, beside the logins of Postfix."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.accounts_process import SECRET, AccountsDaemon, people
from tests.testbed.process import ProcessDied
from tests.testbed.waiting import DEADLINE

ANNA = "anna@example.org"


class Api(http.client.HTTPConnection):
    """One connection to the API over its unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(str(self._path))

    def ask(
        self, method: str, path: str, password: str = SECRET, body: object = None
    ) -> tuple[int, Any]:
        """The status and the JSON of the answer to Anna."""
        basic = base64.b64encode(f"{ANNA}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        text = None if body is None else json.dumps(body)
        self.request(method, f"/api/v1{path}", text, {**headers, "If-Match": "*"})
        response = self.getresponse()
        received = response.read()
        return response.status, json.loads(received) if received else None


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[AccountsDaemon]:
    listen = {"http_listen": f"unix:{tmp_path / 'api.sock'}"}
    daemon = AccountsDaemon(tmp_path, listen)
    daemon.change(people)
    with daemon:
        yield daemon


@pytest.fixture
def api(gate: AccountsDaemon, tmp_path: Path) -> Iterator[Api]:
    connection = Api(tmp_path / "api.sock")
    yield connection
    connection.close()


def test_a_password_that_is_changed_here_is_that_of_submission(
    gate: AccountsDaemon, api: Api
) -> None:
    assert api.ask("GET", "/me")[0] == 200
    changed = {"current_password": SECRET, "password": "purple lantern walks"}
    status, answer = api.ask("PUT", "/me/password", body=changed)
    assert status < 300, answer
    assert gate.log_in(ANNA).startswith("FAIL")
    assert gate.log_in(ANNA, "purple lantern walks").startswith("OK")
    assert api.ask("GET", "/me")[0] == 401


def test_a_reload_changes_the_bounds_of_the_api(
    gate: AccountsDaemon, api: Api, tmp_path: Path
) -> None:
    large = {"enabled": False, "name": "x" * 5000}
    assert api.ask("PATCH", "/me/preferences", body=large)[0] == 422
    gate.write({"http_listen": f"unix:{tmp_path / 'api.sock'}", "http": {"max_body": 2000}})
    gate.daemon.wait_for_log(event="configuration reloaded")
    assert api.ask("PATCH", "/me/preferences", body=large)[0] == 413


def test_without_an_address_there_is_no_api_and_its_libraries_stay_out(tmp_path: Path) -> None:
    with AccountsDaemon(tmp_path) as gate:
        (ready,) = gate.daemon.log_entries(event="ready")
        assert ready["http_listen"] == []
    imported = "import sys, accounts.service; print({'starlette', 'uvicorn'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", imported], capture_output=True, check=True)
    assert told.stdout == b"set()\n"


def test_a_key_file_that_is_no_key_is_refused_at_the_start(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("short\n")
    key.chmod(0o600)
    daemon = AccountsDaemon(tmp_path)
    daemon.write({"database": {"url": daemon.database.url, "key_file": str(key)}})
    with pytest.raises(ProcessDied, match="key_file: the key file"):
        daemon.daemon.start()
    daemon.close()
