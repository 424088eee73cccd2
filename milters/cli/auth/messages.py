"""`gatepost auth verify` and `gatepost auth sign`: a stored message in a session of the milter."""

from __future__ import annotations

import functools
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import click

from gatepost.cli import configuration
from gatepost.logs import configure, get_logger
from gatepost.ownership import OwnershipError
from gatepost.printable import escape
from gatepost.snapshots.form import SnapshotError
from gatepost.snapshots.senders import SENDERS, AccountRights
from milters.actions import DeleteHeader, InsertHeader, Quarantine, Refuse
from milters.cli.account_data import NoAccountDataError, read_kept
from milters.cli.auth.lookups import client_address, show_questions
from milters.cli.auth.questions import Questions, dns_option
from milters.file import MiltersFile
from milters.key_table import DomainKey, KeyTable
from milters.keys.account import DKIM_KEYS
from milters.keys.errors import KeysError
from milters.keys.files import read_key
from milters.keys.live import KeyKeeper, LiveKeys
from milters.keys.names import parse_domain, parse_selector, record_name
from milters.outcome import MessageOutcome
from milters.rules import Rules
from milters.session import Session
from msgauth.address import IpAddress
from msgauth.drive import solve
from msgauth.errors import MsgauthError
from msgauth.mail_address import MailAddress
from msgauth.message import HeaderField, crlf, parse_message
from msgauth.trace import Trace

CHUNK = 65536
"""Octets of the body passed to the session at once, as by an MTA."""

_OF_A_KEY = re.compile(r"(?<![a-z])([ds])=([^;\s]+)")
"""The tags of our own signatures that name the key (RFC 6376 section 3.5)."""

_KEY_WIDTH = len("sasl_username")
"""Columns for the keys of a verdict: `sasl_username` and `forged_fields` are the longest."""


class ConfiguredKeys:
    """The configured keys that may sign, read when the first one is needed."""

    def __init__(self, loaded: MiltersFile, questions: Questions) -> None:
        self._loaded = loaded
        self._questions = questions

    @functools.cached_property
    def _live(self) -> LiveKeys:
        configure(self._loaded.log)
        settings = self._loaded.milters
        keeper = KeyKeeper(get_logger("auth"))
        if settings.accounts.keys:
            keeper.expect_accounts()
        live = keeper.open(settings, self._questions)
        if settings.accounts.keys:
            try:
                snapshot = read_kept(settings.accounts, DKIM_KEYS)
                keeper.check(snapshot)
                keeper.take(snapshot)
            except (NoAccountDataError, SnapshotError) as error:
                click.echo(f"not used: {error}", err=True)
        return live

    def source_of(self, domain: str, selector: str) -> str:
        """Return the file of a key, or `accounts`."""
        found = (key for key in self._live.all_keys() if key.name == (domain, selector))
        return next((str(key.path) for key in found), "")

    def keys_of(self, domain: str) -> Sequence[DomainKey]:
        """Return the keys that may sign for exactly this domain."""
        return self._live.keys_of(domain)

    def keys_for(self, author: MailAddress) -> Sequence[DomainKey] | None:
        """Return the keys that a table names for this author."""
        return self._live.keys_for(author)

    def is_unreadable(self, domain: str) -> bool:
        """Return whether there may be a key for mail From `domain` that this user cannot read."""
        return self._live.is_unreadable(domain)


class OneKey:
    """A key table with the key of the command line."""

    def __init__(self, key: DomainKey) -> None:
        self._key = key

    def keys_of(self, domain: str) -> Sequence[DomainKey]:
        """Return the key, for its domain."""
        return (self._key,) if domain == self._key.domain else ()

    def keys_for(self, author: MailAddress) -> Sequence[DomainKey] | None:
        """Return None: there is no table."""
        del author
        return None

    def is_unreadable(self, domain: str) -> bool:
        """Return False: the key was read."""
        del domain
        return False


message_argument = click.argument("message", type=click.File("rb"))


@click.command()
@configuration.config_option
@dns_option
@message_argument
@click.option("--client", callback=client_address, help="The SMTP client's address, if known.")
@click.option("--client-name", default="", help="Its host name, as verified by the MTA.")
@click.option("--helo", default="", help="The name it gave in HELO.")
@click.option("--mail-from", "sender", default="", help="The address in MAIL FROM, empty for <>.")
@click.option("--login", default="", help="The SASL login.")
@click.option("--time", "now", type=int, help="The time of the check, in seconds since 1970.")
@click.option(
    "--trace",
    "traced",
    is_flag=True,
    help="Show the DNS queries, answers and findings of each method in order.",
)
def verify(
    config: Path | None,
    zone: Path | None,
    message: BinaryIO,
    client: IpAddress | None,
    client_name: str,
    helo: str,
    sender: str,
    login: str,
    now: int | None,
    traced: bool,
) -> None:
    """Show what the milter finds in MESSAGE and does with it.

    MESSAGE is a file, or - for standard input.

    The exit status is 0 when the message would be accepted, 75 when it would be deferred, and 77
    when it would be rejected.
    """
    loaded = configuration.read_if_any(config, MiltersFile).model
    questions = Questions(zone, loaded.dns)
    keys = ConfiguredKeys(loaded, questions)
    rules = _rules(loaded, keys)
    trace = Trace(time.monotonic) if traced else None
    session = Session(lambda: rules, trace=trace)
    session.connect(client_name or "unknown", str(client) if client else None)
    session.helo(helo)
    session.mail_from(sender.encode(), login, "")
    outcome = _play(session, message.read(), questions, now)
    _show("origin", outcome.origin)
    for key, value in outcome.facts.items():
        for item in value if isinstance(value, list) else [value]:
            _show(key, str(item))
    if outcome.unsigned:
        _show("unsigned", outcome.unsigned)
    for domain, selector in _signing_keys(outcome):
        source = keys.source_of(domain, selector)
        _show("key", f"{record_name(domain, selector)} from {source}")
    if outcome.seal:
        _show("seal", outcome.seal)
    _show("action", outcome.action)
    if outcome.reason:
        _show("reason", outcome.reason)
    _show_actions(outcome)
    show_questions(questions, trace)
    raise SystemExit({"defer": 75, "reject": 77}.get(outcome.action, 0))  # sysexits.h


@click.command()
@configuration.config_option
@dns_option
@message_argument
@click.option("--domain", help="The signing domain (d=), with --selector and --key.")
@click.option("--selector", help="The selector (s=).")
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The private key; by default the keys of the configuration that may sign.",
)
@click.option("--time", "now", type=int, help="The time of the signature, in seconds since 1970.")
def sign(
    config: Path | None,
    zone: Path | None,
    message: BinaryIO,
    domain: str | None,
    selector: str | None,
    key_file: Path | None,
    now: int | None,
) -> None:
    """Sign MESSAGE as the milter would and print it.

    MESSAGE is a file, or - for standard input.
    """
    loaded = configuration.read_if_any(config, MiltersFile).model
    questions = Questions(zone, loaded.dns)
    if key_file is not None:
        if domain is None or selector is None:
            raise click.UsageError("--key needs --domain and --selector")
        keys: KeyTable = OneKey(_read_key(domain, selector, key_file))
    else:
        keys = ConfiguredKeys(loaded, questions)
    rules = _rules(loaded, keys)
    session = Session(lambda: rules, submission=True)
    session.connect("localhost", None)
    session.mail_from(b"<>", "", "")
    raw = message.read()
    outcome = _play(session, raw, questions, now)
    if not outcome.signatures:
        raise click.ClickException(f"not signed: {outcome.unsigned or outcome.reason}")
    output = sys.stdout.buffer
    for action in reversed(outcome.actions):
        if isinstance(action, InsertHeader):
            value = action.value.replace("\n", "\r\n").encode()
            output.write(bytes(HeaderField(action.name.encode(), value)))
    output.write(crlf(raw))


def _signing_keys(outcome: MessageOutcome) -> Iterator[tuple[str, str]]:
    """Yield domain and selector of each signature that the milter adds."""
    for action in outcome.actions:
        if isinstance(action, InsertHeader) and action.name == "DKIM-Signature":
            tags = dict(_OF_A_KEY.findall(action.value))
            yield tags["d"], tags["s"]


def _rules(loaded: MiltersFile, keys: KeyTable) -> Rules:
    rights = None
    if loaded.milters.accounts.senders:
        rights = AccountRights()
        try:
            rights.take(read_kept(loaded.milters.accounts, SENDERS))
        except (NoAccountDataError, SnapshotError) as error:
            click.echo(f"not used: {error}", err=True)
    try:
        return Rules.prepare(loaded, loaded.milters, keys, rights)
    except (MsgauthError, OwnershipError) as error:
        raise click.ClickException(str(error)) from None


def _read_key(domain: str, selector: str, path: Path) -> DomainKey:
    try:
        return DomainKey(parse_domain(domain), parse_selector(selector), read_key(path))
    except KeysError as error:
        raise click.ClickException(str(error)) from None


def _play(session: Session, raw: bytes, questions: Questions, now: int | None) -> MessageOutcome:
    """Pass the message through a session after MAIL FROM."""
    try:
        fields, body = parse_message(raw)
    except MsgauthError as error:
        raise click.ClickException(str(error)) from None
    for field in fields:
        session.header(field.name, field.value)
    session.end_of_headers()
    for start in range(0, len(body), CHUNK):
        session.body(body[start : start + CHUNK])
    lookup = session.end_of_message(int(time.time()) if now is None else now)
    return solve(lookup, questions.resolve)


def _show_actions(outcome: MessageOutcome) -> None:
    for action in outcome.actions:
        match action:
            case Refuse(reply):
                _show("reply", str(reply))
            case Quarantine(reason):
                _show("hold", reason)
            case DeleteHeader(name, occurrence):
                _show("remove", f"{name} number {occurrence}")
            case InsertHeader(name, value):
                lines = f"{name}:{value}".split("\n")
                _show("add", lines[0])
                for line in lines[1:]:
                    _show("", line)


def _show(key: str, value: str) -> None:
    click.echo(f"{key:{_KEY_WIDTH}} {escape(value)}".rstrip())
