"""`gatepost accounts import` and `gatepost accounts export`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from accounts.store.settings import DatabaseSettings
from gatepost.cli.__main__ import gatepost
from tests.unit.accounts import files
from tests.unit.accounts.cli.shell import PASSWORD, Shell

ANNA = "anna@example.org"


@pytest.fixture
def rich(filled: Shell) -> Shell:
    filled.run("user", "add", "bob@example.org", "--quota", "1G", typed=PASSWORD)
    filled.run("user", "set", ANNA, "--send-as", "@example.net", "--greylist", "no")
    filled.run("alias", "add", "sales@example.org", ANNA, "x@example.net")
    filled.run("app-password", "add", ANNA, "Phone")
    filled.run("admin", "add", "root", "--role", "global", "--no-password")
    rule = {"name": "All", "match": "always", "actions": [{"kind": "keep"}]}
    filled.run("rule", "add", ANNA, "-", typed=json.dumps(rule))
    return filled


def other(shell: Shell) -> Shell:
    """Another datastore, empty."""
    folder = shell.folder / "other"
    folder.mkdir()
    return Shell(folder, files.make(folder / "accounts.db"))


def exported(shell: Shell, *options: str) -> dict[str, object]:
    document = json.loads(shell.run("accounts", "export", *options))
    assert isinstance(document, dict)
    del document["written"]
    return document


def test_an_export_imports_without_loss_and_once(rich: Shell) -> None:
    file = rich.folder / "export.json"
    result = rich.call("accounts", "export", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {file}: 1 domain, 2 mailboxes, 1 alias\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shell = other(rich)
    output = shell.run("accounts", "import", "gatepost", str(file))
    assert "+ mailbox bob@example.org" in output
    assert output.endswith("9 added, 0 changed, 0 unchanged, 0 refused\n")
    assert exported(shell) == exported(rich)
    before = shell.tables()
    output = shell.run("accounts", "import", "gatepost", str(file))
    assert output == "0 added, 0 changed, 9 unchanged, 0 refused\n"
    assert shell.tables() == before


def test_an_import_is_one_transaction(rich: Shell) -> None:
    file = rich.folder / "export.json"
    rich.run("accounts", "export", str(file))
    shell = other(rich)
    shell.run("accounts", "import", "gatepost", str(file))
    (generation,) = shell.tables()["state"]
    assert generation == (1, 1)


def test_a_dry_run_changes_nothing(rich: Shell) -> None:
    file = rich.folder / "export.json"
    rich.run("accounts", "export", str(file))
    rich.run("user", "set", "bob@example.org", "--quota", "2G")
    rich.run("user", "remove", ANNA, "--yes")
    before = rich.tables()
    result = rich.call("accounts", "import", "gatepost", str(file), "--dry-run")
    assert result.exit_code == 0
    assert "~ mailbox bob@example.org\n    quota: 2147483648 -> 1073741824" in result.stdout
    assert f"+ mailbox {ANNA}" in result.stdout
    assert "to be added, 1 to be changed" in result.stdout
    assert result.stderr == "nothing was changed\n"
    assert rich.tables() == before


def test_a_dry_run_makes_no_file(rich: Shell) -> None:
    file = rich.folder / "export.json"
    rich.run("accounts", "export", str(file))
    folder = rich.folder / "new"
    folder.mkdir()
    shell = Shell(folder, DatabaseSettings(url=f"sqlite:///{folder}/accounts.db"))
    words = ("accounts", "import", "gatepost", str(file))
    assert "there is no datastore" in shell.error(*words, "--dry-run")
    assert sorted(path.name for path in folder.iterdir()) == ["gatepost.toml", "key"]
    assert "created the datastore" in shell.call(*words).stderr
    assert exported(shell) == exported(rich)


def test_a_conflict_keeps_everything_out_unless_partly(rich: Shell) -> None:
    file = rich.folder / "export.json"
    rich.run("accounts", "export", str(file))
    shell = other(rich)
    shell.domain()
    shell.run("alias", "add", "bob@example.org", "x@example.net")
    before = shell.everything()
    result = shell.call("accounts", "import", "gatepost", str(file))
    assert result.exit_code == 1
    assert "! mailbox bob@example.org" in result.stdout
    assert result.stderr == "nothing was changed\n"
    assert shell.everything() == before
    assert shell.audit()[-1][1] == "accounts.import"
    result = shell.call("accounts", "import", "gatepost", str(file), "--partly")
    assert result.exit_code == 1
    assert [one["address"] for one in shell.json("user", "list")] == [ANNA]


def test_json_says_all_and_has_no_secret(rich: Shell) -> None:
    file = rich.folder / "export.json"
    rich.run("accounts", "export", str(file))
    output = other(rich).run("accounts", "import", "gatepost", str(file), "--json")
    data = json.loads(output)
    assert (data["written"], data["kept"], len(data["changes"])) == (True, 0, 9)
    assert data["changes"][0]["kind"] == "domain"
    assert {"field": "password", "is_secret": True} in data["changes"][2]["fields"]
    assert "ARGON2" not in output
    assert "SSHA512" not in output


def test_notes_go_to_standard_error(shell: Shell) -> None:
    folder = shell.folder / "config"
    folder.mkdir()
    (folder / "postfix-accounts.cf").write_text(
        "anna@example.org|{SHA512-CRYPT}!broken\nnonsense\n"
    )
    (folder / "postfix-virtual.cf").write_text("sales@example.org anna@example.org\n")
    result = shell.call("accounts", "import", "docker-mailserver", str(folder))
    assert result.exit_code == 0, result.output
    assert "postfix-accounts.cf:2: left out:" in result.stderr
    assert "+ alias sales@example.org" in result.stdout
    assert shell.json("user", "show", ANNA)["has_password"] is False


def test_passwords_in_clear_text_are_hashed(shell: Shell) -> None:
    folder = shell.folder / "config"
    folder.mkdir()
    (folder / "postfix-accounts.cf").write_text(f"{ANNA}|{{PLAIN}}{PASSWORD}\n")
    words = ("accounts", "import", "docker-mailserver", str(folder))
    before = shell.tables()
    assert shell.call(*words, "--dry-run").exit_code == 0
    assert shell.tables() == before
    shell.run(*words)
    (row,) = shell.tables()["mailbox"]
    assert PASSWORD not in str(row)
    assert "{ARGON2ID}" in str(row)
    assert shell.run(*words).endswith("0 added, 0 changed, 2 unchanged, 0 refused\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSON"),
        ("{}", "format"),
        ("[" * 10_000, ""),
        ('{"format": "gatepost accounts", "version": 99}', "version"),
        ('{"format": "gatepost accounts", "version": 1, "domains": [{"name": "\\u0000"}]}', "NUL"),
    ],
)
def test_a_bad_document_is_one_error(shell: Shell, text: str, reason: str) -> None:
    file = shell.folder / "bad.json"
    file.write_text(text)
    before = shell.tables()
    result = shell.call("accounts", "import", "gatepost", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output
    assert shell.tables() == before
    assert reason in result.stderr or reason == "NUL"


def test_a_large_document_needs_leave(shell: Shell) -> None:
    file = shell.folder / "large.json"
    file.write_text(" " * 5000)
    words = ("accounts", "import", "gatepost", str(file))
    assert "is larger than" in shell.error(*words, "--largest", "1K")
    assert "not a size" in shell.usage(*words, "--largest", "much")


def test_what_is_no_source(shell: Shell) -> None:
    assert "mailcow" in shell.usage("accounts", "import", "exchange", "x")
    assert "Missing argument" in shell.usage("accounts", "import", "gatepost")
    assert "no such file" in shell.error("accounts", "import", "gatepost", "/nowhere.json").lower()


def test_an_export_replaces_a_file_after_a_yes(rich: Shell) -> None:
    file = rich.folder / "export.json"
    file.write_text("mine")
    file.chmod(0o644)
    assert rich.call("accounts", "export", str(file), typed="n\n").exit_code == 1
    assert file.read_text() == "mine"
    rich.run("accounts", "export", str(file), "--yes")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["format"] == "gatepost accounts"
    assert "No such file" in rich.error("accounts", "export", str(rich.folder / "no" / "x.json"))


def test_a_link_is_replaced_and_not_followed(rich: Shell) -> None:
    target = rich.folder / "target"
    target.write_text("mine")
    link = rich.folder / "link.json"
    link.symlink_to(target)
    rich.run("accounts", "export", str(link), "--yes")
    assert target.read_text() == "mine"
    assert not link.is_symlink()


def test_secrets_are_left_out_on_demand(shell: Shell, tmp_path: Path) -> None:
    assert exported(shell, "--secrets", "none") == exported(shell, "--secrets", "sealed")
    assert "'some'" in shell.usage("accounts", "export", "--secrets", "some")


def test_the_group_may_name_the_configuration(rich: Shell) -> None:
    words = ("accounts", "--config", str(rich.config), "export", "--secrets", "none")
    result = CliRunner().invoke(gatepost, words, env={"GATEPOST_CONFIG": None})
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["mailboxes"][0]["address"] == ANNA
