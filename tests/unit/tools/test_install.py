"""The installer asks apt-get and pip for what is missing, and says what it cannot install."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tools import install


class Programs:
    """Stands for the programs that the installer runs: what each says, and which ran."""

    def __init__(self, **said: str) -> None:
        self.said = said
        self.ran: list[list[str]] = []

    def run(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(list(command))
        name = command[-1] if command[0] == "apt-cache" else command[0].replace("-", "_")
        said = self.said.get(name, "")
        return subprocess.CompletedProcess(command, 0 if said != "fails" else 1, said, "why")


def programs(monkeypatch: pytest.MonkeyPatch, **said: str) -> Programs:
    stand_in = Programs(**said)
    monkeypatch.setattr(subprocess, "run", stand_in.run)
    return stand_in


def test_one_of_two_packages_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    programs(monkeypatch, dpkg_query="python3-venv installed\nredis-server installed\n")
    left = install.missing("test")
    assert "valkey-server|redis-server" not in left
    assert "python3-venv" not in left
    assert "postfix" in left


def test_a_package_that_was_removed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    programs(monkeypatch, dpkg_query="python3-venv config-files\n")
    assert install.missing("install") == ["python3-venv"]


def test_without_root_it_says_what_root_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(
        install.InstallError, match=r"as root: apt-get install swaks valkey-server$"
    ):
        install.install_packages(["swaks", "valkey-server|redis-server", "sqlgrey?"])


def test_the_first_known_package_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shown = programs(monkeypatch, **{"redis-server": "Package", "swaks": "Package"})
    assert install.install_packages(["swaks", "valkey-server|redis-server", "sqlgrey?"]) == 2
    (command,) = [one for one in shown.ran if "install" in one]
    assert command[-2:] == ["swaks", "redis-server"]
    assert not install.POLICY.exists()


def test_a_package_that_no_release_has_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    programs(monkeypatch)
    with pytest.raises(install.InstallError, match="apt knows no package a or b"):
        install.install_packages(["a|b"])


def test_a_program_that_fails_is_told_with_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    programs(monkeypatch, apt_get="fails")
    with pytest.raises(install.InstallError, match=r"apt-get -q update failed:\n    failswhy"):
        install.install_packages(["swaks"])


def test_an_old_python_is_turned_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.version_info", (3, 9, 2))
    assert install.main(["install"]) == 1
    assert "Gatepost runs on 3.11 to 3.13" in capsys.readouterr().err
