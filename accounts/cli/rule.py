"""`gatepost rule`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from accounts import mail_rules
from accounts.cli.datastore import opened
from accounts.cli.layout import field_lines
from accounts.cli.options import FLAG, ask, common_options, yes_option
from accounts.cli.output import as_data, print_done, print_json, print_list
from accounts.cli.values import flag_text
from accounts.directory import sieve_rules
from accounts.directory.fields import MAX_JSON
from accounts.directory.sieve_rules import SieveRule
from accounts.sieve import compile_stored
from accounts.store.errors import Invalid
from accounts.store.transaction import Write
from gatepost.printable import escape_lines

_FILE = click.Path(path_type=Path, allow_dash=True, dir_okay=False)


@click.group()
def rule() -> None:
    """Add, show and change rules for arriving mail.

    A rule is JSON, with conditions and actions; docs/rules.md describes it. The commands use the
    datastore that [accounts.database] in gatepost.toml names.
    """


@rule.command("add")
@click.argument("address")
@click.argument("file", type=_FILE)
@common_options
def add_rule(address: str, file: Path, config: Path | None, as_json: bool) -> None:
    """Add the rule in FILE to the mailbox ADDRESS.

    It comes behind the others. - is standard input.
    """
    data = _read(file)
    with opened(config) as store:
        made = store.write(lambda write: mail_rules.add(write, address, data))
    print_done(f"rule {made.name} of {made.mailbox} added", _data(made), as_json=as_json)


@rule.command("list")
@click.argument("address")
@common_options
def list_rules(address: str, config: Path | None, as_json: bool) -> None:
    """List the rules of the mailbox ADDRESS in their order."""
    with opened(config) as store:
        found = store.read(lambda connection: sieve_rules.find(connection, address))
    print_list(
        found,
        ("NO.", "NAME", "ENABLED", "CONDITIONS", "ACTIONS"),
        lambda one: (
            str(one.position + 1),
            one.name,
            flag_text(one.enabled),
            _kinds(one, "conditions"),
            _kinds(one, "actions"),
        ),
        _data,
        as_json=as_json,
    )


@rule.command("show")
@click.argument("address")
@click.argument("name")
@common_options
def show_rule(address: str, name: str, config: Path | None, as_json: bool) -> None:
    """Show the rule NAME of the mailbox ADDRESS, as JSON and as Sieve."""
    with opened(config) as store:
        found = store.read(lambda connection: sieve_rules.get(connection, address, name))
    compiled = compile_stored([found])
    problems = [problem.text for problem in compiled.problems]
    if as_json:
        print_json(_data(found, sieve=compiled.text, problems=problems))
        return
    pairs = [
        ("rule", found.name),
        ("number", str(found.position + 1)),
        ("enabled", flag_text(found.enabled)),
        *(("problem", problem) for problem in problems),
        *_block("json", json.dumps(mail_rules.as_rule(found), indent=1)),
        *_block("sieve", compiled.text),
    ]
    for line in field_lines(pairs):
        click.echo(escape_lines(line))


@rule.command("set")
@click.argument("address")
@click.argument("name")
@click.option("--file", type=_FILE, help="The rule that takes its place, - for standard input.")
@click.option("--enabled", type=FLAG, help="Whether it is in use.")
@click.option("--number", type=click.IntRange(1), help="Its place among the others, from 1.")
@common_options
def set_rule(
    address: str,
    name: str,
    file: Path | None,
    enabled: bool | None,
    number: int | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Change the rule NAME of the mailbox ADDRESS."""
    if file is None and enabled is None and number is None:
        raise click.UsageError("nothing to change: name at least one option, see --help")
    data = None if file is None else _read(file)

    def work(write: Write) -> SieveRule:
        made = sieve_rules.get(write.connection, address, name)
        if data is not None or enabled is not None:
            made = mail_rules.change(write, address, name, None, data=data, enabled=enabled)
        if number is not None:
            _move(write, made, number)
        return sieve_rules.get(write.connection, address, made.name)

    with opened(config) as store:
        made = store.write(work)
    print_done(f"rule {made.name} of {made.mailbox} set", _data(made), as_json=as_json)


@rule.command("remove")
@click.argument("address")
@click.argument("name")
@yes_option
@common_options
def remove_rule(address: str, name: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Remove the rule NAME of the mailbox ADDRESS."""

    def rehearsed(write: Write) -> SieveRule:
        with write.attempt("rule.remove", address):
            found = sieve_rules.get(write.connection, address, name)
            sieve_rules.remove(write, address, name)
            return found

    with opened(config) as store:
        found = store.rehearse(rehearsed)
        ask(f"Remove the rule {found.name} of {found.mailbox}?", yes=yes)
        store.write(lambda write: sieve_rules.remove(write, address, name, found.version))
    data = {"removed": found.name, "mailbox": found.mailbox}
    print_done(f"rule {found.name} of {found.mailbox} removed", data, as_json=as_json)


def _move(write: Write, one: SieveRule, number: int) -> None:
    with write.attempt("rule.order", one.mailbox):
        names = [other.name for other in sieve_rules.find(write.connection, one.mailbox)]
        if number > len(names):
            raise Invalid("number", f"The mailbox has {len(names)} rules.")
        names.remove(one.name)
        names.insert(number - 1, one.name)
        sieve_rules.order(write, one.mailbox, names)


def _read(file: Path) -> Any:
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


def _data(one: SieveRule, **more: Any) -> dict[str, Any]:
    """Return a rule as JSON has it; its `rule` is what `rule add` reads."""
    return as_data(one, **more) | {"rule": mail_rules.as_rule(one)}


def _kinds(one: SieveRule, part: str) -> str:
    """Return the kinds of conditions or actions; a rule of another form has none that are known."""
    parts: Sequence[Any] = one.rule.get(part, ()) if isinstance(one.rule, dict) else ()
    kinds = [str(each.get("kind", "?")) for each in parts if isinstance(each, dict)]
    return ", ".join(dict.fromkeys(kinds))


def _block(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text as fields, the first of them with a name."""
    for line in text.splitlines():
        yield name, line
        name = ""
