"""Check of a domain's DNS for the pages, a few at a time."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final, Protocol

from pydantic import ValidationError

from accounts.autoconfig.settings import AutoconfigSettings
from accounts.dnscheck import DomainReport, Expectations, check, solve_together
from accounts.http.problems import ApiProblem, unavailable
from gatepost.config import DnsSettings
from gatepost.dns import AsyncResolver
from gatepost.shortage import ShortageError

AT_ONCE: Final = 4
"""Checks at the same time; each asks some 30 questions."""
PATIENCE: Final = 25.0
"""Seconds for a check, within the time of a request."""


class DomainChecks(Protocol):
    """Interface of the check of a domain."""

    async def __call__(self, domain: str, keys: dict[str, str]) -> DomainReport:
        """Check a domain that has these DKIM records by selector; raises `ApiProblem`."""


class DnsChecks:
    """Checks with the resolvers of gatepost.toml."""

    def __init__(self, hostname: str, dns: DnsSettings, autoconfig: AutoconfigSettings) -> None:
        self._hostname = hostname
        self._dns = dns
        self._autoconfig = autoconfig
        self._free = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, domain: str, keys: dict[str, str]) -> DomainReport:
        """Check a domain that has these DKIM records by selector; raises `ApiProblem`."""
        expected = expectations(self._hostname, self._autoconfig, keys)
        try:
            async with asyncio.timeout(PATIENCE), self._free:
                resolver = AsyncResolver(self._dns)
                try:
                    return await solve_together(check(domain, expected), resolver.resolve)
                finally:
                    await resolver.close()
        except TimeoutError:
            raise unavailable("DNS did not answer in time. Try again.") from None
        except ShortageError:
            raise unavailable("The service has no free connections for DNS. Try again.") from None


def expectations(
    hostname: str, autoconfig: AutoconfigSettings, keys: dict[str, str]
) -> Expectations:
    """Return the expected records of a domain of this server; raises `ApiProblem`."""
    services = {name: server._asdict() for name, server in autoconfig.services.items()}
    try:
        return Expectations.model_validate(
            {
                "hosts": [{"name": hostname}],
                "services": services,
                "web_host": autoconfig.web_host or None,
                "dkim": keys,
            }
        )
    except ValidationError:
        text = "The name of this server in gatepost.toml (hostname) cannot be the host of an MX."
        raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, text) from None
