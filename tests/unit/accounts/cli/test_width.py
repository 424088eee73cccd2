"""Output that fits 80 columns, whatever the datastore has, and help that does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from accounts.cli.layout import columns
from accounts.http.principals import SCOPES
from gatepost.cli.__main__ import COMMANDS, gatepost
from tests.unit.accounts.cli.shell import WIDTH, Shell

OURS = tuple(word for word, (module, _) in COMMANDS.items() if module.startswith("accounts."))
LONG = "l" * 60
DOMAIN = ".".join(["d" * 45] * 3) + ".example"
ADDRESS = f"{LONG}@{DOMAIN}"


def commands(group: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(group, click.Group):
        context = click.Context(group)
        for word in group.list_commands(context):
            found = group.get_command(context, word)
            assert found is not None
            if words or word in OURS:
                yield from commands(found, *words, word)


def all_commands() -> list[tuple[str, ...]]:
    assert isinstance(gatepost, click.Group)
    return [words for words in commands(gatepost) if words and words[0] in OURS]


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_the_help_fits(shell: Shell, words: tuple[str, ...]) -> None:
    text = shell.run(*words, "--help")
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("word", [word for word in OURS if word not in ("accounts",)])
def test_the_help_says_which_datastore_is_meant(shell: Shell, word: str) -> None:
    text = " ".join(shell.run(word, "--help").split())
    assert "use the datastore that [accounts.database] in gatepost.toml names" in text


@pytest.fixture
def long(shell: Shell) -> Shell:
    """Everything as long as it may be, in letters that take two columns."""
    wide = "広" * 200
    shell.run("domain", "add", DOMAIN, "--description", wide * 4, "--catch-all", f"x@x{DOMAIN}")
    shell.run("domain", "add", f"a.{DOMAIN}", "--alias-of", DOMAIN)
    forwards = [word for n in range(5) for word in ("--forwards", f"{n}{LONG[1:]}@{DOMAIN}")]
    shell.user(ADDRESS, "--display-name", wide, "--quota", "9007199254740991", *forwards)
    shell.run("user", "set", ADDRESS, "--enabled", "no", "--may-login", "no", "--may-send", "no")
    shell.run("user", "set", ADDRESS, "--send-as", f"@{DOMAIN}", "--block-sender", f"@{DOMAIN}")
    shell.run(
        *("alias", "add", f"sales@{DOMAIN}", f"a{LONG[1:]}@{DOMAIN}", "--description", wide * 5)
    )
    shell.run("app-password", "add", ADDRESS, wide, "--expires", "9999-12-31")
    rule = {
        "name": "広" * 40,
        "conditions": [{"kind": "exists", "names": ["X-" + "広" * 0 + "a" * 50]}],
        "actions": [{"kind": "fileinto", "mailbox": "広" * 60}],
    }
    shell.run("rule", "add", ADDRESS, "-", typed=json.dumps(rule))
    shell.run("admin", "add", "a" * 64, "--no-password", "--domains", DOMAIN)
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    shell.run("token", "add", wide, *scopes, "--user", ADDRESS)
    return shell


def test_lists_and_objects_fit(long: Shell) -> None:
    for words in (
        ("domain", "list"),
        ("domain", "show", DOMAIN),
        ("user", "list"),
        ("user", "show", ADDRESS),
        ("alias", "list"),
        ("alias", "show", f"sales@{DOMAIN}"),
        ("app-password", "list", ADDRESS),
        ("app-password", "show", ADDRESS, "広" * 200),
        ("rule", "list", ADDRESS),
        ("rule", "show", ADDRESS, "広" * 40),
        ("admin", "list"),
        ("admin", "show", "a" * 64),
        ("token", "list"),
        ("token", "show", "1"),
        ("setup", "email", "list"),
        ("setup", "alias", "list"),
    ):
        text = long.run(*words)
        assert len(text.splitlines()) > 1, words
        assert [line for line in text.splitlines() if columns(line) > WIDTH] == [], words


def test_nothing_of_an_object_is_cut_off(long: Shell) -> None:
    text = "".join(line[15:] for line in long.run("domain", "show", DOMAIN).splitlines())
    assert DOMAIN in text.replace(" ", "")
    assert text.count("広") == 800


def test_json_is_ascii(long: Shell) -> None:
    for words in (("user", "list"), ("user", "show", ADDRESS), ("rule", "list", ADDRESS)):
        text = long.run(*words, "--json")
        assert text.isascii()
        json.loads(text)


def test_every_object_comes_back_from_its_json(long: Shell) -> None:
    """A list has the same objects as `show`."""
    (user,) = long.json("user", "list")
    shown = long.json("user", "show", ADDRESS)
    assert user.items() <= shown.items()
    domain = long.json("domain", "list")[1]
    assert domain.items() <= long.json("domain", "show", domain["name"]).items()
    assert long.json("alias", "list") == [long.json("alias", "show", f"sales@{DOMAIN}")]
    assert long.json("admin", "list") == [long.json("admin", "show", "a" * 64)]
    assert long.json("token", "list") == [long.json("token", "show", "1")]


def test_the_help_of_all_imports_no_database() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from gatepost.cli.__main__ import gatepost\n"
        "assert CliRunner().invoke(gatepost, ['--help']).exit_code == 0\n"
        "print([name for name in sys.modules if name.startswith(('sqlalchemy', 'accounts'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("word", OURS)
def test_a_command_says_how_to_install_what_it_needs(word: str) -> None:
    code = (
        "import sys\n"
        "sys.modules['sqlalchemy'] = None\n"
        "from gatepost.cli.__main__ import main\n"
        f"sys.argv = ['gatepost', {word!r}, {'import' if word == 'accounts' else 'list'!r}]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert (
        "needs sqlalchemy, which is not installed: run pip install '.[accounts]' in the checkout"
        in done.stderr
    )
