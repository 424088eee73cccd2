"""`gatepost dkim`: DKIM keys in the datastore. `gatepost keys` is for keys in files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from accounts.cli.noun import Noun, Shown
from accounts.cli.options import Field
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import time_text
from accounts.dnscheck.zonefile import record_line
from accounts.http.resources.domains import KEY as KIND
from gatepost.cli.output import tell
from gatepost.files import open_regular
from msgauth.keys import MAX_KEY_FILE

TTL = 3600
"""TTL of the printed record, in seconds."""


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "domain", one["domain"]
    yield "selector", one["selector"]
    yield "algorithm", one["algorithm"]
    yield "state", one["state"]
    yield "record name", one["record_name"]
    yield "record", one["public_record"]
    yield "created", time_text(one["created"])
    yield "activated", time_text(one["activated"])
    yield "retired", time_text(one["retired"])


DKIM_KEY = Noun(
    kind=KIND,
    word="DKIM key",
    arguments=("domain", "selector"),
    name="selector",
    owner="domain",
    heads=("SELECTOR", "ALGORITHM", "STATE", "CREATED", "ACTIVATED", "RETIRED"),
    row=lambda one: (
        one["selector"],
        one["algorithm"],
        one["state"],
        *(time_text(one[field])[:10] for field in ("created", "activated", "retired")),
    ),
    pairs=_pairs,
)


@click.group()
def dkim() -> None:
    """Add, activate and retire DKIM keys of the datastore.

    A new key does not sign yet. Publish its record in DNS, wait until it is visible everywhere, and
    activate it. This retires the active key of the same algorithm. Leave the record of a retired
    key in DNS for some days. The commands use the datastore that [accounts.database] in
    gatepost.toml names, or the API.
    """


@dkim.command("add")
@click.argument("domain")
@click.argument("selector")
@click.option(
    "--algorithm",
    type=click.Choice(["rsa", "ed25519"]),
    default="rsa",
    show_default=True,
    help="The kind of key.",
)
@session_options()
def add_key(session: CommandSession, domain: str, selector: str, algorithm: str) -> None:
    """Generate a key of DOMAIN with the name SELECTOR.

    Prints the record for DNS. The private part stays in the datastore, encrypted.
    """
    _add(session, domain, {"selector": selector, "algorithm": algorithm})


@dkim.command("import")
@click.argument("domain")
@click.argument("selector")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@session_options()
def import_key(session: CommandSession, domain: str, selector: str, file: Path) -> None:
    """Import a key in PEM from FILE; - is standard input.

    Prints the record for DNS.
    """
    _add(session, domain, {"selector": selector, "private": _pem(file)})


DKIM_KEY.add_list(
    dkim,
    "List the keys of DOMAIN.",
    Field("state", click.Choice(["new", "active", "retired"]), "Only those in this state."),
)
DKIM_KEY.add_show(dkim, "Show the key SELECTOR of DOMAIN, with its record.")


@dkim.command("record")
@click.argument("domain")
@click.argument("selector")
@session_options()
def show_record(session: CommandSession, domain: str, selector: str) -> None:
    """Print the record of a key for DNS, as a line of a zone file."""
    found = session.one(DKIM_KEY.step("get", [domain, selector]))
    session.done_lines(_record(found), found)


@dkim.command("activate")
@click.argument("domain")
@click.argument("selector")
@session_options()
def activate(session: CommandSession, domain: str, selector: str) -> None:
    """Sign mail of DOMAIN with the key SELECTOR from now on.

    The active key of the same algorithm is retired.
    """
    made = session.one(DKIM_KEY.step("activate", [domain, selector]))
    session.done(f"{DKIM_KEY.called(made)} is active", made)


@dkim.command("retire")
@click.argument("domain")
@click.argument("selector")
@session_options()
def retire(session: CommandSession, domain: str, selector: str) -> None:
    """Stop signing with the key SELECTOR of DOMAIN.

    Its record should stay in DNS for some days.
    """
    made = session.one(DKIM_KEY.step("retire", [domain, selector]))
    session.done(f"{DKIM_KEY.called(made)} is retired", made)


DKIM_KEY.add_remove(
    dkim, "Remove the key SELECTOR of DOMAIN.\n\nAn active key must be retired first."
)


def _add(session: CommandSession, domain: str, body: dict[str, Any]) -> None:
    made = session.one(DKIM_KEY.step("add", [domain], body=body))
    session.done_lines(_record(made), made)
    if not session.as_json:
        name = f"{made['domain']} {made['selector']}"
        tell("Publish the record. When it is seen everywhere:", err=True)
        tell(f"  gatepost dkim activate {name}", err=True)


def _record(one: Shown) -> str:
    return record_line(one["record_name"], "TXT", one["public_record"], TTL)


def _pem(file: Path) -> str:
    try:
        if str(file) == "-":
            octets = sys.stdin.buffer.read(MAX_KEY_FILE + 1)
        else:
            with open_regular(file) as opened:
                octets = opened.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from None
    # the directory reports text that is not PEM
    return octets.decode("ascii", "replace")
