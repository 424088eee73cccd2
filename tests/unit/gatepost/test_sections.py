"""A daemon reads its own section; `gatepost config` reads all, and knows them by name alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from pydantic import Field

from gatepost.cli import configuration
from gatepost.cli.__main__ import gatepost
from gatepost.cli.postfix.ours import Gatepost
from gatepost.config import ConfigError, GroundSettings, ServedAddresses, ServerSettings
from gatepost.listen import Inet
from gatepost.systemd import Unit
from milters.file import MiltersFile
from policyd.file import PolicydFile

FILES: dict[str, type[GroundSettings]] = {"milters": MiltersFile, "policyd": PolicydFile}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gatepost.toml"


def problem(path: Path, model: type[GroundSettings]) -> str:
    with pytest.raises(ConfigError) as caught:
        configuration.read(path, model)
    return str(caught.value)


@pytest.mark.parametrize(("word", "other"), [("milters", "policyd"), ("policyd", "milters")])
@pytest.mark.parametrize("mistake", ["[{}]\nlisten = 5\n", "[{}]\nno_such_key = 1\n", "{} = 5\n"])
def test_a_mistake_in_the_section_of_another_daemon_is_not_ours(
    path: Path, word: str, other: str, mistake: str
) -> None:
    path.write_text(mistake.format(other))
    model = configuration.read(path, FILES[word]).model
    assert model == FILES[word]()
    assert other in problem(path, FILES[other])
    assert other in problem(path, configuration.whole())


@pytest.mark.parametrize(("word", "other"), [("milters", "policyd"), ("policyd", "milters")])
@pytest.mark.parametrize("name", ["GATEPOST_{}__LISTEN", "GATEPOST_{}__NO_SUCH_KEY"])
def test_nor_is_a_mistake_of_the_environment(
    path: Path, word: str, other: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text('hostname = "mail.example.org"\n')
    monkeypatch.setenv(name.format(other.upper()), "nowhere")
    loaded = configuration.read(path, FILES[word])
    assert loaded.overrides == ()
    assert name.format(other.upper()) in problem(path, FILES[other])
    assert name.format(other.upper()) in problem(path, configuration.whole())


@pytest.mark.parametrize("model", [*FILES.values(), None])
def test_a_section_of_nobody_is_refused_with_the_names_there_are(
    path: Path, model: type[GroundSettings] | None
) -> None:
    path.write_text("[policy]\nbudget = 3\n")
    assert problem(path, model or configuration.whole()) == (
        f"{path}:1: policy: unknown key; did you mean 'policyd'? allowed here: dns, hostname, "
        "log, milters, policyd, proxy_networks, undecided"
    )


@pytest.mark.parametrize("model", FILES.values())
def test_the_ground_is_everyones(path: Path, model: type[GroundSettings]) -> None:
    path.write_text("[dns]\ntimeout = 0\n")
    assert "dns.timeout" in problem(path, model)
    path.write_text("[policyd\n")
    assert "not TOML" in problem(path, model)


def modules(code: str) -> set[str]:
    """The modules that a fresh interpreter has after this code."""
    printing = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", printing], capture_output=True, check=True)
    return set(done.stdout.decode().splitlines()[-1].split())


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_help_imports_no_command() -> None:
    run = (
        "import contextlib\nfrom gatepost.cli.__main__ import main\n"
        "sys.argv = ['gatepost', '--help']\n"
        "with contextlib.suppress(SystemExit):\n    main()"
    )
    assert not packages(modules(run)) & {"milters", "policyd", "msgauth", "pydantic", "dns"}


@pytest.mark.parametrize(("word", "other"), [("milters", "policyd"), ("policyd", "milters")])
def test_a_daemon_imports_nothing_of_the_other(word: str, other: str) -> None:
    found = modules(f"import {word}.cli.serve")
    assert f"{word}.settings" in found
    assert other not in packages(found)


class AccountSettings(ServerSettings):
    """People."""

    listen: ServedAddresses = Field(default=(Inet("127.0.0.1", 12345),), description="Where.")
    place: str = Field(default="nowhere", description="In words.")


class AccountsFile(GroundSettings):
    accounts: AccountSettings = Field(default_factory=AccountSettings, description="People.")


class Accounts:
    """A third daemon, which finds fault with a name."""

    file = AccountsFile

    def written_folders(self, settings: AccountSettings) -> list[tuple[str, Path]]:
        return []

    def unopened(
        self, ground: GroundSettings, settings: AccountSettings, unit: Unit | None
    ) -> list[tuple[str, str]]:
        return [("accounts.place", "cannot be opened")]

    def faults(self, ground: GroundSettings, settings: AccountSettings) -> list[tuple[str, str]]:
        return [("accounts.place", "is broken")] if settings.place == "broken" else []

    def advice(self, settings: AccountSettings) -> list[tuple[str, str]]:
        return [("accounts.place", f"is it {settings.place}?")]

    def tell_postfix(
        self, settings: AccountSettings, known: Gatepost, *, is_expected: bool
    ) -> Gatepost:
        return known


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("accounts_section")
    module.SECTION = Accounts()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "accounts_section", module)
    monkeypatch.setitem(configuration.SECTIONS, "accounts", "accounts_section")
    configuration.whole.cache_clear()
    yield
    configuration.whole.cache_clear()


@pytest.mark.usefixtures("third")
def test_a_third_daemon_is_one_more_line_in_the_table(path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(gatepost, ["config", *words])
        assert result.exit_code == 0, result.exception
        return result.output

    path.write_text("[accounts]\nplace = 'here'\n")
    assert "## [accounts]\n\nPeople.\n\n### `listen`\n\nWhere.\n" in run("reference")
    assert '"place": "here"' in run("show", "--config", str(path))
    assert "accounts.place: warning: is it here?" in run("check", "--config", str(path))
    assert configuration.read(path, MiltersFile).model == MiltersFile()
    path.write_text("[accounts]\nplace = 'broken'\n")
    broken = CliRunner().invoke(gatepost, ["config", "check", "--config", str(path)])
    assert str(broken.exception) == f"{path}:2: accounts.place: is broken"
    user = CliRunner().invoke(
        gatepost, ["config", "check", "--config", str(path), "--user", "root"]
    )
    assert "accounts.place: cannot be opened" in str(user.exception)
