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

from accounts.settings import AccountsFile
from delivery.file import DeliveryFile
from gatepost.cli import configuration
from gatepost.cli.__main__ import gatepost
from gatepost.cli.postfix.ours import Gatepost
from gatepost.config import ConfigError, GroundSettings, ServedAddresses, ServerSettings
from gatepost.listen import Inet
from gatepost.systemd import Unit
from milters.file import MiltersFile
from policyd.file import PolicydFile

FILES: dict[str, type[GroundSettings]] = {
    "milters": MiltersFile,
    "policyd": PolicydFile,
    "accounts": AccountsFile,
    "delivery": DeliveryFile,
}
PAIRS = [
    ("milters", "policyd"),
    ("policyd", "accounts"),
    ("accounts", "delivery"),
    ("delivery", "milters"),
]
EXTRA = ("alembic", "argon2", "asyncpg", "bcrypt", "passlib", "sqlalchemy", "starlette", "uvicorn")
"""What the extra `accounts` installs."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gatepost.toml"


def problem(path: Path, model: type[GroundSettings]) -> str:
    with pytest.raises(ConfigError) as caught:
        configuration.read(path, model)
    return str(caught.value)


@pytest.mark.parametrize(("word", "other"), PAIRS)
@pytest.mark.parametrize("mistake", ["[{}]\nlisten = 5\n", "[{}]\nno_such_key = 1\n", "{} = 5\n"])
def test_a_mistake_in_the_section_of_another_daemon_is_not_ours(
    path: Path, word: str, other: str, mistake: str
) -> None:
    path.write_text(mistake.format(other))
    model = configuration.read(path, FILES[word]).model
    assert model == FILES[word]()
    assert other in problem(path, FILES[other])
    assert other in problem(path, configuration.whole())


@pytest.mark.parametrize(("word", "other"), PAIRS)
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
        f"{path}:1: policy: unknown key; did you mean 'policyd'? allowed here: accounts, backup, "
        "delivery, dns, hostname, log, milters, policyd, proxy_networks, undecided"
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


@pytest.mark.parametrize(("word", "other"), PAIRS)
def test_a_daemon_imports_nothing_of_the_other(word: str, other: str) -> None:
    command = "accounts.cli.accounts" if word == "accounts" else f"{word}.cli.serve"
    found = modules(f"import {command}, {word}.settings")
    assert f"{word}.settings" in found
    assert other not in packages(found)
    # cryptography takes bcrypt where there is one
    assert not packages(found) & (set(EXTRA) - {"bcrypt"})


def without_the_extra(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `gatepost` where nothing of the extra `accounts` is installed."""
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({EXTRA!r}))\n"
        f"sys.argv = ['gatepost', *{words!r}]\n"
        "from gatepost.cli.__main__ import main\nmain()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["check --user root", "show --all", "reference"])
def test_the_configuration_needs_no_extra(path: Path, words: str) -> None:
    path.write_text("[policyd.store]\nkind = 'memory'\n")
    option = [] if words == "reference" else ["--config", str(path)]
    done = without_the_extra("config", *words.split(), *option)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_who_uses_accounts_is_told_of_the_extra(path: Path) -> None:
    path.write_text("[accounts]\ndefault_domain = 'example.org'\n")
    checked = without_the_extra("config", "check", "--user", "root", "--config", str(path))
    assert checked.returncode == 2
    assert "accounts: needs " in checked.stderr
    assert "run pip install '.[accounts]' in the checkout" in checked.stderr
    run = without_the_extra("accounts", "--config", str(path))
    assert run.returncode == 1
    assert "run pip install '.[accounts]' in the checkout" in run.stderr
    assert "Traceback" not in checked.stderr + run.stderr


class PeopleSettings(ServerSettings):
    """People."""

    listen: ServedAddresses = Field(default=(Inet("127.0.0.1", 12345),), description="Where.")
    place: str = Field(default="nowhere", description="In words.")


class PeopleFile(GroundSettings):
    people: PeopleSettings = Field(default_factory=PeopleSettings, description="People.")


class People:
    """One more daemon, which finds fault with a name."""

    file = PeopleFile

    def written_folders(self, settings: PeopleSettings) -> list[tuple[str, Path]]:
        return []

    def load(self, settings: PeopleSettings) -> None:
        pass

    def unopened(
        self, ground: GroundSettings, settings: PeopleSettings, unit: Unit | None
    ) -> list[tuple[str, str]]:
        return [("people.place", "cannot be opened")]

    def faults(self, ground: GroundSettings, settings: PeopleSettings) -> list[tuple[str, str]]:
        return [("people.place", "is broken")] if settings.place == "broken" else []

    def advice(self, settings: PeopleSettings) -> list[tuple[str, str]]:
        return [("people.place", f"is it {settings.place}?")]

    def tell_postfix(
        self, settings: PeopleSettings, known: Gatepost, *, is_expected: bool
    ) -> Gatepost:
        return known


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("people_section")
    module.SECTION = People()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "people_section", module)
    monkeypatch.setitem(configuration.SECTIONS, "people", "people_section")
    configuration.whole.cache_clear()
    yield
    configuration.whole.cache_clear()


@pytest.mark.usefixtures("another")
def test_another_daemon_is_one_more_line_in_the_table(path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(gatepost, ["config", *words])
        assert result.exit_code == 0, result.exception
        return result.output

    path.write_text("[people]\nplace = 'here'\n")
    assert "## [people]\n\nPeople.\n\n### `listen`\n\nWhere.\n" in run("reference")
    assert '"place": "here"' in run("show", "--config", str(path))
    assert "people.place: warning: is it here?" in run("check", "--config", str(path))
    assert configuration.read(path, MiltersFile).model == MiltersFile()
    path.write_text("[people]\nplace = 'broken'\n")
    broken = CliRunner().invoke(gatepost, ["config", "check", "--config", str(path)])
    assert str(broken.exception) == f"{path}:2: people.place: is broken"
    user = CliRunner().invoke(
        gatepost, ["config", "check", "--config", str(path), "--user", "root"]
    )
    assert "people.place: cannot be opened" in str(user.exception)
