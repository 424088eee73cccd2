"""`gatepost probe`: check that a server answers and speaks its protocol, for health checks and by
hand."""

from __future__ import annotations

import importlib
import time

import click

from gatepost import listen
from gatepost.cli.output import tell
from gatepost.handshake import Handshake, HandshakeError
from gatepost.handshake_client import connect, shake_hands

HANDSHAKES = {
    "milter": "milters.probe",
    "policy": "policyd.probe",
    "socketmap": "accounts.probe",
    "sasl": "accounts.probe",
    "dovecot": "accounts.probe",
    "dict": "accounts.probe",
    "smtp": "gatepost.handshake",
    "lmtp": "delivery.probe",
    "clamd": "gatepost.clamd.probe",
}
"""Kind of server: the module that has a function of that name, which begins the handshake."""

INTERVAL = 0.1
"""Seconds between two attempts to connect."""


def _parse(_context: click.Context, _parameter: click.Parameter, text: str) -> listen.SocketAddress:
    try:
        return listen.parse(text)
    except listen.ListenError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("kind", type=click.Choice(list(HANDSHAKES)))
@click.argument("address", callback=_parse)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=5.0,
    show_default=True,
    help="Seconds for the whole exchange.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 600),
    default=0.0,
    show_default=True,
    help="Seconds to try again while nothing listens, for a server that is starting.",
)
def probe(kind: str, address: listen.SocketAddress, timeout: float, wait: float) -> None:
    """Check that a server answers; the exit status is 0 if it does.

    \b
    milter     negotiate as Postfix does
    policy     send a request for VRFY; any action will do
    socketmap  look up a domain that nobody has
    sasl       wait for the greeting; no login is tried
    dovecot    ask for a mailbox that nobody has; being asked for a token will do
    dict       ask for the rules of a mailbox that nobody has
    smtp       wait for the banner, send EHLO
    lmtp       wait for the banner, send LHLO
    clamd      send PING

    ADDRESS is inet:PORT@HOST, inet:HOST:PORT or unix:/PATH. No message is started and no
    record is kept.
    """
    try:
        _wait_for_listener(address, timeout, wait)
        greeting = shake_hands(_handshake(kind), address, timeout)
    except TimeoutError:
        raise click.ClickException(f"{kind} {address}: no answer within {timeout:g} s") from None
    except HandshakeError as error:
        raise click.ClickException(f"{kind} {address}: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{kind} {address}: {error.strerror or error}") from None
    tell(f"{kind} {address}: {greeting.said}")


def _handshake(kind: str) -> Handshake:
    begin = getattr(importlib.import_module(HANDSHAKES[kind]), kind)
    handshake: Handshake = begin()
    return handshake


def _wait_for_listener(address: listen.SocketAddress, timeout: float, wait: float) -> None:
    """Try to connect until it succeeds or `wait` seconds have passed."""
    end = time.monotonic() + wait
    while time.monotonic() < end:
        try:
            connect(address, timeout).close()
        except (ConnectionRefusedError, FileNotFoundError):
            time.sleep(INTERVAL)
        else:
            return
