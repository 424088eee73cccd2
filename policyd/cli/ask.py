"""`gatepost policyd ask`: the answer to a policy request, and the finding of each check."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gatepost import logs
from gatepost.cli import configuration
from gatepost.cli.output import tell
from gatepost.dns import AsyncResolver
from gatepost.handshake_client import connect
from gatepost.printable import escape_lines
from policyd.build import Maker, Stores, open_store
from policyd.cli.store import as_owner
from policyd.engine import WAITING, Decision, Engine, within
from policyd.errors import PolicydError
from policyd.file import PolicydFile
from policyd.request import REQUEST_TYPE, Request, State
from policyd.settings import PolicydSettings
from policyd.stores.memory import MemoryStore
from policyd.stores.view import View

ANSWER_SECONDS = 100.0
"""Seconds; Postfix waits as long (smtpd_policy_service_timeout)."""
MAX_ANSWER = 65536


@click.command()
@configuration.config_option
@click.option("--client", "client_address", default="", help="Address of the client.")
@click.option("--name", "client_name", default="", help="Its verified host name (FCrDNS).")
@click.option("--reverse-name", "reverse_client_name", default="", help="Its PTR name.")
@click.option("--helo", "helo_name", default="", help="What it says in HELO.")
@click.option("--sender", default="", help="MAIL FROM; empty for the null sender.")
@click.option("--recipient", default="", help="RCPT TO.")
@click.option("--user", "sasl_username", default="", help="SASL login.")
@click.option("--size", default="", help="Size of the message in bytes.")
@click.option("--recipient-count", default="", help="Recipients, at DATA and END-OF-MESSAGE.")
@click.option(
    "--state",
    "protocol_state",
    type=click.Choice([state.value for state in State]),
    default=State.RCPT.value,
    show_default=True,
    help="Where in the SMTP dialogue Postfix asks.",
)
@click.option(
    "--attribute", "more", multiple=True, metavar="NAME=VALUE", help="Any further attribute."
)
@click.option(
    "--send", is_flag=True, help="Ask the running server as Postfix does; it counts as an attempt."
)
def ask(config: Path | None, send: bool, more: tuple[str, ...], **given: str) -> None:
    """Show the answer to a policy request and what each check found.

    The checks run in this command, on the server's store, and change nothing in it. With --send the
    request goes to the running server.
    """
    model = configuration.read_if_any(config, PolicydFile).model
    attributes = {"request": REQUEST_TYPE, **given}
    for one in more:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise click.BadParameter(
                f"{one!r} is not of the form NAME=VALUE", param_hint="--attribute"
            )
        attributes[name] = value
    if any("\n" in text or "\0" in text for pair in attributes.items() for text in pair):
        raise click.UsageError("an attribute must be one line of text")
    if send:
        click.echo(escape_lines(_send(model.policyd, attributes)))
        return
    logs.configure(model.log.model_copy(update={"level": "error"}))
    with as_owner(model.policyd.store):
        asyncio.run(_ask(model, Request(attributes)))


async def _ask(model: PolicydFile, request: Request) -> None:
    settings = model.policyd
    resolver = AsyncResolver(model.dns)
    try:
        stores = Stores.over(View(_store(settings)))
        engine = Maker(model, settings, stores, resolver).engine()
        decision = await within(engine, request, settings.budget)
        await stores.close()
    except PolicydError as error:
        raise click.ClickException(str(error)) from None
    finally:
        await resolver.close()
    _show(engine, request, decision)


def _store(settings: PolicydSettings) -> View | MemoryStore:
    kind, path = settings.store.kind, settings.store.path
    if kind == "memory":
        click.echo(
            "the store is in the server's memory: the answer assumes an empty store", err=True
        )
        return MemoryStore()
    if kind == "sqlite" and not path.exists():
        click.echo(f"there is no store {path} yet: the answer assumes an empty store", err=True)
        return MemoryStore()
    return View(open_store(settings.store, once=True))


def _show(engine: Engine, request: Request, decision: Decision) -> None:
    told = {finding.partition(":")[0]: finding for finding in decision.findings}
    ended = False
    for row in engine.rows:
        name = row.check.name
        if name in told:
            tell(told.pop(name))
        elif request.state not in row.check.states:
            click.echo(f"{name}: does not run at {request.state}")
        else:
            click.echo(f"{name}: {'not reached' if ended else 'no finding'}")
        ended = ended or (name == decision.check and decision.action.verb not in WAITING)
    for rest in told.values():
        tell(rest)
    tell(f"action={decision.action}")


def _send(settings: PolicydSettings, attributes: dict[str, str]) -> str:
    address = settings.listen[0]
    lines = "".join(f"{name}={value}\n" for name, value in attributes.items())
    answer = b""
    try:
        with connect(address, ANSWER_SECONDS) as sock:
            sock.sendall(lines.encode("utf-8", "surrogateescape") + b"\n")
            while b"\n\n" not in answer and len(answer) < MAX_ANSWER:
                data = sock.recv(4096)
                if not data:
                    raise click.ClickException(f"{address} closed the connection")
                answer += data
    except OSError as error:
        raise click.ClickException(
            f"{address} does not answer: {error.strerror or error}"
        ) from None
    return answer.partition(b"\n\n")[0].decode("ascii", "backslashreplace")
