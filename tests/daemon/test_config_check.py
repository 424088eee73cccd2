"""`gatepost config check` as root: it opens what the daemons need as their users."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from accounts.cli.section import SECTION
from accounts.settings import AccountsFile
from gatepost import systemd
from gatepost.cli import access, configuration, service
from gatepost.cli.__main__ import gatepost
from gatepost.config import ConfigError
from gatepost.key_pair import new_key
from tests.testbed.daemon import gatepost_command

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it becomes other users")

NOBODY = 65534


class Machine:
    """A folder with keys, a store, sockets and units, of which root looks at everything."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "gatepost.toml"
        self.keys = root / "keys" / "example.org"
        self.sockets = root / "sockets"
        self.store = root / "store"
        for folder in (self.keys, self.sockets, self.store, root / "units"):
            folder.mkdir(parents=True)
        self.key = self.keys / "s1.pem"
        self.key.write_bytes(new_key("ed25519"))
        self.key.chmod(0o640)
        self.write()

    def write(self, milters: str = "", policyd: str = "") -> None:
        self.config.write_text(
            f'hostname = "mail.example.org"\n[milters]\nlisten = "unix:{self.sockets}/milter"\n'
            f'socket_mode = "0666"\nkeys = "{self.root}/keys"\n{milters}\n[policyd]\n'
            f'listen = "unix:{self.sockets}/policyd"\n{policyd}\n'
            f'[policyd.store]\npath = "{self.store}/policyd.sqlite"\n'
        )

    def unit(self, word: str, *settings: str) -> None:
        text = "\n".join(("[Service]", *settings, ""))
        (self.root / "units" / f"gatepost-{word}.service").write_text(text)

    def give_everything(self) -> None:
        os.chown(self.key, 0, NOBODY)
        for folder in (self.sockets, self.store):
            os.chown(folder, NOBODY, NOBODY)

    def check(self, *arguments: str) -> Result:
        command = ["config", "check", "--config", str(self.config), *arguments]
        return CliRunner().invoke(gatepost, command)

    def problems(self, *arguments: str) -> dict[str, str]:
        result = self.check(*arguments)
        assert isinstance(result.exception, ConfigError), result.output
        return {problem.key: problem.message for problem in result.exception.problems}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    root = Path(tempfile.mkdtemp(prefix="gatepost-test-", dir="/tmp"))
    root.chmod(0o755)
    found = systemd.find_unit
    monkeypatch.setattr(service, "find_unit", lambda name: found(name, (root / "units",)))
    yield Machine(root)
    shutil.rmtree(root)


def test_what_the_user_cannot_open_is_a_problem_each(machine: Machine) -> None:
    found = machine.problems("--user", "nobody")
    assert (
        f"{machine.key}: cannot be read: permission denied for uid {NOBODY}"
        in (found["milters.keys"])
    )
    assert f"may not create a socket in {machine.sockets}" in found["milters.listen"]
    assert f"may not create a socket in {machine.sockets}" in found["policyd.listen"]
    assert f"may not write to {machine.store}" in found["policyd.store.path"]
    assert os.geteuid() == 0


def test_what_it_can_open_is_a_line_for_each_daemon(machine: Machine) -> None:
    machine.give_everything()
    result = machine.check("--user", "nobody")
    assert result.exit_code == 0, result.exception
    assert result.stdout == (
        f"{machine.config}: ok\n"
        "  milters: nobody can open everything it needs\n"
        "  policyd: nobody can open everything it needs\n"
    )
    assert not list(machine.sockets.iterdir())
    assert not list(machine.store.iterdir())


def test_the_user_of_the_configuration_reads_the_keys_and_root_opens_the_sockets(
    machine: Machine,
) -> None:
    machine.write('user = "nobody"', 'user = "nobody"')
    found = machine.problems()
    assert set(found) == {"milters.keys", "policyd.store.path"}


def test_the_user_of_the_unit(machine: Machine) -> None:
    machine.unit("milters", "User=nobody")
    machine.unit("policyd", "User=nobody")
    assert "milters.keys" in machine.problems()
    machine.give_everything()
    assert machine.check().exit_code == 0
    machine.key.chmod(0o600)
    assert set(machine.problems()) == {"milters.keys"}


def test_groups_of_the_unit_count(machine: Machine) -> None:
    machine.give_everything()
    os.chown(machine.key, 0, 8)  # mail
    machine.unit("milters", "User=nobody")
    assert set(machine.problems()) == {"milters.keys"}
    machine.unit("milters", "User=nobody", "SupplementaryGroups=mail")
    assert machine.check().exit_code == 0


def test_what_the_unit_forbids(machine: Machine) -> None:
    machine.give_everything()
    machine.unit("milters", "User=nobody", "ProtectSystem=strict")
    machine.unit("policyd", "User=nobody", "ProtectSystem=strict")
    found = machine.problems()
    assert set(found) == {"milters.listen", "policyd.listen", "policyd.store.path"}
    assert f"ReadWritePaths={machine.sockets} in [Service]" in found["milters.listen"]
    paths = f"ReadWritePaths={machine.root}"
    for word in ("milters", "policyd"):
        machine.unit(word, "User=nobody", "ProtectSystem=strict", paths)
    assert machine.check().exit_code == 0


def test_a_unit_whose_user_cannot_become_the_configured_one(machine: Machine) -> None:
    machine.give_everything()
    machine.write('user = "daemon"')
    machine.unit("milters", "User=nobody")
    found = machine.problems()
    assert "which cannot become user = 'daemon'" in found["milters.user"]
    assert "User=daemon into the unit" in found["milters.user"]


def test_users_and_groups_that_are_not_there(machine: Machine) -> None:
    assert machine.problems("--user", "nobody-at-all")["milters.user"] == (
        "there is no user 'nobody-at-all'"
    )
    machine.give_everything()
    machine.write('socket_group = "no-such-group"')
    assert "no group" in machine.problems("--user", "nobody")["milters.socket_group"]
    machine.write('socket_group = "mail"')
    assert (
        "nobody is not in the group 'mail'"
        in (machine.problems("--user", "nobody")["milters.socket_group"])
    )


def test_the_configuration_itself_has_to_be_readable(machine: Machine) -> None:
    machine.give_everything()
    machine.config.chmod(0o600)
    assert f"uid {NOBODY} cannot read this file" in machine.problems("--user", "nobody")[""]


def test_where_nothing_says_who_runs_them_that_is_told(machine: Machine) -> None:
    result = machine.check()
    assert result.exit_code == 0
    assert "its user is unknown: use --user NAME" in result.stderr


def test_tables_of_opendkim_are_read_as_the_user(machine: Machine) -> None:
    machine.give_everything()
    key_table, signing_table = machine.root / "KeyTable", machine.root / "SigningTable"
    key_table.write_text(f"org example.org:s1:{machine.key}\n")
    signing_table.write_text("*@example.org org\n")
    machine.write(
        f'opendkim_key_table = "file:{key_table}"\n'
        f'opendkim_signing_table = "refile:{signing_table}"'
    )
    assert machine.check("--user", "nobody").exit_code == 0
    key_table.chmod(0o600)
    assert f"{key_table}: cannot be read" in machine.problems("--user", "nobody")["milters.keys"]


def test_tables_of_owners_are_read_as_the_user(machine: Machine) -> None:
    machine.give_everything()
    table = machine.root / "owners"
    table.write_text("info@example.org alice\n")
    files = f'ownership.owners_files = ["{table}"]'
    machine.write(f"ownership.enforce = true\n{files}", f"ownership.enabled = true\n{files}")
    assert machine.check("--user", "nobody").exit_code == 0
    table.chmod(0o600)
    problems = machine.problems("--user", "nobody")
    for key in ("milters.ownership", "policyd.ownership"):
        assert problems[key] == f"{table}: cannot be read: Permission denied"
    table.write_text("info alice\n")
    problems = machine.problems()
    for key in ("milters.ownership", "policyd.ownership"):
        assert problems[key].startswith(f"{table}:1: 'info alice' is no owner")


def test_tcp_and_very_large_networks_are_worth_a_warning(machine: Machine) -> None:
    machine.give_everything()
    text = machine.config.read_text()
    tcp = text.replace(f"unix:{machine.sockets}/milter", "inet:8891@127.0.0.1")
    machine.config.write_text(
        tcp.replace("[policyd]", 'internal_networks = ["16.0.0.0/7"]\n[policyd]')
    )
    result = machine.check("--user", "nobody")
    assert result.exit_code == 0
    assert (
        f"{machine.config}: milters.listen: warning: inet:8891@127.0.0.1: every account of this "
        "machine can have mail signed; a unix socket"
    ) in result.stderr
    assert "milters.internal_networks: warning: contains 33,554,432 public IPv4" in result.stderr
    machine.config.write_text(tcp.replace("8891@127.0.0.1", "8891"))
    assert "everybody who can reach this port" in machine.check("--user", "nobody").stderr
    machine.config.write_text(text)
    assert "can have mail signed" not in machine.check("--user", "nobody").stderr


def test_a_user_that_is_not_there_is_a_warning_for_who_is_not_root(machine: Machine) -> None:
    machine.write('user = "nobody-at-all"')
    assert "milters.user" in machine.problems()
    os.seteuid(NOBODY)
    try:
        result = machine.check()
    finally:
        os.seteuid(0)
    assert result.exit_code == 0
    assert "milters.user: warning: there is no user 'nobody-at-all'" in result.stderr


@pytest.mark.parametrize("word", ["milters", "policyd"])
def test_no_daemon_starts_with_an_undecided_point(machine: Machine, word: str) -> None:
    text = machine.config.read_text()
    machine.config.write_text(f'undecided = ["KeyTable: cannot be read"]\n{text}')
    command = [str(gatepost_command()), word, "--config", str(machine.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 2
    assert done.stderr == (
        f"gatepost: {machine.config}:1: undecided[0]: KeyTable: cannot be read -- decide this, "
        "then remove the line\n"
    )


def test_keys_check_is_not_green_for_a_key_that_the_milter_cannot_read(machine: Machine) -> None:
    machine.unit("milters", "User=nobody")
    command = [
        "keys",
        "check",
        "--config",
        str(machine.config),
        "--server",
        "127.0.0.1:1",
        "--json",
    ]
    result = CliRunner().invoke(gatepost, command)
    assert result.exit_code == 1
    assert f"not signed with: nobody: {machine.key}: cannot be read" in result.output
    machine.give_everything()
    assert "not signed with" not in CliRunner().invoke(gatepost, command).output


def test_postfix_needs_the_sockets_of_maps_and_logins_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dovecot and the other daemons ask at the rest, where the private keys are."""
    monkeypatch.setattr(access, "find_account", lambda _: service.find_account("daemon"))
    keys = ("listen", "sasl_listen", "http_listen", "snapshot_listen", "dict_listen")
    lines = "\n".join(f'{key} = "unix:{machine.sockets}/{key}"' for key in keys)
    machine.config.write_text(f"[accounts]\n{lines}\n")
    machine.give_everything()
    daemon = configuration.read(machine.config, AccountsFile).model.accounts
    nobody = service.find_account("nobody")
    found = list(
        access.postfix_problems(
            service.DaemonService("accounts", nobody, nobody),
            configuration.Daemon("accounts", SECTION, daemon, True),
        )
    )
    assert all("its group nogroup;" in text for _, text in found)
    assert [key for key, _ in found] == ["accounts.listen", "accounts.sasl_listen"]


def test_secrets_of_accounts_are_read(machine: Machine) -> None:
    secrets = machine.root / "secrets"
    secrets.mkdir()
    machine.config.write_text(
        f'[accounts]\nlisten = "unix:{machine.sockets}/accounts"\n[accounts.srs]\n'
        f'domain = "example.org"\nsecret_file = "{secrets}/srs"\n[accounts.snapshots]\n'
        f'token_file = "{secrets}/plain"\nkeys_token_file = "{secrets}/keys"\n'
    )
    machine.give_everything()
    found = machine.problems("--user", "nobody")
    assert "cannot read it" in found["accounts.srs.secret_file"]
    assert f"{secrets}/plain" in found["accounts.snapshots.token_file"]
    for name in ("srs", "plain", "keys"):
        (secrets / name).write_text("0123456789abcdef0123456789abcdef\n")
        (secrets / name).chmod(0o640)
        os.chown(secrets / name, 0, NOBODY)
    found = machine.problems("--user", "nobody")
    assert "accounts.srs.secret_file" not in found
    assert "the same token" in found["accounts.snapshots.keys_token_file"]
