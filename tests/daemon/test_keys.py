"""`gatepost keys` with real name servers: two for the zone, of which one may lag behind."""

from __future__ import annotations

import base64
import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gatepost.key_pair import new_key
from milters.cli.keys import keys
from msgauth.keys import SigningKey
from tests.testbed.dns import Behaviour, DnsServer
from tests.testbed.primary import Primary
from tests.testbed.waiting import DEADLINE

COMMAND = (sys.executable, "-m", "gatepost.cli", "keys")
SECRET = b"0123456789abcdef0123456789abcdef"
ZONE = """
["example.org"]
SOA = "ns1.example.org. admin.example.org. 1 3600 600 86400 60"
NS = ["ns1.example.org", "ns2.example.org"]
["ns1.example.org"]
A = "127.0.0.2"
["ns2.example.org"]
A = "127.0.0.3"
["mail.example.org"]
A = "192.0.2.1"
"""


@dataclass
class Run:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Bench:
    """The primary, a secondary that is told by hand, and the command with both of them."""

    primary: Primary
    secondary: DnsServer
    folder: Path
    config: Path
    tsig: Path
    in_process: bool = True

    def keys(self, *arguments: str) -> Run:
        words = [*arguments, "--config", str(self.config)]
        if self.in_process:
            result = CliRunner().invoke(keys, words)
            assert result.exception is None or isinstance(result.exception, SystemExit)
            return Run(result.exit_code, result.stdout, result.stderr)
        done = subprocess.run(
            [*COMMAND, *words], capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    def look(self, *arguments: str) -> Run:
        return self.keys(*arguments, "--port", str(self.primary.port))

    def update(self, *arguments: str) -> Run:
        return self.keys(*arguments, "--server", self.primary.address, "--tsig-key", str(self.tsig))

    def new(self, *arguments: str, algorithm: str = "ed25519") -> list[str]:
        run = self.keys("new", "example.org", "--algorithm", algorithm, "--json", *arguments)
        assert run.code == 0, run.err
        return [key["selector"] for key in run.json["keys"]]

    def transfer(self) -> None:
        """The secondary gets what the primary has."""
        self.secondary.zone = self.primary.zone

    def states(self) -> dict[str, str]:
        return {key["selector"]: key["state"] for key in self.keys("list", "--json").json["keys"]}


def pair() -> tuple[Primary, DnsServer]:
    """Two servers on two loopback addresses and one port, as name servers share port 53."""
    for _ in range(50):
        primary = Primary(ZONE, "example.org", {"gatepost": SECRET}, host="127.0.0.2")
        try:
            return primary, DnsServer(ZONE, host="127.0.0.3", port=primary.port)
        except OSError as error:
            primary.close()
            if error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("no port is free on both addresses")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    primary, secondary = pair()
    folder = tmp_path / "keys"
    config = tmp_path / "gatepost.toml"
    config.write_text(f'[dns]\nnameservers = ["{primary.address}"]\n[milters]\nkeys = "{folder}"\n')
    tsig = tmp_path / "tsig.key"
    secret = base64.b64encode(SECRET).decode()
    tsig.write_text(f'key "gatepost" {{\n\talgorithm hmac-sha256;\n\tsecret "{secret}";\n}};\n')
    tsig.chmod(0o600)
    with primary, secondary:
        yield Bench(primary, secondary, folder, config, tsig)


def name(selector: str) -> str:
    return f"{selector}._domainkey.example.org"


def test_the_whole_life_of_a_key(bench: Bench) -> None:
    bench.in_process = False
    (first,) = bench.new()
    assert bench.states() == {first: "new"}
    assert bench.update("publish", "example.org").code == 0
    bench.transfer()
    assert bench.look("check", "example.org").code == 0
    assert bench.states() == {first: "published"}
    assert bench.look("activate", "example.org").code == 0
    assert bench.states() == {first: "active"}

    (second,) = bench.new()
    assert second != first
    assert bench.update("publish", "example.org").code == 0
    bench.transfer()
    activated = bench.look("activate", "example.org")
    assert activated.code == 0, activated.err
    assert f"gatepost keys revoke example.org {first}" in activated.out
    assert bench.states() == {first: "retired", second: "active"}

    early = bench.update("revoke", "example.org", first)
    assert early.code == 1
    assert "was retired recently" in early.err
    assert bench.update("revoke", "example.org", first, "--now").code == 0
    assert bench.states() == {first: "revoked", second: "active"}
    (record,) = bench.primary.zone.entries[name(first)].records["TXT"]
    assert record == "v=DKIM1; k=ed25519; p="
    bench.transfer()
    assert bench.look("check").code == 0


def test_one_server_lags(bench: Bench) -> None:
    (selector,) = bench.new()
    bench.update("publish", "example.org")
    checked = bench.look("check", "example.org")
    assert checked.code == 1
    port = bench.primary.port
    assert f"  ns1.example.org ([127.0.0.2]:{port}): has the record\n" in checked.out
    assert f"  ns2.example.org ([127.0.0.3]:{port}): there is no TXT record\n" in checked.out
    refused = bench.look("activate", "example.org")
    assert refused.code == 1
    assert "not every name server has every record" in refused.err
    assert bench.states() == {selector: "new"}
    bench.transfer()
    assert bench.look("activate", "example.org").code == 0
    assert bench.states() == {selector: "active"}


def test_one_server_has_the_old_record(bench: Bench) -> None:
    (selector,) = bench.new("--selector", "mail")
    bench.secondary.add(name(selector), "TXT", "v=DKIM1; k=rsa; p=")
    bench.update("publish", "example.org")
    found = bench.look("check", "example.org", "--json").json["keys"][0]
    assert found["seen"] == "revoked"
    assert [server["seen"] for server in found["servers"]] == ["published", "revoked"]


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (Behaviour.REFUSE, "answers REFUSED"),
        (Behaviour.SERVFAIL, "answers SERVFAIL"),
        (Behaviour.TRUNCATE_ALWAYS, "there is no TXT record"),
    ],
)
def test_one_server_is_broken(bench: Bench, behaviour: Behaviour, told: str) -> None:
    (selector,) = bench.new()
    bench.update("publish", "example.org")
    bench.transfer()
    bench.secondary.misbehave(name(selector), behaviour)
    refused = bench.look("activate", "example.org")
    assert refused.code == 1
    assert told in refused.out
    assert bench.states() == {selector: "new"}


def test_one_server_is_gone(bench: Bench) -> None:
    bench.new()
    bench.update("publish", "example.org")
    bench.secondary.close()
    refused = bench.look("activate", "example.org")
    assert refused.code == 1
    assert "ns2.example.org" in refused.out
    assert "cannot be reached" in refused.out or "does not answer" in refused.out


def test_a_name_server_that_does_not_know_the_zone(bench: Bench) -> None:
    bench.new()
    bench.update("publish", "example.org")
    bench.primary.add("example.org", "NS", "ns1.example.org", "nowhere.example.org")
    checked = bench.look("check", "example.org")
    assert checked.code == 1
    assert "nowhere.example.org, a name server of example.org, has no address" in checked.out


def test_told_servers_are_asked_instead(bench: Bench) -> None:
    (selector,) = bench.new()
    bench.update("publish", "example.org")
    asked = bench.keys("check", "example.org", "--server", bench.primary.address)
    assert asked.code == 0
    assert bench.secondary.asked(name(selector)) == 0
    assert bench.states() == {selector: "new"}, "one server is not all of them"
    by_name = bench.keys(
        "check", "example.org", "--server", f"ns1.example.org:{bench.primary.port}"
    )
    assert by_name.code == 0, by_name.out


def test_both_algorithms_and_large_answers(bench: Bench) -> None:
    selectors = bench.new(algorithm="both")
    assert bench.update("publish", "example.org").code == 0
    bench.transfer()
    for selector in selectors:
        bench.primary.misbehave(name(selector), Behaviour.TRUNCATE)
    assert bench.look("activate", "example.org").code == 0
    assert set(bench.states().values()) == {"active"}


def test_an_alias_is_followed_to_its_own_servers(bench: Bench) -> None:
    (selector,) = bench.new("--selector", "mail")
    record = bench.keys("publish", "example.org", "--form", "line").out.splitlines()[1]
    for server in (bench.primary, bench.secondary):
        server.add(name("mail"), "CNAME", "mail.provider.example")
    for server in (bench.primary, bench.secondary):
        server.add("provider.example", "NS", "ns1.provider.example")
        server.add("ns1.provider.example", "A", "127.0.0.3")
    bench.secondary.add("mail.provider.example", "TXT", record)
    checked = bench.look("check", "example.org")
    assert checked.code == 0, checked.out
    assert "ns1.provider.example" in checked.out
    bench.secondary.remove(name("mail"))
    assert bench.look("check", "example.org").code == 1
    assert bench.states() == {selector: "published"}


def test_publishing_twice_changes_nothing(bench: Bench) -> None:
    bench.new()
    assert "added" in bench.update("publish", "example.org").out
    assert "already published" in bench.update("publish", "example.org").out
    assert bench.primary.updates == 1


def test_another_record_is_not_replaced_unasked(bench: Bench) -> None:
    (selector,) = bench.new()
    bench.primary.add(name(selector), "TXT", "v=DKIM1; p=AAAA")
    refused = bench.update("publish", "example.org")
    assert refused.code == 1
    assert "has another record" in refused.err
    assert bench.primary.zone.entries[name(selector)].records["TXT"] == ("v=DKIM1; p=AAAA",)
    assert "replaced" in bench.update("publish", "example.org", "--replace").out
    (record,) = bench.primary.zone.entries[name(selector)].records["TXT"]
    assert record.startswith("v=DKIM1; k=ed25519; p=")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hmac-sha256:gatepost:d3Jvbmc=", "the secrets differ (BADSIG)"),
        (f"other:{base64.b64encode(SECRET).decode()}", "it knows no key of this name (BADKEY)"),
        ("nonsense", "it is no TSIG key"),
        ("hmac-md5:gatepost:AAAA", "unknown algorithm, use one of"),
        ("gatepost:!!!", "its secret is not base64"),
    ],
)
def test_tsig_keys_that_do_not_work(bench: Bench, text: str, told: str) -> None:
    bench.new()
    bench.tsig.write_text(text)
    refused = bench.update("publish", "example.org")
    assert refused.code == 1
    assert told in refused.err
    assert refused.err.count("\n") == 1
    assert "d3Jvbmc" not in refused.err
    assert bench.primary.updates == 0


def test_a_tsig_key_that_everybody_may_read(bench: Bench) -> None:
    bench.new()
    bench.tsig.chmod(0o644)
    refused = bench.update("publish", "example.org")
    assert refused.code == 1
    assert "chmod o-rwx" in refused.err


def test_an_update_that_is_not_signed(bench: Bench) -> None:
    bench.new()
    refused = bench.keys("publish", "example.org", "--server", bench.primary.address)
    assert refused.code == 1
    assert "this key, or this machine, may not change the record" in refused.err


def test_a_server_without_the_zone(bench: Bench) -> None:
    bench.new()
    refused = bench.update("publish", "example.org", "--zone", "example.net")
    assert refused.code == 1
    assert "is not the primary of the zone" in refused.err


def test_a_server_that_is_not_there(bench: Bench) -> None:
    bench.new()
    bench.primary.close()
    refused = bench.update("publish", "example.org")
    assert refused.code == 1
    assert refused.err.count("\n") == 1


def test_a_stolen_key_stops_at_once_even_when_dns_cannot_be_changed(bench: Bench) -> None:
    bench.new()
    bench.update("publish", "example.org")
    bench.transfer()
    bench.look("activate", "example.org")
    (selector,) = bench.states()
    assert bench.keys("revoke", "example.org", selector).code == 1
    bench.tsig.write_text("gatepost:d3Jvbmc=")
    failed = bench.update("revoke", "example.org", selector, "--now")
    assert failed.code == 1
    assert "no longer signs, but its record is still in DNS" in failed.err
    assert bench.states() == {selector: "revoked"}
    bench.tsig.write_text(f"gatepost:{base64.b64encode(SECRET).decode()}")
    assert bench.update("revoke", "example.org", selector).code == 0
    assert bench.primary.zone.entries[name(selector)].records["TXT"] == ("v=DKIM1; k=ed25519; p=",)


def test_commands_at_the_same_time(bench: Bench) -> None:
    options = ["new", "example.org", "--algorithm=ed25519", f"--config={bench.config}"]
    bench.new("--selector", "s")
    started = [
        subprocess.Popen([*COMMAND, *options, f"--selector=s{number}"], stdout=subprocess.DEVNULL)
        for number in range(4)
    ]
    assert [process.wait(50) for process in started] == [0] * 4
    assert sorted(bench.states()) == ["s", "s0", "s1", "s2", "s3"]


def test_the_keys_of_opendkims_tables_are_checked(bench: Bench, tmp_path: Path) -> None:
    pem = new_key("rsa")
    private = tmp_path / "mail.private"
    private.write_bytes(pem)
    private.chmod(0o600)
    key_table, signing_table = tmp_path / "KeyTable", tmp_path / "SigningTable"
    key_table.write_text(f"one example.org:mail:{private}\ntwo example.org:mail:{private}\n")
    signing_table.write_text("*@example.org one\n")
    bench.config.write_text(
        bench.config.read_text()
        + f'opendkim_key_table = "file:{key_table}"\n'
        + f'opendkim_signing_table = "refile:{signing_table}"\n'
    )
    for words in (["check"], ["check", "example.org"], ["check", "example.org", "mail"]):
        missing = bench.look(*words)
        assert missing.code == 1, missing.err
        assert missing.out.count("mail of example.org (rsa 2048, active): missing") == 1
    record = SigningKey.parse(pem).public_record()
    for server in (bench.primary, bench.secondary):
        server.add("mail._domainkey.example.org", "TXT", record)
    done = bench.look("check")
    assert (done.code, done.err) == (0, "")
    assert "mail of example.org (rsa 2048, active): published at" in done.out
    bench.folder.mkdir()
    unknown = bench.look("check", "example.org", "other")
    assert unknown.code == 1
    assert "example.org has no keys" in unknown.err
    private.unlink()
    gone = bench.look("check")
    assert gone.code == 1
    assert str(private) in gone.err


def test_a_folder_without_keys_is_told(bench: Bench) -> None:
    bench.folder.mkdir()
    done = bench.look("check")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"{bench.folder} has no keys to check\n"
