"""`gatepost hold-queue`: the mail on hold in the queue of Postfix, for administrators."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import click

from gatepost.config import LogSettings, SecretFile
from gatepost.errors import StartError
from gatepost.listen import Inet, ListenError, SocketAddress
from gatepost.listen import parse as parse_listen

DRAIN: float = 30.0
"""Seconds for requests in progress at the end."""


@click.command("hold-queue")
@click.option(
    "--listen",
    "addresses",
    multiple=True,
    required=True,
    metavar="ADDRESS",
    help="Where accounts asks, such as inet:10031@127.0.0.1 or unix:/PATH.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the token that accounts sends. Required unless ADDRESS is a unix socket.",
)
@click.option(
    "--socket-group", metavar="GROUP", help="The group that may use a unix socket (mode 0660)."
)
@click.option(
    "--postfix",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/etc/postfix"),
    show_default=True,
    help="The folder of main.cf.",
)
def hold_queue(
    addresses: tuple[str, ...], token_file: Path | None, socket_group: str | None, postfix: Path
) -> None:
    """Serve the mail on hold: show, release and delete it.

    `gatepost quarantine` and the web pages ask this service, which runs beside Postfix, as root:
    only root may use postsuper. It reads no configuration, and does nothing but these requests.
    Name ADDRESS in `holders` of [accounts.quarantine].

    SIGTERM finishes the requests in progress and ends it.
    """
    from gatepost.daemon.listeners import Listeners
    from gatepost.logs import configure
    from gatepost.quarantine.settings import read_holder_token

    if os.geteuid() != 0:
        raise StartError("only root may release mail from the queue of Postfix")
    listen = [_address(one) for one in addresses]
    token = b""
    if token_file is not None:
        token = read_holder_token(SecretFile(token_file), "--token-file")
    elif any(isinstance(one, Inet) for one in listen):
        raise StartError("a TCP address needs --token-file: it shows the mail of everybody")
    configure(LogSettings())
    opened = Listeners.open({"listen": listen}, 0o660, socket_group)
    try:
        asyncio.run(_serve(opened, token, postfix))
    finally:
        opened.close()


async def _serve(opened: object, token: bytes, postfix: Path) -> None:
    from gatepost.daemon.listeners import Listeners
    from gatepost.logs import get_logger
    from gatepost.quarantine.hold_queue import HoldQueue
    from gatepost.quarantine.server import HolderRules, HolderServer, holder_name

    assert isinstance(opened, Listeners)  # noqa: S101
    log = get_logger("hold-queue")
    rules = HolderRules(HoldQueue(postfix, log), holder_name("hold"), token)
    server = HolderServer(lambda: rules, log)
    server.start(opened["listen"])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("ready", holder=rules.name, postfix=str(postfix))
    with contextlib.suppress(asyncio.CancelledError):
        await stop.wait()
    await server.drain(DRAIN)


def _address(text: str) -> SocketAddress:
    try:
        return parse_listen(text)
    except ListenError as error:
        raise StartError(f"--listen: {error}") from None
