"""`gatepost domain check`."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import click
from pydantic import ValidationError

from accounts.address import AccountAddressError, parse_domain
from accounts.autoconfig.settings import AutoconfigSettings
from accounts.cli.executor import Declined, OperationStep
from accounts.cli.output import print_json
from accounts.cli.session import CommandSession, session_options
from accounts.dnscheck import DomainReport, Expectations, FindingLevel, solve_together
from accounts.dnscheck import check as check_domain
from gatepost.config import DnsSettings
from gatepost.dns import AsyncResolver
from gatepost.shortage import ShortageError


@click.command()
@click.argument("name")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST[=ADDRESS,...]",
    help="A mail server of the domain, the preferred one first, with its public addresses. By "
    "default `hostname` of gatepost.toml, with its addresses in DNS.",
)
@click.option(
    "--sender", "senders", multiple=True, help="Another address that sends mail for the domain."
)
@click.option(
    "--dmarc",
    "dmarc_policy",
    type=click.Choice(["none", "quarantine", "reject"]),
    default="reject",
    show_default=True,
    help="The expected DMARC policy.",
)
@click.option(
    "--dmarc-reports", multiple=True, metavar="URI", help="The address for DMARC reports."
)
@click.option(
    "--tls-reports", multiple=True, metavar="URI", help="The address for reports about TLS."
)
@click.option("--mta-sts", type=click.Choice(["testing", "enforce"]), help="Expect MTA-STS.")
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME=HOST:PORT",
    help="A service that mail programs find by SRV records, such as imaps=mail.example.org:993. "
    "By default those of [accounts.autoconfig].",
)
@click.option(
    "--web-host",
    metavar="HOST",
    help="The host of the autoconfig and MTA-STS files. By default `web_host` of "
    "[accounts.autoconfig].",
)
@click.option("--zone", is_flag=True, help="Print the expected records as a zone file.")
@click.option("--missing", is_flag=True, help="With --zone: only those that are missing or wrong.")
@session_options()
def check(
    session: CommandSession,
    name: str,
    hosts: Sequence[str],
    senders: Sequence[str],
    services: Sequence[str],
    web_host: str | None,
    zone: bool,
    missing: bool,
    **wishes: Any,
) -> None:
    """Compare the DNS of the domain NAME with the expected records.

    MX, reverse names, SPF, DKIM (the new and active keys of the datastore), DMARC, MTA-STS, TLSRPT,
    TLSA, SRV and the names for autoconfig. The resolvers are those of [dns] in gatepost.toml. NAME
    may be the domain of [accounts.srs] that has no mailboxes: then MX, SPF and DMARC are compared.

    Exits with 1 if something is wrong or a query failed.
    """
    if zone and session.as_json:
        raise click.UsageError("--zone and --json exclude each other")
    domain, keys = _known(session, name)
    known = session.file.accounts.autoconfig if keys is not None else AutoconfigSettings()
    expected = _expectations(
        hosts=[_host(text) for text in hosts or [session.file.hostname]],
        senders=senders,
        services=_services(known, services),
        web_host=web_host or known.web_host or None,
        dkim=keys or {},
        only_bounces=keys is None,
        **wishes,
    )
    try:
        report = asyncio.run(_solved(session.file.dns, domain, expected))
    except ShortageError as error:
        raise click.ClickException(f"cannot ask DNS: {error}") from None
    if session.as_json:
        print_json(report.as_data())
    elif zone:
        click.echo(report.as_zone(only_missing=missing), nl=False)
    else:
        click.echo(report.as_text(), nl=False)
    if report.level in (FindingLevel.ERROR, FindingLevel.UNKNOWN):
        raise SystemExit(1)


def _known(session: CommandSession, name: str) -> tuple[str, dict[str, str] | None]:
    """Return a domain and the records of its keys by selector.

    These are None for the domain of bounce addresses, which need not be in the datastore.
    """
    where = {"domain": name}
    try:
        found, keys = session.do(
            OperationStep("get-domain", where), OperationStep("list-dkim-keys", where)
        )
    except Declined as error:
        bounces = session.file.accounts.srs.domain
        if error.status != HTTPStatus.NOT_FOUND or not bounces or _folded(name) != bounces:
            raise
        return bounces, None
    return found.body["name"], {
        key["selector"]: key["public_record"]
        for key in keys.body["items"]
        if key["state"] != "retired"
    }


def _folded(name: str) -> str:
    try:
        return parse_domain(name)
    except AccountAddressError:
        return ""


async def _solved(settings: DnsSettings, domain: str, expected: Expectations) -> DomainReport:
    resolver = AsyncResolver(settings)
    try:
        return await solve_together(check_domain(domain, expected), resolver.resolve)
    finally:
        await resolver.close()


def _expectations(**wishes: Any) -> Expectations:
    try:
        return Expectations.model_validate(wishes)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"{place}: {message}") from None


def _host(text: str) -> dict[str, Any]:
    name, _, addresses = text.partition("=")
    found = []
    for address in addresses.split(",") if addresses else ():
        try:
            found.append(ipaddress.ip_address(address.strip()))
        except ValueError:
            raise click.UsageError(f"--host: {address!r} is not an IP address") from None
    return {"name": name, "addresses": found}


def _services(known: AutoconfigSettings, texts: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    """Return the expected services: those of the configuration, replaced by these."""
    found: dict[str, dict[str, Any] | None] = {
        key: server._asdict() for key, server in known.services.items()
    }
    return found | dict(_service(text) for text in texts)


def _service(text: str) -> tuple[str, dict[str, Any] | None]:
    name, _, place = text.partition("=")
    if place == "none":
        return name, None
    host, _, port = place.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and len(port) <= 5):
        raise click.UsageError(f"--service: write imaps=mail.example.org:993, not {text!r}")
    return name, {"host": host, "port": int(port)}
