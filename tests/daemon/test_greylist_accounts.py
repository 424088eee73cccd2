"""The greylist of real policy servers, searched and changed through accounts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.directory import daemon_states, domains, tokens
from accounts.directory.daemon_states import DaemonState
from tests.daemon.accounts_process import AccountsDaemon
from tests.daemon.policyd_process import PolicyDaemon
from tests.daemon.valkey_server import ValkeyServer
from tests.testbed.daemon import gatepost_command
from tests.testbed.waiting import wait_until

MAIL = {"client_address": "192.0.2.7", "client_name": "unknown", "recipient": "ann@example.org"}


class GreylistSite:
    """Accounts and a policy server that asks it."""

    def __init__(self, folder: Path, store: dict[str, Any]) -> None:
        self.folder = folder
        self.accounts = AccountsDaemon(folder / "accounts")
        self.accounts.write(
            {
                "snapshot_listen": f"unix:{folder}/snapshots.sock",
                "http_listen": f"unix:{folder}/api.sock",
            }
        )
        self.accounts.change(lambda write: domains.add(write, "example.org"))
        source = {"url": f"unix:{folder}/snapshots.sock", "greylist": True}
        self.policyd = PolicyDaemon(
            folder / "policyd",
            {"accounts": source | {"folder": str(folder / "state")}, **store},
        )
        _, text = self.accounts.change(lambda w: tokens.add(w, "x", scopes=["all:write"]))
        self.token = folder / "token"
        self.token.write_text(text)
        self.token.chmod(0o600)

    def start(self) -> None:
        self.accounts.daemon.start()
        self.policyd.daemon.start()
        wait_until(self.states, "the first report")

    def states(self) -> list[DaemonState]:
        found = self.accounts.read(lambda c: daemon_states.find(c, 0))
        return [one for one in found if one.component == "policyd"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        command = ["curl", "-sS", "--max-time", "20", "-X", method]
        command += ["--unix-socket", f"{self.folder}/api.sock"]
        command += ["-H", f"Authorization: Bearer {self.token.read_text()}"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        run = subprocess.run(
            [*command, f"http://x/api/v1{path}"], capture_output=True, text=True, check=True
        )
        return json.loads(run.stdout) if run.stdout else None

    def found(self, text: str) -> list[str]:
        answer = self.call("GET", f"/greylist?text={text}")
        assert answer["missing"] == [], answer
        assert answer["problems"] == [], answer
        assert answer["answered"]
        return sorted(one["recipient"] for one in answer["items"])

    def command(self, *words: str) -> str:
        command = [str(gatepost_command()), "greylist-exception", *words]
        command += ["--config", str(self.accounts.config)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return run.stdout

    def close(self) -> None:
        self.policyd.__exit__()
        self.accounts.close()


@pytest.fixture(params=["sqlite", "valkey"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GreylistSite]:
    if request.param == "sqlite":
        site = GreylistSite(tmp_path / "site", {})
        try:
            site.start()
            yield site
        finally:
            site.close()
        return
    (tmp_path / "valkey").mkdir()
    with ValkeyServer(tmp_path / "valkey") as server:
        site = GreylistSite(tmp_path / "site", {"store": {"kind": "valkey", "url": server.url}})
        try:
            site.start()
            yield site
        finally:
            site.close()


def test_search_allow_and_forget(site: GreylistSite) -> None:
    assert "[greylist-new]" in site.policyd.ask(**MAIL, sender="x@x.example")
    for text in ("192.0.2.7", "x@x.example", "ann@example"):
        assert site.found(text) == ["ann@example.org"]
    answer = site.call("POST", "/greylist/forget", {"text": "x@x.example"})
    assert answer["forgotten"] == 1
    assert site.found("192.0.2.7") == []

    # an exception is in use within seconds, without a restart
    body = {"kind": "client", "pattern": "192.0.2.7", "note": "a bank"}
    made = site.call("POST", "/domains/example.org/greylist-exceptions", body)
    wait_until(
        lambda: not site.policyd.ask(**MAIL, sender="y@x.example").startswith("DEFER"),
        "the exception to be in use",
    )
    assert site.policyd.ask(
        **{**MAIL, "recipient": "bob@other.example"}, sender="z@x.example"
    ).startswith("DEFER")
    assert "192.0.2.7" in site.command("list")
    assert "removed" in site.command("remove", str(made["id"]))
    wait_until(
        lambda: site.policyd.ask(**MAIL, sender="new@x.example").startswith("DEFER"),
        "the exception to be gone",
    )
    assert "added: sender @x.example" in site.command("add", "sender", "@x.example")


def test_the_state_of_the_policy_server_comes_and_goes(site: GreylistSite) -> None:
    # it began without data from accounts
    wait_until(
        lambda: [(one.problems, one.remarks) for one in site.states()] == [((), ())],
        "the policy server to be well",
    )
    shown = site.call("GET", "/overview")
    assert {one["component"] for one in shown["daemons"]} >= {"policyd", "accounts"}
    assert all(one["is_well"] for one in shown["daemons"]), shown["daemons"]
    site.policyd.daemon.stop()
    wait_until(lambda: not site.states(), "the policy server to be gone")
    answer = site.call("GET", "/greylist?text=x")
    assert (answer["answered"], answer["missing"]) == ([], [])


def test_a_policy_server_that_was_killed_is_missing(site: GreylistSite) -> None:
    site.policyd.daemon.kill()
    answer = site.call("GET", "/greylist?text=x")
    assert answer["answered"] == []
    assert len(answer["missing"]) == 1
    site.policyd.daemon.start()
    assert site.found("x@x.example") == []
