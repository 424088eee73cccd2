"""The country of an address, from a file that the administrator provides.

Each line has a network and its country: ``192.0.2.0/24 DE`` or ``192.0.2.0/24,DE``. The free
databases come in this form or can be converted with one command. A smaller network takes precedence
over a larger one that contains it.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

from msgauth.address import IpAddress
from policyd.match import MatchError, read_entries


class Countries:
    """Networks and their countries."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], dict[int, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_size)

    def add(self, network: str, country: str) -> None:
        """Add a network; raises `ValueError` for an invalid network or country."""
        if not country.isalnum():
            raise ValueError(f"{country!r} is not a country: write a network, followed by one word")
        parsed = ipaddress.ip_network(network, strict=False)
        size = self._by_size.setdefault((parsed.version, parsed.prefixlen), {})
        size[int(parsed.network_address) >> (parsed.max_prefixlen - parsed.prefixlen)] = country
        self._by_size = dict(sorted(self._by_size.items(), reverse=True))

    def of(self, address: IpAddress | None) -> str:
        """Return the country of an address, empty if unknown."""
        if address is None:
            return ""
        number, bits = int(address), address.max_prefixlen
        for (version, prefix), networks in self._by_size.items():
            if version == address.version:
                country = networks.get(number >> (bits - prefix))
                if country is not None:
                    return country
        return ""


def read_countries(path: Path) -> Countries:
    """Read a file; raises `MatchError` with file and line."""
    countries = Countries()
    for number, line in read_entries(path):
        network, _, country = line.replace(",", " ").partition(" ")
        try:
            countries.add(network, country.strip().upper())
        except ValueError as error:
            raise MatchError(f"{path}:{number}: {error}") from None
    return countries
