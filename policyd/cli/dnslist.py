"""`gatepost dnslist`: listings of an address in the configured DNS lists, and their health."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.cli.output import tell
from gatepost.dns import AsyncResolver
from msgauth.ask import Question
from policyd.checks.dnslists import DnsListsCheck, ListFinding
from policyd.dnslist import Health, Listing
from policyd.file import PolicydFile
from policyd.match import parse_address
from policyd.request import REQUEST_TYPE, Request


@click.group()
def dnslist() -> None:
    """Query and test the configured DNS lists."""


@dnslist.command()
@click.argument("address", default="")
@click.option("--sender", default="", help="Sender address, for lists of sender domains.")
@click.option("--helo", default="", help="HELO name, for lists of HELO names.")
@click.option("--name", default="", help="Host name of the client, for lists of host names.")
@configuration.config_option
def test(address: str, sender: str, helo: str, name: str, config: Path | None) -> None:
    """Test each list (RFC 5782 section 5) and look ADDRESS up in it.

    Exits with 1 when mail would be refused, or when a list fails its test.
    """
    model = configuration.read_if_any(config, PolicydFile).model
    if not model.policyd.dnslists.lists:
        raise click.ClickException("no list is configured in [policyd.dnslists]")
    if address and parse_address(address) is None:
        raise click.BadParameter(f"{address!r} is not an IP address", param_hint="ADDRESS")
    request = Request(
        {
            "request": REQUEST_TYPE,
            "protocol_state": "RCPT",
            "client_address": address,
            "client_name": name,
            "helo_name": helo,
            "sender": sender,
        }
    )
    sys.exit(0 if asyncio.run(_test(model, request)) else 1)


async def _test(model: PolicydFile, request: Request) -> bool:
    settings = model.policyd.dnslists
    resolver = AsyncResolver(model.dns)
    try:
        lists = DnsListsCheck(settings, resolver, model.hostname)
        healths = await asyncio.gather(*(lists.ask_health(zone) for zone in lists.zones))
        well = True
        for zone, health in zip(lists.zones, healths, strict=True):
            good = health is Health.GOOD or not zone.self_test
            well = well and good
            told = health.value if zone.self_test else f"{health.value} (used without a test)"
            tell(f"{zone.shown}: {told}")
            if zone.self_test:  # the server leaves it out as well
                zone.standing.health = health
        findings = await lists.ask(request)
        for zone in lists.zones:
            if zone.left_out and zone.question(request) is not None:
                tell(f"{zone.shown} of {zone.of}: left out")
        weight = 0.0
        for found in findings:
            if found.listing is Listing.LISTED:
                weight += found.zone.weight
            await _show(found, resolver, settings.dns_budget)
    finally:
        await resolver.close()
    if findings:
        refused = weight >= settings.threshold
        verdict = "refused" if refused else "not refused"
        click.echo(f"weight {weight:g} of {settings.threshold:g}: {verdict}")
        return well and not refused
    return well


async def _show(found: ListFinding, resolver: AsyncResolver, budget: float) -> None:
    line = f": {found.listing.value}"
    if found.code:
        line += f" {found.code}"
    if found.listing is Listing.LISTED:
        line += f" (weight {found.zone.weight:g})"
        question = Question(found.question.name, "TXT")
        answer = await resolver.resolve(question, time.monotonic() + budget)
        if answer.records:
            line += f": {found.zone.masked(answer.records[0])}"
    tell(f"{found.zone.shown} of {found.zone.of}{line}")
