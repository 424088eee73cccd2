"""The commands for people as processes: in both databases, at once, as root, and with real DNS."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from accounts.store.settings import DatabaseSettings
from tests.daemon import accounts_postgres
from tests.daemon.hostile import UID, foreign_folder
from tests.testbed.daemon import gatepost_command
from tests.testbed.dns import DnsServer
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts import files
from tests.unit.accounts.cli.shell import PASSWORD, Shell

AT_ONCE = 4
"""Commands at the same time: each one takes most of a second of a processor to start."""


@pytest.fixture(params=["sqlite", "postgresql"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    if request.param == "sqlite":
        return Shell(tmp_path, files.make(tmp_path / "accounts.db"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return Shell(tmp_path, accounts_postgres.make(server))


def start(shell: Shell, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [gatepost_command(), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GATEPOST_CONFIG": str(shell.config)},
    )


def at_once(shell: Shell, words: Callable[[int], tuple[str, ...]]) -> list[tuple[int, str]]:
    """Run commands at the same time; return exit status and standard error of each."""
    running = [start(shell, *words(number)) for number in range(AT_ONCE)]
    ended = []
    for process in running:
        _, errors = process.communicate(timeout=60)
        ended.append((process.returncode, errors))
    return ended


def test_every_kind_of_object(shell: Shell) -> None:
    shell.domain("bücher.example", "--default-quota", "1G")
    anna = "änna@xn--bcher-kva.example"
    assert shell.json("user", "add", "Änna@bücher.example", typed=PASSWORD)["quota"] == 1 << 30
    assert shell.json("user", "set", anna, "--send-as", "@example.net", "--greylist", "no")
    shell.run("alias", "add", "*@bücher.example", anna, "x@example.net")
    rule = {"name": "All", "match": "always", "actions": [{"kind": "keep"}]}
    shell.run("rule", "add", anna, "-", typed=json.dumps(rule))
    shell.run("app-password", "add", anna, "Phone")
    shell.run("admin", "add", "root", "--role", "global", typed=PASSWORD)
    shell.run("token", "add", "x", "--scope", "domains:read", "--admin", "root")
    for words in (("domain",), ("user",), ("alias",), ("admin",), ("token",)):
        assert len(shell.json(*words, "list")) == 1
    document = shell.folder / "export.json"
    shell.run("accounts", "export", str(document))
    before = shell.everything()
    assert shell.call("domain", "remove", "bücher.example", typed="n\n").exit_code == 1
    assert shell.everything() == before
    shell.run("domain", "remove", "bücher.example", "--yes")
    assert shell.json("user", "list") == []
    assert "to be added" in shell.run("accounts", "import", "gatepost", str(document), "--dry-run")
    assert shell.json("user", "list") == []
    shell.run("accounts", "import", "gatepost", str(document))
    assert shell.run("accounts", "import", "gatepost", str(document)).startswith("0 added, 0 cha")
    assert shell.json("user", "show", anna)["send_as"] == ["@example.net"]


def test_a_refusal_is_one_line_and_is_audited(shell: Shell) -> None:
    assert "There is no domain" in shell.error("user", "add", "a@example.org", "--no-password")
    assert "character" in shell.error("domain", "add", "example.org", "--description", "a\0b")
    assert ["refused" in entry[3] for entry in shell.audit()] == [True, True]


def test_commands_at_once_add_each_its_own(shell: Shell) -> None:
    ended = at_once(shell, lambda number: ("domain", "add", f"d{number}.example"))
    assert ended == [(0, "")] * AT_ONCE
    assert len(shell.json("domain", "list")) == AT_ONCE
    assert shell.tables()["state"] == [(1, AT_ONCE)]


def test_of_commands_at_once_one_adds_and_the_others_are_told(shell: Shell) -> None:
    ended = at_once(shell, lambda _: ("domain", "add", "example.org"))
    assert sorted(status for status, _ in ended) == [0] + [1] * (AT_ONCE - 1)
    assert {errors for status, errors in ended if status} == {
        "Error: There is already a domain example.org.\n"
    }


def test_changes_at_once_are_all_kept(shell: Shell) -> None:
    shell.domain()
    shell.run("alias", "add", "a@example.org", "first@example.net")
    words = ("alias", "set", "a@example.org", "--add-target")
    ended = at_once(shell, lambda number: (*words, f"t{number}@example.net"))
    assert ended == [(0, "")] * AT_ONCE
    assert len(shell.json("alias", "show", "a@example.org")["targets"]) == AT_ONCE + 1


def test_first_commands_at_once_make_one_file(tmp_path: Path) -> None:
    shell = Shell(tmp_path, DatabaseSettings(url=f"sqlite:///{tmp_path}/new.db"))
    ended = at_once(shell, lambda number: ("domain", "add", f"d{number}.example"))
    assert [status for status, _ in ended] == [0] * AT_ONCE
    assert len(shell.json("domain", "list")) == AT_ONCE


def test_a_database_that_is_away_is_said_in_one_line(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = make_url(postgres.url("nobody")).update_query_dict({"host": str(tmp_path)})
    shell = Shell(tmp_path, DatabaseSettings(url=url.render_as_string()))
    for words in (("domain", "list"), ("domain", "add", "example.org")):
        result = shell.call(*words)
        assert (result.exit_code, result.stdout) == (75, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("Error: the datastore is away; nothing was changed")


def test_a_server_without_tables_is_not_filled(tmp_path: Path, postgres: PostgresServer) -> None:
    settings = accounts_postgres.make(postgres, migrated=False)
    shell = Shell(tmp_path, settings)
    assert "no data of Gatepost yet" in shell.error("domain", "add", "example.org")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root and a second user")
def test_root_works_as_the_owner_of_the_folder(tmp_path: Path) -> None:
    with foreign_folder() as (folder, _):
        shell = Shell(tmp_path, DatabaseSettings(url=f"sqlite:///{folder}/accounts.db"))
        secret = tmp_path / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)  # root's alone
        shell.domain()
        shell.run("user", "add", "anna@example.org", "--password-file", str(secret))
        document = tmp_path / "export.json"
        shell.run("accounts", "export", str(document))
        assert {path.stat().st_uid for path in folder.iterdir()} == {UID}
        assert document.stat().st_uid == 0
        shell.run("accounts", "import", "gatepost", str(document))
        assert {path.stat().st_uid for path in folder.iterdir()} == {UID}
    assert os.geteuid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root and a second user")
@pytest.mark.parametrize("name", ["accounts.db", "accounts.db-wal", "accounts.db-journal"])
@pytest.mark.parametrize("command", ["domain", "accounts"])
def test_root_follows_no_link_of_the_owner(tmp_path: Path, name: str, command: str) -> None:
    """It works there as the owner, who can do no more with a link than without."""
    document = tmp_path / "export.json"
    document.write_text('{"format": "gatepost accounts", "version": 1}')
    words = {
        "domain": ("domain", "add", "example.org"),
        "accounts": ("accounts", "import", "gatepost", str(document)),
    }[command]
    with foreign_folder() as (folder, victim):
        (folder / name).symlink_to(victim.file)
        shell = Shell(tmp_path, DatabaseSettings(url=f"sqlite:///{folder}/accounts.db"))
        result = shell.call(*words)
        assert name != "accounts.db" or result.exit_code == 1
        victim.assert_untouched()
    assert os.geteuid() == 0


def test_a_password_is_typed_at_a_terminal_and_not_shown(tmp_path: Path) -> None:
    shell = Shell(tmp_path, files.make(tmp_path / "accounts.db"))
    shell.domain()
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [gatepost_command(), "user", "add", "anna@example.org"],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        env={**os.environ, "GATEPOST_CONFIG": str(shell.config)},
    )
    os.close(inner)
    seen = ""
    for question in ("Password: ", "confirmation: "):
        while not seen.endswith(question):
            seen += os.read(terminal, 1000).decode()
        os.write(terminal, f"{PASSWORD}\n".encode())
    assert process.wait(60) == 0
    seen += os.read(terminal, 1000).decode()
    os.close(terminal)
    assert "user anna@example.org added" in seen
    assert PASSWORD not in seen
    assert shell.json("user", "show", "anna@example.org")["has_password"] is True


def test_a_domain_is_checked_with_the_resolver_of_gatepost_toml(tmp_path: Path) -> None:
    with DnsServer() as dns:
        dns.add("example.org", "MX", "10 mx.example.org")
        dns.add("mx.example.org", "A", "192.0.2.1")
        dns.add("1.2.0.192.in-addr.arpa", "PTR", "mx.example.org")
        dns.add("example.org", "TXT", "v=spf1 mx -all")
        dns.add("_dmarc.example.org", "TXT", "v=DMARC1; p=reject")
        more = f'[dns]\nnameservers = ["{dns.address}"]\ntimeout = 2'
        shell = Shell(tmp_path, files.make(tmp_path / "accounts.db"), more)
        shell.domain()
        report = shell.json("domain", "check", "example.org")
        assert report["level"] == "warning"  # it has no DKIM key
        assert dns.asked("example.org", "MX") == 1
        dns.remove("_dmarc.example.org")
        result = shell.call("domain", "check", "example.org")
        assert result.exit_code == 1
        assert "DMARC" in result.stdout
