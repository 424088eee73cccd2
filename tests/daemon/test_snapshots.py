"""Data of accounts in the milter and the policy server, each a process of its own."""

from __future__ import annotations

import secrets
import shutil
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.directory import aliases, dkim_keys, mailboxes, preferences
from accounts.store.transaction import Write
from tests.daemon.policyd_process import PolicyDaemon
from tests.daemon.snapshot_site import OURS, ZONE, Site
from tests.testbed.daemon import gatepost_command
from tests.testbed.dns import DnsServer
from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.waiting import wait_until


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, dns: DnsServer) -> Iterator[Site]:
    made = Site(tmp_path, dns)
    try:
        yield made
    finally:
        made.close()


def test_a_key_activated_in_accounts_signs_and_a_retired_one_stops(site: Site) -> None:
    site.add_key("one")
    site.accounts.daemon.start()
    site.milters.start()
    site.wait_for()
    site.activate("one")
    site.wait_for("one")
    site.add_key("two")
    site.activate("two")
    site.wait_for("two")
    site.accounts.change(lambda write: dkim_keys.retire(write, OURS, "two"))
    site.wait_for()
    assert not site.milters.log_entries(level="error")
    assert site.milters.metric("gatepost_snapshot_failures_total") == 0
    assert site.milters.metric("gatepost_snapshot_fetched_total", snapshot="dkim_keys") == 4
    (kept,) = site.state.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.state.stat().st_mode) == 0o700


def test_every_message_is_signed_while_keys_change(site: Site) -> None:
    site.add_key("k0")
    site.activate("k0")
    site.accounts.daemon.start()
    site.milters.start()
    site.wait_for("k0")
    for number in range(1, 4):
        site.add_key(f"k{number}")
        site.activate(f"k{number}")
        seen = [site.selectors()]
        while seen[-1] != [f"k{number}"]:
            seen.append(site.selectors())
        assert [] not in seen


def test_the_milter_signs_while_accounts_is_away_and_after_its_own_restart(site: Site) -> None:
    site.add_key("one")
    site.activate("one")
    site.accounts.daemon.start()
    site.milters.start()
    site.wait_for("one")
    generation = site.milters.metric("gatepost_snapshot_generation", snapshot="dkim_keys")
    site.accounts.daemon.kill()
    site.milters.wait_for_log(event="no new snapshot", why="away")
    assert site.selectors() == ["one"]
    site.milters.restart()
    assert site.selectors() == ["one"], "at the first message after the start"
    site.milters.wait_for_log(event="snapshot from disk in use until accounts answers")
    assert site.milters.metric("gatepost_snapshot_generation") == generation
    site.accounts.daemon.start()
    site.add_key("two")
    site.activate("two")
    site.wait_for("two")


def test_without_any_snapshot_mail_waits_and_the_milter_is_not_ready(site: Site) -> None:
    site.add_key("one")
    site.activate("one")
    site.milters.launch()
    site.milters.wait_for_log(event="listening")
    wait_until(lambda: "accounts has not sent dkim_keys yet" in readiness(site), "/readyz")
    assert site.selectors() == ["451"]
    waited = site.milters.wait_for_log(unsigned="key-unreadable")
    assert waited["action"] == "defer"
    site.accounts.daemon.start()
    site.wait_for("one")
    wait_until(site.milters.ready, "the milter to be ready")


def test_a_damaged_snapshot_on_disk_is_told_and_fetched_again(site: Site) -> None:
    site.add_key("one")
    site.activate("one")
    site.accounts.daemon.start()
    site.milters.start()
    site.wait_for("one")
    site.milters.stop()
    site.accounts.daemon.stop()
    (kept,) = site.state.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    site.milters.launch()
    told = site.milters.wait_for_log(event="snapshot on disk not used")
    assert "its end is missing" in told["problem"]
    wait_until(lambda: site.selectors() == ["451"], "mail to wait")
    site.accounts.daemon.start()
    site.wait_for("one")
    wait_until(lambda: kept.read_bytes() == whole, "the disk to have it again")


def test_a_snapshot_that_others_can_read_is_not_used(site: Site) -> None:
    site.add_key("one")
    site.activate("one")
    site.accounts.daemon.start()
    site.milters.start()
    site.wait_for("one")
    site.milters.stop()
    site.accounts.daemon.stop()
    (kept,) = site.state.iterdir()
    kept.chmod(0o644)
    site.milters.launch()
    told = site.milters.wait_for_log(event="snapshot on disk not used")
    assert "open to others (mode 0644, not 0600)" in told["problem"]


def test_keys_are_used_that_the_disk_does_not_take(site: Site) -> None:
    """The folder is a file, which is as good as a full disk."""
    site.state.write_text("no folder")
    site.add_key("one")
    site.activate("one")
    site.accounts.daemon.start()
    site.milters.start()
    site.wait_for("one")
    told = site.milters.wait_for_log(event="no new snapshot", why="disk")
    assert str(site.state) in told["problem"]
    assert site.milters.metric("gatepost_snapshot_failures_total", why="disk") >= 1
    site.add_key("two")
    site.activate("two")
    site.wait_for("two")


def test_a_token_over_tcp(site: Site) -> None:
    """The token of plain data does not give keys, nor does a wrong one."""
    port = free_port()
    tokens = {name: secrets.token_hex(32) for name in ("plain", "keys")}
    for name, token in tokens.items():
        (site.folder / name).write_text(token + "\n")
        (site.folder / name).chmod(0o600)
    shown = site.folder / "shown"
    shown.write_text(tokens["plain"])
    shown.chmod(0o600)
    site.serve(
        snapshot_listen=f"inet:{port}@{LOOPBACK}",
        snapshots={
            "token_file": str(site.folder / "plain"),
            "keys_token_file": str(site.folder / "keys"),
        },
    )
    site.configure(f'token_file = "{shown}"', url=f"http://{LOOPBACK}:{port}")
    site.add_key("one")
    site.activate("one")
    site.accounts.daemon.start()
    site.milters.launch()
    told = site.milters.wait_for_log(event="no new snapshot", why="refused")
    assert "the token is not right" in told["problem"]
    assert site.selectors() == ["451"]
    site.accounts.daemon.wait_for_log(event="a snapshot was refused: no token for it")
    shown.write_text(tokens["keys"])
    site.wait_for("one")
    assert tokens["keys"] not in site.milters.log.read_text()
    assert tokens["keys"] not in site.accounts.daemon.log.read_text()
    for name in ("senders", "recipients", "stores"):
        assert fetch(port, name, tokens["plain"]) == 200
        assert fetch(port, name, "wrong") == 401
        assert fetch(port, name, None) == 401
    assert fetch(port, "dkim_keys", tokens["plain"]) == 401
    assert fetch(port, "nothing", tokens["keys"]) == 404


def test_a_key_that_cannot_be_unsealed_lets_the_mail_of_its_domain_wait(site: Site) -> None:
    site.add_key("one")
    site.activate("one")
    site.key_file.unlink()
    shutil.copy("/dev/null", site.key_file)
    site.serve(database={"url": site.accounts.database.url})
    site.accounts.daemon.start()
    site.milters.start()
    assert site.selectors() == ["451"]
    told = site.milters.wait_for_log(event="unusable key from accounts", domain=OURS)
    assert "the key file does not have" in told["problem"]
    other = b"From: user@signer.example\r\n\r\nHello\r\n"
    assert site.selectors(other) == ["e", "r"]


def test_a_restored_backup_is_followed_and_told(site: Site) -> None:
    site.add_key("one")
    site.activate("one")
    backup = site.folder / "backup"
    site.accounts.daemon.start()
    config = f"--config={site.accounts.config}"
    subprocess.run([gatepost_command(), "accounts", "backup", config, str(backup)], check=True)
    site.milters.start()
    site.wait_for("one")
    for selector in ("two", "three"):
        site.add_key(selector)
        site.activate(selector)
    site.wait_for("three")
    subprocess.run(
        [gatepost_command(), "accounts", "restore", config, "--yes", str(backup)], check=True
    )
    site.wait_for("one")
    told = site.milters.wait_for_log(
        event="the data of accounts were replaced; the new data are in use"
    )
    # one that no daemon has seen, although the data are older
    assert told["generation"] > told["before"]


def mailbox_world(write: Write) -> None:
    for name in ("anna", "bob"):
        mailboxes.add(write, f"{name}@{OURS}")
    aliases.add(write, f"info@{OURS}", targets=[f"anna@{OURS}"], members_may_send=True)
    preferences.change(write, f"anna@{OURS}", None, greylist=False)


def test_the_policy_server_knows_owners_and_wishes(site: Site, tmp_path: Path) -> None:
    site.accounts.change(mailbox_world)
    folder = tmp_path / "policyd"
    folder.mkdir()
    policyd = PolicyDaemon(
        folder,
        {
            "store": {"kind": "memory"},
            "ownership": {"enabled": True, "failure_mode": "tempfail"},
            "accounts": {
                "url": f"unix:{site.socket}",
                "senders": True,
                "greylist": True,
                "folder": str(folder / "state"),
            },
        },
    )

    def send(sender: str) -> str:
        with policyd.connect() as client:
            return client.ask(
                request="smtpd_access_policy", protocol_state="RCPT", sasl_username=f"bob@{OURS}",
                sender=sender, recipient="x@far.example", client_address="192.0.2.1",
            ).partition(" ")[0]  # fmt: skip

    def receive(recipient: str) -> str:
        with policyd.connect() as client:
            return client.ask(
                request="smtpd_access_policy", protocol_state="RCPT", sasl_username="",
                sender="x@far.example", recipient=recipient, client_address="192.0.2.1",
            ).partition(" ")[0]  # fmt: skip

    policyd.daemon.launch()
    try:
        wait_until(policyd.socket.exists, "the socket")
        assert send(f"bob@{OURS}").startswith("451"), "nobody knows yet"
        site.accounts.daemon.start()
        wait_until(lambda: send(f"bob@{OURS}") == "DUNNO", "the rights")
        wait_until(lambda: receive(f"anna@{OURS}") == "DUNNO", "the preferences")
        assert send(f"info@{OURS}") == "553"
        assert receive(f"info+x@{OURS}") == "DUNNO"
        assert receive(f"bob@{OURS}") == "DEFER_IF_PERMIT"
        site.accounts.change(
            lambda write: aliases.change(write, f"info@{OURS}", None, targets=[f"bob@{OURS}"])
        )
        wait_until(lambda: send(f"info@{OURS}") == "DUNNO", "the new member")
        wait_until(lambda: receive(f"info@{OURS}") == "DEFER_IF_PERMIT", "his preferences")
        # without exceptions on its disk it would not be ready after the restart
        policyd.daemon.wait_for_log(event="snapshot from accounts in use", snapshot="greylist")
        site.accounts.daemon.kill()
        policyd.daemon.restart()
        assert send(f"info@{OURS}") == "DUNNO"
        assert receive(f"anna@{OURS}") == "DUNNO"
    finally:
        policyd.daemon.stop()


def test_the_milter_knows_owners(site: Site) -> None:
    site.accounts.change(mailbox_world)
    site.configure("senders = true", "ownership.enforce = true")
    site.milters.launch()
    site.milters.wait_for_log(event="listening")

    def send(author: str) -> int:
        with site.milters.client("192.0.2.1") as client:
            return client.message(
                f"From: {author}\r\n\r\nHello\r\n".encode(), macros={"{auth_authen}": f"bob@{OURS}"}
            ).code

    assert send(f"bob@{OURS}") == 451
    told = site.milters.wait_for_log(reason="owners-unknown")
    assert told["action"] == "defer"
    site.accounts.daemon.start()
    own = f"bob@{OURS}"
    wait_until(lambda: [send(own) for _ in range(9)] == [250] * 9, "all workers to know")
    assert send(f"anna@{OURS}") == 550
    assert send(f"info@{OURS}") == 550
    assert send("bob@far.example") == 550


def fetch(port: int, name: str, token: str | None) -> int:
    """Return the status of the answer to a question."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"http://{LOOPBACK}:{port}/snapshots/v1/{name}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def readiness(site: Site) -> str:
    """Return the text of `/readyz`."""
    url = f"http://127.0.0.1:{site.milters.metrics_port}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""
