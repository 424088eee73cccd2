"""What can be wrong at the start of a daemon is one line, and never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed.waiting import DEADLINE

GATEPOST = Path(sys.executable).with_name("gatepost")


def run(*arguments: str, **environ: str) -> tuple[int, list[str]]:
    """The exit status and the lines of standard error; the process has to end by itself."""
    done = subprocess.run(
        [GATEPOST, *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("daemon", ["milters", "policyd"])
def test_a_port_in_use(daemon: str, tmp_path: Path) -> None:
    config = tmp_path / "gatepost.toml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config.write_text(f'[{daemon}]\nlisten = "inet:{port}@127.0.0.1"\n')
        status, lines = run(daemon, "--config", str(config))
    assert (status, lines) == (
        1,
        [f"gatepost: cannot listen on inet:{port}@127.0.0.1: another process uses this port"],
    )


@pytest.mark.parametrize("daemon", ["milters", "policyd"])
def test_a_bad_configuration(daemon: str, tmp_path: Path) -> None:
    config = tmp_path / "gatepost.toml"
    config.write_text(f'[{daemon}]\nlisten = "nowhere"\n')
    status, lines = run(daemon, "--config", str(config))
    assert status == 2
    (line,) = lines
    assert line.startswith(f"gatepost: {config}:2: {daemon}.listen: 'nowhere' is not an address")


@pytest.mark.parametrize("daemon", ["milters", "policyd"])
def test_a_configuration_that_is_not_there(daemon: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.toml")
    assert run(daemon, "--config", missing) == (
        2,
        [f"gatepost: {missing}: cannot be read: No such file or directory"],
    )


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    assert run("config", "check", "--config", "/proc/self/mem") == (
        2,
        ["gatepost: /proc/self/mem: cannot be read: Input/output error"],
    )


def test_a_word_that_is_no_command() -> None:
    status, lines = run("milter")
    assert status == 2
    assert lines[-1] == "Error: No such command 'milter'. Did you mean 'milters'?"
    # the word that was meant may be a part of the one that was written
    _, lines = run("keyss")
    assert lines[-1] == "Error: No such command 'keyss'. Did you mean 'keys'?"
    _, lines = run("import", "opendkimm")
    assert lines[-1] == "Error: No such command 'opendkimm'. Did you mean 'opendkim'?"


def test_help_names_the_lines_of_main_cf() -> None:
    done = subprocess.run([GATEPOST, "--help"], capture_output=True, text=True, check=True)
    for words in ("smtpd_milters", "check_policy_service", "milters", "policyd", "keys", "config"):
        assert words in done.stdout


def test_an_import_into_valkey_makes_no_folder(tmp_path: Path) -> None:
    config, records = tmp_path / "gatepost.toml", tmp_path / "records"
    store = f'kind = "valkey"\nurl = "unix://{tmp_path}/none"\npath = "{tmp_path}/no/store"\n'
    config.write_text(f"[policyd.store]\n{store}")
    records.write_text('{"kind":"client","client":"net:a","returns":9,"last":1,"expires":2}\n')
    status, lines = run("greylist", "import", str(records), "--config", str(config))
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("Error: valkey: ")
    assert not (tmp_path / "no").exists()


def test_config_check_finds_what_would_keep_the_policy_server_from_starting(
    tmp_path: Path,
) -> None:
    config, senders, secret = (tmp_path / name for name in ("gatepost.toml", "senders", "secret"))
    senders.write_text("example.com\ntwo words\n")
    secret.touch(0o644)
    config.write_text(
        f"""
[policyd.greylist]
allow_clients_files = ["{tmp_path}/none"]
[policyd.tables]
deny_senders_files = ["{senders}"]
[policyd.store]
kind = "valkey"
password_file = "{secret}"
"""
    )
    status, lines = run("config", "check", "--config", str(config))
    assert status == 2
    allowed = "write user@domain, user@, a domain or /regex/"
    assert lines == [
        f"gatepost: {config}:2: policyd.greylist: {tmp_path}/none: does not exist",
        f"gatepost: {config}:4: policyd.tables: {senders}:2: "
        f"'two words' is not an address: {allowed}",
        f"gatepost: {config}:8: policyd.store.password_file: {secret} is accessible to everybody "
        f"(mode 0644): chmod o-rwx {secret}",
    ]
    status, lines = run("policyd", "--config", str(config))
    assert (status, len(lines)) == (1, 1)
