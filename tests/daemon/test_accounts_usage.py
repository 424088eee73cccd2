"""`gatepost user show` says what a mailbox holds, as far as a doveadm says so."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.directory import mailboxes, tokens
from tests.daemon.accounts_process import AccountsDaemon, people
from tests.daemon.doveadm_server import KEY, DoveadmServer
from tests.testbed.daemon import gatepost_command
from tests.testbed.ports import free_port

ANNA = "anna@example.org"


@pytest.fixture
def servers() -> Iterator[list[DoveadmServer]]:
    """Two of them; the second one has the mailbox."""
    made = [DoveadmServer(), DoveadmServer()]
    made[1].usage[ANNA] = 1536
    for one in made:
        one.start()
    yield made
    for one in made:
        one.close()


def shown(folder: Path, *urls: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    key = folder / "key"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    dovecot = {"doveadm_url": list(urls), "doveadm_key_file": str(key)} if urls else {}
    daemon = AccountsDaemon(folder, {"dovecot": dovecot})
    daemon.change(people)
    command = [
        str(gatepost_command()),
        "user",
        "show",
        ANNA,
        "--json",
        "--config",
        str(daemon.config),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_server_that_has_it_is_believed(tmp_path: Path, servers: list[DoveadmServer]) -> None:
    done = shown(tmp_path, *(one.url for one in servers))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["usage"], found["messages"]) == (1536 * 1024, 3)


def test_the_service_asks_for_a_command_over_the_api(
    tmp_path: Path, servers: list[DoveadmServer]
) -> None:
    """The host of the command knows nothing of doveadm."""
    key, token = tmp_path / "key", tmp_path / "token"
    key.write_text(f"{KEY}\n")
    api = f"unix:{tmp_path}/api.sock"
    urls = [*(one.url for one in servers), f"http://127.0.0.1:{free_port()}"]
    dovecot = {"doveadm_url": urls, "doveadm_key_file": str(key)}
    gate = AccountsDaemon(tmp_path / "gate", {"http_listen": api, "dovecot": dovecot})
    gate.change(people)
    gate.change(lambda w: mailboxes.change(w, ANNA, None, quota=2_000_000))
    _, text = gate.change(lambda w: tokens.add(w, "test", scopes=["all:read"]))
    token.write_text(text)
    for file in (key, token):
        file.chmod(0o600)
    other = tmp_path / "other.toml"
    other.write_text(f'[accounts.database]\nurl = "sqlite:///{tmp_path}/none.db"\n')
    with gate:
        gate.log_in(ANNA)
        options = ("--api", api, "--token-file", str(token), "--config", str(other))
        command = [str(gatepost_command()), "user", "show", ANNA, *options]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "1.5 MiB in 3 messages" in shown.stdout
        found = call(tmp_path / "api.sock", f"/api/v1/mailboxes/{ANNA}/usage", text)
        assert found | {"last_login": None} == {
            "address": ANNA,
            "octets": 1536 * 1024,
            "messages": 3,
            "quota": 2_000_000,
            "last_login": None,
        }
        told = gate.daemon.wait_for_log(event="usage unknown")
        assert (told["url"], told["error"]) == (urls[2], "Connection refused")


def call(path: Path, target: str, token: str) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(
            f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        received = b"".join(iter(lambda: client.recv(65536), b""))
    found: dict[str, object] = json.loads(received.partition(b"\r\n\r\n")[2])
    return found


def test_nobody_who_knows_is_no_error(tmp_path: Path, servers: list[DoveadmServer]) -> None:
    assert json.loads(shown(tmp_path / "without").stdout)["usage"] is None
    done = shown(tmp_path / "empty", servers[0].url)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["usage"] is None
    servers[1].broken = True
    away = f"http://127.0.0.1:{free_port()}"
    done = shown(tmp_path / "broken", away, servers[1].url)
    assert done.returncode == 0
    assert json.loads(done.stdout)["usage"] is None
    first, second = done.stderr.splitlines()
    assert first == f"doveadm at {away}: Connection refused"
    assert second == f"doveadm at {servers[1].url}: it answers 500"
