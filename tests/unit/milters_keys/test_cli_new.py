from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from milters.cli.keys import keys
from milters.keys.files import read_key
from milters.keys.folder import KeyFolder
from milters.keys.state import KeyState


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(keys, [*arguments, "--keys", str(folder)])


def test_both_algorithms_by_default(tmp_path: Path) -> None:
    result = run(tmp_path / "keys", "new", "example.org", "--json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.output)["keys"]
    assert [(key["algorithm"], key["bits"], key["state"]) for key in made] == [
        ("rsa-sha256", 2048, "new"),
        ("ed25519-sha256", 256, "new"),
    ]
    for key in made:
        assert read_key(Path(key["file"])).public_record() == key["record"]
        assert stat.S_IMODE(Path(key["file"]).stat().st_mode) & 0o007 == 0
        assert key["name"] == f"{key['selector']}._domainkey.example.org"
        assert key["selector"] in {
            found.selector for found in KeyFolder(tmp_path / "keys").scan().keys
        }


def test_what_people_read(tmp_path: Path) -> None:
    result = run(tmp_path, "new", "example.org", "--selector", "s", "--bits", "1024")
    assert result.exit_code == 0
    assert "sr._domainkey.example.org. 3600 IN TXT" in result.output
    assert "se._domainkey.example.org. 3600 IN TXT" in result.output
    assert f"gatepost keys activate example.org --keys {tmp_path}" in result.output
    assert "PRIVATE" not in result.output
    assert "1024 bits is short" in result.output


def test_a_second_run_in_a_month_makes_further_keys(tmp_path: Path) -> None:
    for _ in range(3):
        result = run(tmp_path, "new", "example.org", "--algorithm", "ed25519")
        assert result.exit_code == 0
    selectors = sorted(key.selector for key in KeyFolder(tmp_path).scan().keys)
    assert [selector[6:] for selector in selectors] == ["e", "e2", "e3"]


def test_a_selector_of_ones_own(tmp_path: Path) -> None:
    arguments = ["new", "example.org", "--selector", "Mail", "--algorithm", "ed25519", "--active"]
    assert run(tmp_path, *arguments).exit_code == 0
    (key,) = KeyFolder(tmp_path).scan().keys
    assert (key.selector, key.state) == ("mail", KeyState.ACTIVE)
    before = key.path.read_bytes()
    again = run(tmp_path, *arguments)
    assert again.exit_code == 1
    assert again.output == "Error: example.org already has a key mail\n"
    assert key.path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["../etc"], "not a domain name"),
        (["org"], "it has no dot"),
        (["example.org", "--selector", "../x"], "not a selector"),
        (["example.org", "--bits", "512"], "512 is not in the range"),
        (["example.org", "--algorithm", "dsa"], "'dsa' is not one of"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], told: str) -> None:
    result = run(tmp_path, "new", *arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    result = run(tmp_path / "keys" / "below", "new", "example.org")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {tmp_path}/keys/below: cannot be written")
    assert result.output.count("\n") == 1


def test_the_folder_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "gatepost.toml").write_text('hostname = "mx.example.org"\n[milters]\nkeys = "k"\n')
    result = CliRunner().invoke(
        keys,
        ["new", "example.org", "--algorithm=ed25519", f"--config={tmp_path}/gatepost.toml"],
    )
    assert result.exit_code == 0, result.output
    assert [key.domain for key in KeyFolder(tmp_path / "k").scan().keys] == ["example.org"]
