"""`gatepost keys`: signing keys from the day they are made to the day they are revoked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatepost.cli import configuration
from milters.keys.errors import KeysError
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.generate import MAX_NEW_RSA_BITS, new_key
from milters.keys.names import KeyNameError, parse_domain, parse_selector, record_name
from milters.keys.record import present
from milters.keys.state import KeyState, new_selector
from msgauth.keys import GOOD_RSA_BITS, MIN_RSA_BITS, KeyType, SigningKey

ALGORITHMS: dict[str, tuple[KeyType, ...]] = {
    "both": ("rsa", "ed25519"),
    "rsa": ("rsa",),
    "ed25519": ("ed25519",),
}


class KeyCommands(click.Group):
    """Commands whose errors are told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeysError as error:
            raise click.ClickException(str(error)) from None


def _checked(parse: Callable[[str], str]) -> Callable[..., str | None]:
    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        try:
            return None if value is None else parse(value)
        except KeyNameError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return callback


domain_argument = click.argument("domain", callback=_checked(parse_domain))


@click.group(cls=KeyCommands)
def keys() -> None:
    """Make, publish, check and retire signing keys.

    \b
    A new key goes through five steps:
      gatepost keys new example.org         make it
      gatepost keys publish example.org     put its record into DNS
      gatepost keys check example.org       see it at every name server
      gatepost keys activate example.org    sign with it; the old one is retired
      gatepost keys revoke example.org OLD  a week later
    """


def folder_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where the keys are, and `--json`."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    command = click.option(
        "--keys",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="The key folder; `keys` in [milters] when not given.",
    )(command)
    return configuration.config_option(command)


def open_folder(folder: Path | None, config: Path | None) -> KeyFolder:
    """The key folder that the command works on."""
    if folder is None:
        folder = configuration.read_if_any(config).model.milters.keys
    return KeyFolder(folder)


@keys.command()
@domain_argument
@click.option(
    "--selector",
    callback=_checked(parse_selector),
    help="Its name in DNS, SELECTOR._domainkey.DOMAIN; by default year, month and type, as in "
    "202611r. With both algorithms, r and e are put behind it.",
)
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS)),
    default="both",
    show_default=True,
    help="Both is best: who cannot verify Ed25519 (RFC 8463) verifies RSA.",
)
@click.option(
    "--bits",
    type=click.IntRange(MIN_RSA_BITS, MAX_NEW_RSA_BITS),
    default=GOOD_RSA_BITS,
    show_default=True,
    help="Length of an RSA key. Fewer than 2048 only for a DNS that cannot hold more.",
)
@click.option(
    "--active", is_flag=True, help="Call the key active at once, unseen in DNS, for a first set-up."
)
@folder_options
def new(
    domain: str,
    selector: str | None,
    algorithm: str,
    bits: int,
    active: bool,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Make the signing keys of DOMAIN and print their records.

    Nothing is overwritten, and nothing is signed with the new keys before they are activated.
    """
    key_folder = open_folder(folder, config)
    key_folder.create()
    now = datetime.now(UTC)
    types = ALGORITHMS[algorithm]
    taken = key_folder.taken_selectors(domain)
    made: dict[str, bytes] = {}
    for key_type in types:
        if selector is None:
            name = new_selector(key_type, now, taken)
        else:
            name = selector if len(types) == 1 else f"{selector}{key_type[0]}"
        made[parse_selector(name)] = new_key(key_type, bits)
    state = KeyState.ACTIVE if active else KeyState.NEW
    added = key_folder.add(domain, made, state, now)
    described = [describe(key, SigningKey.parse(made[key.selector])) for key in added]
    if as_json:
        click.echo(json.dumps({"domain": domain, "keys": described}, indent=2))
        return
    what = "a new key" if len(added) == 1 else f"{len(added)} new keys"
    click.echo(f"{domain} has {what} in {added[0].path.parent}. Put into DNS:\n")
    for key in described:
        click.echo(present(key["name"], key["record"], "bind"))
    if any(key["algorithm"] == "rsa-sha256" and key["bits"] < GOOD_RSA_BITS for key in described):
        click.echo(f"\nAn RSA key of {bits} bits is short: {GOOD_RSA_BITS} is what RFC 8301 asks.")
    if active:
        click.echo(
            "\nThey are active: the milter signs with them as soon as it sees them in DNS, "
            "or at once with require_published = false."
        )
    else:
        told = f"{domain} --keys {folder}" if folder else domain
        click.echo(
            "\nThey do not sign yet. Then:\n"
            f"  gatepost keys check {told}       until every name server has them\n"
            f"  gatepost keys activate {told}    to sign with them"
        )


def describe(key: KeyFile, signing: SigningKey) -> dict[str, Any]:
    """A key as `--json` prints it."""
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": signing.algorithm,
        "bits": signing.bits,
        "state": str(key.state),
        "file": str(key.path),
        "name": record_name(key.domain, key.selector),
        "record": signing.public_record(),
    }
