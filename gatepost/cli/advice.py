"""What is allowed in a configuration, and worth a second look."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.cli.configuration import Configuration
from gatepost.config.networks import too_large
from gatepost.listen import Inet

LOCAL = ("localhost", "127.0.0.1", "::1")


def advice(loaded: Configuration) -> Iterator[tuple[str, str]]:
    """Keys of the configuration, each with a sentence. Nothing is asked or opened."""
    lists = {
        "proxy_networks": loaded.proxy_networks,
        "milters.internal_networks": loaded.milters.internal_networks,
        "policyd.client.exempt_networks": loaded.policyd.client.exempt_networks,
    }
    for key, networks in lists.items():
        if told := too_large(networks):
            yield key, f"holds {told}: are they all yours?"
    if "milters" not in loaded.model_fields_set:
        return  # not a milter's configuration
    for key, addresses in (
        ("milters.listen", loaded.milters.listen),
        ("milters.submission_listen", loaded.milters.submission_listen),
    ):
        for address in addresses:
            if isinstance(address, Inet):
                yield key, f"{address}: {_who(address)} can have mail signed; {_INSTEAD}"


_INSTEAD = 'a unix socket with socket_group = "postfix" admits Postfix alone'


def _who(address: Inet) -> str:
    if address.host in LOCAL or address.host.startswith("127."):
        return "every account of this machine"
    return "everybody who reaches this port"
