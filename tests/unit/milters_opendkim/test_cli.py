from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.cli.__main__ import gatepost
from gatepost.config import ConfigError, load
from gatepost.systemd import find_unit
from milters.file import MiltersFile
from tests.unit.milters_keys.pems import pem
from tests.unit.milters_keys.test_folder import put

NAME = "gatepost-milters.service"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(gatepost, ["import", "opendkim", *arguments])


def machine(tmp_path: Path, signing_table: str = "*@example.org org\n") -> Path:
    key = put(tmp_path / "mail.private", pem())
    (tmp_path / "KeyTable").write_text(f"org example.org:mail:{key}\n")
    (tmp_path / "SigningTable").write_text(signing_table)
    conf = tmp_path / "opendkim.conf"
    conf.write_text(
        f"Socket inet:8891@127.0.0.1\nKeyTable file:{tmp_path}/KeyTable\n"
        f"SigningTable refile:{tmp_path}/SigningTable\nLogWhy yes\n"
    )
    return conf


def test_what_is_printed_is_a_configuration(tmp_path: Path) -> None:
    result = run(str(machine(tmp_path)))
    assert result.exit_code == 0, result.stderr
    path = tmp_path / "gatepost.toml"
    path.write_text(result.stdout)
    milters = load(MiltersFile, path, {}).model.milters
    assert milters.opendkim_signing_table == f"refile:{tmp_path}/SigningTable"
    assert f"{tmp_path}/opendkim.conf:4: LogWhy: not needed" in result.stderr


def test_a_table_that_signs_unaligned_is_an_error(tmp_path: Path) -> None:
    result = run(str(machine(tmp_path, "* org\n")))
    assert result.exit_code == 1
    assert f"{tmp_path}/SigningTable:1: unaligned: *" in result.stderr
    assert "opendkim_signing_table" in result.stdout
    path = tmp_path / "gatepost.toml"
    path.write_text(result.stdout)
    checked = CliRunner().invoke(gatepost, ["config", "check", "--config", str(path)])
    assert isinstance(checked.exception, ConfigError)
    (problem,) = checked.exception.problems
    assert f"{tmp_path}/SigningTable:1: unaligned: * would sign" in problem.message
    assert problem.key == "undecided[0]"


def test_write(tmp_path: Path) -> None:
    conf = machine(tmp_path)
    (tmp_path / "out").mkdir()
    assert run(str(conf), "--write", str(tmp_path / "out")).exit_code == 0
    written = (tmp_path / "out" / "gatepost.toml").read_text()
    loaded = load(MiltersFile, tmp_path / "out" / "gatepost.toml", {}).model
    assert loaded.milters.opendkim_key_table == f"file:{tmp_path}/KeyTable"
    again = run(str(conf), "--write", str(tmp_path / "out"))
    assert again.exit_code == 1
    assert "exists and is not overwritten" in again.stderr
    assert (tmp_path / "out" / "gatepost.toml").read_text() == written


def test_json(tmp_path: Path) -> None:
    result = run(str(machine(tmp_path, "* org\n")), "--json")
    found = json.loads(result.stdout)
    assert {finding["level"] for finding in found["findings"]} == {"error", "note"}
    assert found["findings"][0]["line"] == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run(str(tmp_path / "none.conf"))
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {tmp_path}/none.conf: cannot be read: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("conf", "lines"),
    [
        (
            "UserID opendkim\nSocket local:/var/spool/postfix/opendkim/opendkim.sock",
            ["User=opendkim", "Group=opendkim", "ReadWritePaths=/var/spool/postfix/opendkim"],
        ),
        (
            "UserID opendkim:postfix\nSocket local:/run/opendkim/opendkim.sock",
            ["User=opendkim", "Group=postfix", "RuntimeDirectory=opendkim"],
        ),
        ("UserID dkim\nSocket inet:8891@localhost", ["User=dkim", "Group=dkim"]),
        ("UserID dkim\nSocket local:/run/o.sock", ["User=dkim", "ReadWritePaths=/run"]),
        ("UserID dkim\nSocket local:/srv/a b/o.sock", ["User=dkim", "Group=dkim"]),
    ],
)
def test_the_drop_in_runs_the_milter_as_opendkim_ran(
    tmp_path: Path, conf: str, lines: list[str]
) -> None:
    path = tmp_path / "opendkim.conf"
    path.write_text(f"{conf}\n")
    result = run(str(path), "--drop-in")
    assert result.exit_code == 0
    (tmp_path / NAME).write_text(result.stdout)
    unit = find_unit(NAME, [tmp_path])
    assert unit is not None
    assert unit.words("SupplementaryGroups") == ["gatepost"]
    assert set(lines) <= set(result.stdout.splitlines())
    assert ("/srv" in result.stdout, "Runtime" in result.stdout) == (False, "/run/op" in conf)
    printed = run(str(path)).stderr
    assert all(f"  {line}" in printed.splitlines() for line in lines)


@pytest.mark.parametrize("conf", ["Socket inet:8891", "UserID a b", "UserID x\x7f", "UserID a:%s"])
def test_without_a_plain_user_there_is_no_drop_in(tmp_path: Path, conf: str) -> None:
    path = tmp_path / "opendkim.conf"
    path.write_text(f"{conf}\n")
    result = run(str(path), "--drop-in")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "drop-in, /etc" not in run(str(path)).stderr
