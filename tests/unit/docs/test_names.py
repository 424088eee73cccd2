"""What README and docs/ name is there: commands, options, make words, files, keys, metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from gatepost.cli.__main__ import gatepost
from gatepost.cli.configuration import whole

ROOT = Path(__file__).parents[3]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("images/**/*.md")),
]
FOLDERS = {path.parent.name for path in ROOT.glob("*/*") if path.suffix in (".py", ".md", ".yaml")}


def code(text: str) -> Iterator[str]:
    """The lines of the code blocks of a page, and its code spans."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from re.sub(r"\\\n\s*", "", block).splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for span in re.findall(r"`([^`]+)`", prose):
        yield " ".join(span.split())


def wrong_in(line: str) -> str:
    """What is wrong with the command of ours in a line of a shell; empty for none or a good one."""
    match = re.search(
        r"(?:^(?:# |\s+)?|/bin/|exec \w+ |['(=])gatepost((?: [^\s'`|;>#&()]+)+)", line
    )
    if match is None:
        return ""
    words = match[1].split()
    context = click.Context(gatepost)
    command: click.Command = gatepost
    while isinstance(command, click.Group) and words and re.match(r"[a-z][a-z-]*\Z", words[0]):
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]!r} in {line!r}"
        command = found
        words.pop(0)
    known = {name for option in command.params for name in option.opts + option.secondary_opts}
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and name not in known | {"--help", "--version"}:
            return f"{command.name} has no option {name} in {line!r}"
    return ""


@cache
def make_words() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def wrong_word(line: str) -> str:
    """A make word in a line that the Makefile does not have."""
    if match := re.match(r"(?:# )?make ([a-z]+)", line):
        return "" if match[1] in make_words() else f"no target {match[1]!r} in {line!r}"
    return ""


def wrong_file(line: str) -> str:
    """A path below a folder of the tree that is not there."""
    if re.fullmatch(r"[\w.-]+/[\w./-]*", line) and line.partition("/")[0] in FOLDERS:
        there = (ROOT / line).exists() or re.search(r"[A-Z]{3}", line)  # METHOD: some folder
        return "" if there else f"no file {line}"
    return ""


def has_key(model: Any, path: list[str]) -> bool:
    """Whether a section has a key; what stands below a table of names is not looked at."""
    if not path or not (isinstance(model, type) and issubclass(model, BaseModel)):
        return True
    field = model.model_fields.get(path[0])
    return field is not None and has_key(field.annotation, path[1:])


SECTIONS: list[type[BaseModel]] = [
    whole(),
    *(
        field.annotation
        for field in whole().model_fields.values()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    ),
]


def wrong_key(line: str) -> str:
    """A key of gatepost.toml, ``a.b`` or ``[a.b]``, that no section has."""
    match = re.fullmatch(r"\[{0,2}([a-z_]+(?:\.[a-z_]+)+)\]{0,2}(?: = .*)?", line)
    if match is None:
        return ""
    path = match[1].split(".")
    within = [section for section in SECTIONS if path[0] in section.model_fields]
    if not within or path[-1] in ("md", "py", "toml", "sqlite"):
        return ""  # main.cf, a file
    return "" if any(has_key(section, path) for section in within) else f"no key {match[1]}"


def wrong_metric(line: str) -> str:
    """A metric that the reference does not have."""
    known = (ROOT / "docs/reference/metrics.md").read_text()
    for name in re.findall(r"\bgatepost_(?:config|dns|milters|policyd)_\w+", line):
        if name not in known:
            return f"no metric {name}"
    return ""


CHECKS: list[Callable[[str], str]] = [wrong_in, wrong_word, wrong_file, wrong_key, wrong_metric]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_is_there(page: Path) -> None:
    text = page.read_text()
    assert [wrong for line in code(text) for check in CHECKS if (wrong := check(line))] == []


def test_what_is_not_there_is_found() -> None:
    assert wrong_in("# gatepost keys nwe example.org")
    assert wrong_in("gatepost keys new --bit 2048 example.org")
    assert not wrong_in("gatepost keys new --bits 2048 example.org")
    assert wrong_word("make tset")
    assert wrong_file("policyd/greylists.py")
    assert not wrong_file("policyd/greylisting.py")
    assert wrong_key("[milters.sing]")
    assert wrong_key("verify.max_signature")
    assert not wrong_key("milters.policy.dmarc.fail_reject")
    assert wrong_metric("gatepost_milters_massages_total")
    assert any("gatepost keys" in line for page in PAGES for line in code(page.read_text()))


def test_every_command_of_ours_says_what_it_does() -> None:
    def visit(command: click.Command, words: tuple[str, ...]) -> None:
        done = CliRunner().invoke(gatepost, [*words, "--help"])
        assert done.exit_code == 0, words
        assert command.get_short_help_str(), words
        if isinstance(command, click.Group):
            # the first sentence of each command fits into a terminal of 80 columns
            shown = CliRunner().invoke(gatepost, [*words, "--help"], terminal_width=80).output
            assert "..." not in shown.partition("\nCommands:")[2], words
            assert max(map(len, shown.splitlines())) <= 80, words
            context = click.Context(command)
            for word in command.list_commands(context):
                found = command.get_command(context, word)
                assert found is not None
                visit(found, (*words, word))

    visit(gatepost, ())
