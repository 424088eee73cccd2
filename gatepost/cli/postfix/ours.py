"""The configuration of Gatepost relevant to Postfix, and its addresses in main.cf."""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.cli.postfix.settings import Installation, MasterService
from gatepost.listen import Inet, ListenError, SocketAddress, Unix, parse

_LOCALHOST = ("localhost", "localhost.localdomain", "ip6-localhost")


@dataclass(frozen=True, slots=True)
class Gatepost:
    """The parts of gatepost.toml that main.cf must agree with; times in seconds."""

    milters: tuple[SocketAddress, ...] = ()
    submission: tuple[SocketAddress, ...] = ()
    policyd: tuple[SocketAddress, ...] = ()
    has_milters: bool = False
    has_policyd: bool = False
    milters_budget: float = 0.0
    scan_size: int | None = None
    policyd_budget: float = 0.0
    daemon_names: tuple[str, ...] = ()

    @property
    def all_milters(self) -> tuple[SocketAddress, ...]:
        """Every address of the milter."""
        return (*self.milters, *self.submission)


def leads_to(
    address: str, listen: Iterable[SocketAddress], postfix: Installation, service: MasterService
) -> bool:
    """Return whether `service` connects to one of `listen` by an address from main.cf.

    A host name other than localhost is trusted: only its port is compared.
    """
    scheme, _, rest = address.partition(":")
    if scheme in ("unix", "local"):
        path = _path(rest, postfix.queue_directory, is_chrooted=service.is_chrooted)
        return any(isinstance(one, Unix) and _normal(str(one.path)) == path for one in listen)
    try:
        there = parse(address)
    except ListenError:
        return False
    return isinstance(there, Inet) and any(
        isinstance(one, Inet) and one.port == there.port and _same_host(there.host, one.host)
        for one in listen
    )


def as_postfix_writes(listen: SocketAddress, postfix: Installation, service: MasterService) -> str:
    """Return the address in the form for `service`; a path below the queue directory is relative to
    it."""
    if isinstance(listen, Inet):
        return listen.postfix
    path = _normal(str(listen.path))
    below = path.removeprefix(_normal(postfix.queue_directory) + "/")
    return f"unix:{below}" if service.is_chrooted or below != path else f"unix:{path}"


def _path(path: str, queue_directory: str, *, is_chrooted: bool) -> str:
    # a Postfix daemon runs in the queue directory, which is its root in a chroot
    if is_chrooted or not path.startswith("/"):
        path = f"{queue_directory}/{path}"
    return _normal(path)


def _normal(path: str) -> str:
    path = posixpath.normpath(path)
    path = f"/{path.lstrip('/')}" if path.startswith("/") else path
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def _same_host(theirs: str, ours: str) -> bool:
    if not ours or theirs.lower() == ours.lower():
        return True  # we listen on all addresses
    if not theirs or theirs.lower() in _LOCALHOST:
        return ours in _LOCALHOST or _is_loopback(ours)
    try:
        ipaddress.ip_address(theirs)
    except ValueError:
        return True  # a name: only DNS knows its address
    return ours in _LOCALHOST and _is_loopback(theirs)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
