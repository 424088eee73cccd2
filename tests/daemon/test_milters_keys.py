"""Which keys a running milter signs with: published ones, and what changes on disk and in DNS."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.key_pair import new_key
from msgauth.keys import SigningKey
from tests.daemon.milters import DOMAIN, INSIDE, SIMPLE, Milters
from tests.testbed.daemon import gatepost_command
from tests.testbed.dns import Behaviour, DnsServer
from tests.testbed.waiting import DEADLINE, wait_until

ZONE = f"""
["{DOMAIN}"]
SOA = "ns1.{DOMAIN}. admin.{DOMAIN}. 1 3600 600 86400 60"
NS = "ns1.{DOMAIN}"
["ns1.{DOMAIN}"]
A = "127.0.0.1"
"""


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as server:
        yield server


@pytest.fixture
def milters(tmp_path: Path, dns: DnsServer) -> Iterator[Milters]:
    daemon = Milters(tmp_path, dns)
    try:
        yield daemon
    finally:
        daemon.stop()


def signers(milters: Milters, author: str = f"user@{DOMAIN}") -> list[str]:
    """Selector and domain of each signature that a message gets."""
    raw = SIMPLE.replace(b"user@signer.example", author.encode())
    with milters.client(INSIDE) as client:
        result = client.message(raw)
    assert result.code == 250
    found = []
    for value in result.values("DKIM-Signature"):
        tags = dict(re.findall(r"\b([a-z]+)=([^;\s]+)", value))
        found.append(f"{tags['s']}@{tags['d']}")
    return sorted(found)


def reloaded(milters: Milters, generation: int) -> None:
    wait_until(
        lambda: milters.metric("gatepost_config_generation") == generation,
        f"generation {generation} in every process",
    )


def publish(dns: DnsServer, selector: str, pem: bytes, domain: str = DOMAIN) -> None:
    record = SigningKey.parse(pem).public_record()
    dns.add(f"{selector}._domainkey.{domain}", "TXT", record)


def put(path: Path, pem: bytes, mode: int = 0o600) -> None:
    """As `mv` puts it: whole, under its name at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(pem)
    temporary.chmod(mode)
    temporary.rename(path)


def test_a_key_that_is_not_published_does_not_sign(milters: Milters, dns: DnsServer) -> None:
    dns.remove(f"r._domainkey.{DOMAIN}")
    milters.start()
    assert signers(milters) == [f"e@{DOMAIN}"]
    assert milters.ready()
    assert milters.metric("gatepost_milters_keys", state="signing") == 1
    assert milters.metric("gatepost_milters_keys", state="unpublished") == 1
    (told,) = milters.log_entries(event="a key is not published correctly")
    assert told["record"] == f"r._domainkey.{DOMAIN}"
    assert told["signs"] is False


def test_a_key_with_another_record_does_not_sign(milters: Milters, dns: DnsServer) -> None:
    publish(dns, "e", new_key("ed25519"))
    milters.start()
    assert signers(milters) == [f"r@{DOMAIN}"]


def test_told_so_it_signs_without_a_record(milters: Milters, dns: DnsServer) -> None:
    dns.remove(f"r._domainkey.{DOMAIN}")
    milters.configure("require_published = false")
    milters.start()
    assert signers(milters) == [f"e@{DOMAIN}", f"r@{DOMAIN}"]


def test_dns_that_stops_does_not_stop_the_signatures(milters: Milters, dns: DnsServer) -> None:
    milters.start()
    for selector in "er":
        dns.misbehave(f"{selector}._domainkey.{DOMAIN}", Behaviour.SERVFAIL)
    milters.reload()
    reloaded(milters, 2)
    assert signers(milters) == [f"e@{DOMAIN}", f"r@{DOMAIN}"]


def test_dns_that_is_down_at_the_start(milters: Milters, dns: DnsServer) -> None:
    for selector in "er":
        dns.misbehave(f"{selector}._domainkey.{DOMAIN}", Behaviour.SERVFAIL)
    folder = milters.directory / "keys" / DOMAIN
    folder.joinpath("keys.toml").write_text(
        '["r"]\nstate = "active"\npublished = 2026-01-01T00:00:00Z\n["e"]\nstate = "active"\n'
    )
    milters.start()
    assert signers(milters) == [f"r@{DOMAIN}"], "what was seen in DNS signs, what nobody saw waits"
    assert milters.metric("gatepost_milters_keys", state="unknown") == 1
    assert milters.ready()


def test_a_key_from_new_to_signing_while_mail_flows(milters: Milters, dns: DnsServer) -> None:
    milters.start()

    def keys(*arguments: str) -> str:
        command = [str(gatepost_command()), "keys", *arguments, f"--config={milters.config}"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=DEADLINE
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = signers(milters)
    keys("new", DOMAIN, "--selector", "next", "--algorithm", "ed25519")
    value = keys("publish", DOMAIN, "next", "--form", "line").splitlines()[1]
    assert signers(milters) == before
    dns.add(f"next._domainkey.{DOMAIN}", "TXT", value)
    keys("check", DOMAIN, "next", "--port", str(dns.port))
    keys("activate", DOMAIN, "next", "--port", str(dns.port))
    wait_until(
        lambda: signers(milters) == [f"next@{DOMAIN}", f"r@{DOMAIN}"],
        "the new key to sign in place of the old one",
    )
    assert not milters.log_entries(level="error")


def test_a_key_that_breaks_leaves_the_old_ones_signing(milters: Milters, dns: DnsServer) -> None:
    other = new_key("ed25519")
    publish(dns, "s", other, "other.example")
    put(milters.directory / "keys" / "other.example" / "s.pem", other)
    milters.start()
    path = milters.directory / "keys" / DOMAIN / "r.pem"
    path.chmod(0o644)
    milters.reload()
    reloaded(milters, 2)
    assert signers(milters) == [f"e@{DOMAIN}", f"r@{DOMAIN}"]
    assert milters.metric("gatepost_milters_broken_keys") == 1
    assert milters.ready()
    (told,) = milters.log_entries(event="unusable key")
    assert told["old_keys_in_use"] is True
    assert f"chmod o-rwx {path}" in told["problem"]
    milters.restart()
    assert signers(milters) == [f"e@{DOMAIN}"]
    assert signers(milters, "user@other.example") == ["s@other.example"]
    assert milters.ready()


def test_a_secret_that_kubernetes_swaps(milters: Milters, dns: DnsServer) -> None:
    mount = milters.directory / "secret"
    old, new = new_key("ed25519"), new_key("ed25519")
    publish(dns, "old", old)
    publish(dns, "new", new)
    put(mount / "..1" / f"{DOMAIN}.old.pem", old, 0o440)
    (mount / "..data").symlink_to("..1")
    (mount / f"{DOMAIN}.old.pem").symlink_to(f"..data/{DOMAIN}.old.pem")
    milters.config.write_text(milters.config.read_text().replace('"keys"', f'"{mount}"'))
    milters.start()
    assert signers(milters) == [f"old@{DOMAIN}"]
    put(mount / "..2" / f"{DOMAIN}.new.pem", new, 0o440)
    (mount / "..data_tmp").symlink_to("..2")
    (mount / "..data_tmp").rename(mount / "..data")
    (mount / f"{DOMAIN}.new.pem").symlink_to(f"..data/{DOMAIN}.new.pem")
    (mount / f"{DOMAIN}.old.pem").unlink()
    wait_until(lambda: signers(milters) == [f"new@{DOMAIN}"], "the new key to sign")


def test_opendkims_tables_as_they_are(milters: Milters, dns: DnsServer) -> None:
    """Shape of docker-mailserver, one author apart, and a line that signs unaligned."""
    root = milters.directory / "opendkim"
    pems = {domain: new_key("ed25519") for domain in ("a.example", "b.example")}
    for domain, pem in pems.items():
        put(root / "keys" / domain / "mail.private", pem, 0o640)
        publish(dns, "mail", pem, domain)
    (root / "KeyTable").write_text(
        "".join(f"k.{d} {d}:mail:{root}/keys/{d}/mail.private\n" for d in pems)
    )
    table = root / "SigningTable"
    table.write_text("*@a.example k.a.example\nboss@b.example k.b.example\n* k.a.example\n")
    milters.configure(
        f'opendkim_key_table = "refile:{root}/KeyTable"\nopendkim_signing_table = "refile:{table}"'
    )
    milters.start()
    assert signers(milters, "user@a.example") == ["mail@a.example"]
    assert signers(milters, "user@sub.a.example") == ["mail@a.example"]
    assert signers(milters, "boss@b.example") == ["mail@b.example"]
    assert signers(milters, "user@b.example") == []
    (told,) = milters.log_entries(event="unusable key")
    assert f"{table}:3: * would sign mail of any matching domain" in told["problem"]
    table.write_text("*@a.example k.a.example\n*@b.example k.b.example\n")
    wait_until(lambda: signers(milters, "user@b.example") == ["mail@b.example"], "the new table")
    assert signers(milters) == [f"e@{DOMAIN}", f"r@{DOMAIN}"], "the folder, for all others"


def test_a_key_file_of_a_table_is_seen_to_change(milters: Milters, dns: DnsServer) -> None:
    """It becomes readable, as the log asks for, and is replaced in its place."""
    root = milters.directory / "opendkim"
    file = root / "mail.private"
    old, new = new_key("ed25519"), new_key("ed25519")
    put(file, old, 0o644)
    publish(dns, "mail", old, "a.example")
    (root / "KeyTable").write_text(f"k a.example:mail:{file}\n")
    (root / "SigningTable").write_text("*@a.example k\n")
    milters.configure(
        f'opendkim_key_table = "file:{root}/KeyTable"\n'
        f'opendkim_signing_table = "refile:{root}/SigningTable"'
    )
    milters.start()
    assert signers(milters, "user@a.example") == []
    file.chmod(0o640)
    wait_until(lambda: signers(milters, "user@a.example") == ["mail@a.example"], "the key")
    put(file, new, 0o640)
    wait_until(lambda: signers(milters, "user@a.example") == [], "the new key, unpublished")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it runs the daemon as another user")
def test_keys_that_the_daemon_cannot_read_are_told_and_their_mail_waits(dns: DnsServer) -> None:
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # root without its privilege over files: another user may not reach the checkout
        privilege = "-dac_override,-dac_read_search"
        powerless = ("setpriv", f"--inh-caps={privilege}", f"--bounding-set={privilege}")
        milters = Milters(folder, dns, tcp=True, within=powerless)
        other = new_key("ed25519")
        publish(dns, "s", other, "other.example")
        put(folder / "keys" / "other.example" / "s.pem", other)
        for path in (folder / "keys" / DOMAIN).iterdir():
            os.chown(path, 65534, 65534)
        milters.launch()
        try:
            milters.wait_for_log(event="listening")
            wait_until(lambda: told(milters) != "", "an answer of /readyz")
            assert not milters.ready()
            assert f"{folder}/keys/{DOMAIN}/e.pem: cannot be read: permission denied" in told(
                milters
            )
            assert milters.metric("gatepost_milters_unreadable_keys") == 2
            with milters.client(INSIDE) as client:
                assert client.message(SIMPLE).code == 451
            assert signers(milters, "user@other.example") == ["s@other.example"]
            (waited,) = milters.log_entries(unsigned="key-unreadable")
            assert waited["action"] == "defer"
            for path in (folder / "keys" / DOMAIN).iterdir():
                os.chown(path, 0, 0)
            wait_until(
                lambda: milters.metric("gatepost_milters_unreadable_keys") == 0,
                "every process to see that it may read the keys",
            )
            assert milters.ready()
            assert signers(milters) == [f"e@{DOMAIN}", f"r@{DOMAIN}"]
        finally:
            milters.stop()


def told(milters: Milters) -> str:
    """Return the text of `/readyz` when it is not ready."""
    url = f"http://127.0.0.1:{milters.metrics_port}/readyz"
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        pass
    return ""


def test_a_key_folder_that_is_not_there_is_no_readiness(milters: Milters) -> None:
    keys = milters.directory / "keys"
    keys.rename(milters.directory / "elsewhere")
    milters.launch()
    milters.wait_for_log(event="listening")
    wait_until(
        lambda: f"{keys}: cannot be read: No such file" in told(milters), "/readyz to say so"
    )
    (milters.directory / "elsewhere").rename(keys)
    wait_until(milters.ready, "the milter to see its keys")
    reloaded(milters, 2)
    assert signers(milters) == [f"e@{DOMAIN}", f"r@{DOMAIN}"]
