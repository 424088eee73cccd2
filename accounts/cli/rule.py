"""`gatepost rule`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from accounts.cli.executor import OperationStep
from accounts.cli.layout import field_lines
from accounts.cli.noun import Noun, Shown
from accounts.cli.options import FLAG
from accounts.cli.output import print_json
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import flag_text
from accounts.directory.fields import MAX_JSON
from accounts.http.resources.filtering import RULE as KIND
from accounts.sieve import RuleError, compile_stored, parse_rule
from gatepost.printable import escape_lines

_FILE = click.Path(path_type=Path, allow_dash=True, dir_okay=False)


class _RuleNoun(Noun):
    """A rule, printed in the form that `rule add` reads, with its name."""

    def data(self, one: Shown) -> dict[str, Any]:
        """Return a rule in the form that `--json` prints."""
        return {**one, "rule": _as_rule(one)}


RULE = _RuleNoun(
    kind=KIND,
    word="rule",
    arguments=("address", "name"),
    name="name",
    owner="mailbox",
    heads=("NO.", "NAME", "ENABLED", "CONDITIONS", "ACTIONS"),
    row=lambda one: (
        str(one["position"] + 1),
        one["name"],
        flag_text(one["enabled"]),
        _kinds(one, "conditions"),
        _kinds(one, "actions"),
    ),
    pairs=lambda one: [("rule", one["name"])],
)


@click.group()
def rule() -> None:
    """Add, show and change rules for incoming mail.

    A rule is JSON, with conditions and actions; docs/rules.md describes it. The commands use the
    datastore that [accounts.database] in gatepost.toml names, or the API.
    """


@rule.command("add")
@click.argument("address")
@click.argument("file", type=_FILE)
@session_options()
def add_rule(session: CommandSession, address: str, file: Path) -> None:
    """Add the rule in FILE to the mailbox ADDRESS.

    It runs after the others. - is standard input.
    """
    made = session.one(RULE.step("add", [address], body=_read(file)))
    session.done(f"{RULE.called(made)} added", RULE.data(made))


RULE.add_list(rule, "List the rules of the mailbox ADDRESS in their order.")


@rule.command("show")
@click.argument("address")
@click.argument("name")
@session_options()
def show_rule(session: CommandSession, address: str, name: str) -> None:
    """Show the rule NAME of the mailbox ADDRESS, as JSON and as Sieve."""
    found = session.one(RULE.step("get", [address, name]))
    compiled = compile_stored([SimpleNamespace(**found)])
    problems = [problem.text for problem in compiled.problems]
    if session.as_json:
        print_json({**RULE.data(found), "sieve": compiled.text, "problems": problems})
        return
    pairs = [
        ("rule", found["name"]),
        ("number", str(found["position"] + 1)),
        ("enabled", flag_text(found["enabled"])),
        *(("problem", problem) for problem in problems),
        *_block("json", json.dumps(_as_rule(found), indent=1)),
        *_block("sieve", compiled.text),
    ]
    for line in field_lines(pairs):
        click.echo(escape_lines(line))


@rule.command("set")
@click.argument("address")
@click.argument("name")
@click.option(
    "--file", type=_FILE, help="File with the rule that replaces it; - is standard input."
)
@click.option("--enabled", type=FLAG, help="Whether it is enabled.")
@click.option("--number", type=click.IntRange(1), help="Its position among the rules, from 1.")
@session_options()
def set_rule(
    session: CommandSession,
    address: str,
    name: str,
    file: Path | None,
    enabled: bool | None,
    number: int | None,
) -> None:
    """Change the rule NAME of the mailbox ADDRESS."""
    if file is None and enabled is None and number is None:
        raise click.UsageError("nothing to change: name at least one option, see --help")
    changes = {} if file is None else _read(file)
    if enabled is not None:
        changes["enabled"] = enabled
    steps = [RULE.step("change", [address, name], body=changes)]
    after = str(changes.get("name", name))
    if number is not None:
        found, listed = session.do(RULE.step("get", [address, name]), RULE.step("list", [address]))
        names = [str(one["name"]) for one in listed.body["items"]]
        if number > len(names):
            raise click.ClickException(f"number: The mailbox has {len(names)} rules.")
        names.remove(found.body["name"])
        names.insert(number - 1, after if "name" in changes else found.body["name"])
        steps.append(OperationStep("order-rules", {"address": address}, {"names": names}))
    *_, last = session.do(*steps, RULE.step("get", [address, after]))
    session.done(f"{RULE.called(last.body)} set", RULE.data(last.body))


RULE.add_remove(rule, "Remove the rule NAME of the mailbox ADDRESS.")


def _read(file: Path) -> dict[str, Any]:
    """Return the rule in a file in the form of the API."""
    data = _json(file)
    if not isinstance(data, Mapping):
        raise click.ClickException("rule: It must be an object.")
    try:
        read = parse_rule(data)
    except RuleError as error:
        place = f"rule.{error.field}" if error.field else "rule"
        raise click.ClickException(f"{place}: {error.text}") from None
    return {"name": read.name, "enabled": read.enabled, "rule": read.body()}


def _json(file: Path) -> Any:
    try:
        if str(file) == "-":
            octets = sys.stdin.buffer.read(MAX_JSON + 1)
        else:
            with file.open("rb") as opened_file:
                octets = opened_file.read(MAX_JSON + 1)
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from None
    if len(octets) > MAX_JSON:
        raise click.ClickException(f"{file} has more than {MAX_JSON} octets")
    try:
        return json.loads(octets)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise click.ClickException(f"{file} is not JSON: {reason}") from None


def _as_rule(one: Shown) -> dict[str, Any]:
    body = one["rule"] if isinstance(one["rule"], dict) else {}
    return {"name": one["name"], "enabled": one["enabled"]} | body


def _kinds(one: Shown, part: str) -> str:
    """Return the kinds of conditions or actions; a malformed rule has none."""
    parts: Sequence[Any] = one["rule"].get(part, ()) if isinstance(one["rule"], dict) else ()
    kinds = [str(each.get("kind", "?")) for each in parts if isinstance(each, dict)]
    return ", ".join(dict.fromkeys(kinds))


def _block(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text as fields, the first one with a name."""
    for line in text.splitlines():
        yield name, line
        name = ""
