"""`gatepost auth spf` and `gatepost auth dmarc`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.printable import escape
from milters.cli.auth.questions import Questions, dns_option
from milters.file import MiltersFile
from msgauth.address import AddressError, IpAddress, parse_address
from msgauth.dmarc.subject import hardest_tag, select_tag
from msgauth.dmarc.walk import DnsError, Walker, select_organizational_domain, select_policy
from msgauth.domain import DomainError, to_alabels
from msgauth.drive import solve
from msgauth.mail_address import MailAddress
from msgauth.spf import SpfResult, check_helo, check_mail_from
from msgauth.trace import Trace


def client_address(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> IpAddress | None:
    """Parse an option's value as an IPv4 or IPv6 address."""
    try:
        return None if value is None else parse_address(value)
    except AddressError:
        raise click.BadParameter(
            f"{value!r} is not an address: write 192.0.2.1 or 2001:db8::1", ctx, param
        ) from None


@click.command()
@configuration.config_option
@dns_option
@click.option("--client", callback=client_address, required=True, help="The client's address.")
@click.option("--helo", default="", help="The name it gives in HELO.")
@click.option("--mail-from", "sender", default="", help="The address in MAIL FROM, empty for <>.")
def spf(
    config: Path | None,
    zone: Path | None,
    client: IpAddress,
    helo: str,
    sender: str,
) -> None:
    """Check SPF (RFC 7208) of HELO and MAIL FROM for a client.

    Every DNS query is printed with its answer.
    """
    loaded = configuration.read_if_any(config, MiltersFile).model
    questions = Questions(zone, loaded.dns)
    path = MailAddress.parse_path(sender)
    now = int(time.time())
    results: list[SpfResult] = []
    if helo:
        lookup = check_helo(client, helo, receiver=loaded.hostname, now=now)
        results.append(solve(lookup, questions.resolve))
    if path.text or not helo:
        check = check_mail_from(client, helo, path, receiver=loaded.hostname, now=now)
        results.append(solve(check, questions.resolve))
    for result in results:
        click.echo(f"{result.identity:9} {result.status:9} {escape(result.reason)}")
        if result.mechanism:
            click.echo(f"          matched {escape(result.mechanism)}")
        if result.explanation:
            click.echo(f"          the domain says: {escape(result.explanation)}")
    show_questions(questions)


@click.command()
@configuration.config_option
@dns_option
@click.argument("domain")
def dmarc(config: Path | None, zone: Path | None, domain: str) -> None:
    """Show the DMARC policy (RFC 9989) that applies to DOMAIN.

    DOMAIN is that of the From field. The output also says where the record was found.
    """
    questions = Questions(zone, configuration.read_if_any(config, MiltersFile).model.dns)
    try:
        name = to_alabels(domain)
    except DomainError as error:
        raise click.ClickException(str(error)) from None
    walker = Walker()
    try:
        path = solve(walker.walk(name), questions.resolve)
    except DnsError as error:
        show_questions(questions)
        raise click.ClickException(str(error)) from None
    found = select_policy(name, path)
    click.echo(f"organizational domain  {select_organizational_domain(name, path)}")
    if found is None:
        click.echo("policy                 none: no DMARC record applies")
    else:
        record = found.record
        doubt = ""
        try:
            tag, policy = solve(select_tag(name, found, walker), questions.resolve)
        except DnsError as error:
            tag, policy = hardest_tag(name, found)
            doubt = f", as long as {error}"
        click.echo(f"record of              {found.domain}")
        click.echo(f"policy                 {policy} ({tag}={policy}){doubt}")
        if record.testing:
            click.echo(f"under test (t=y)       treated as {policy.one_level_down()}")
        if not record.usable:
            click.echo("                       the record has no valid policy and is ignored")
        click.echo(f"DKIM alignment         {'strict' if record.strict_dkim else 'relaxed'}")
        click.echo(f"SPF alignment          {'strict' if record.strict_spf else 'relaxed'}")
    show_questions(questions)


def show_questions(questions: Questions, trace: Trace | None = None) -> None:
    """Print the DNS queries: the lines of `trace`, then the queries that are not in it."""
    if trace is not None:
        click.echo("trace:")
        for line in trace.lines():
            click.echo(f"  {line}")
    lines = questions.lines(trace)
    if lines:
        click.echo("DNS queries:")
    for line in lines:
        click.echo(f"  {line}")
