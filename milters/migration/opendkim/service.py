"""Converter of opendkim's service options: socket, user, internal hosts, peers and name servers."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from gatepost import listen
from gatepost.config.ground import parse_nameserver
from gatepost.config.networks import extents
from gatepost.config.types import parse_hostname
from milters.keys.tables.errors import OpendkimError
from milters.migration.opendkim.configuration import Option
from milters.migration.opendkim.draft import Draft, MigrationLevel
from milters.migration.opendkim.hosts import Hosts, parse_hosts
from msgauth.keys import MIN_RSA_BITS

DNS_TIMEOUT = 1, 60
HEADER = 65536, 64 << 20
SIGNATURES = 1, 100
"""Bounds of the settings to which options are mapped."""


_OVER_TCP = (
    "over TCP every account of this machine, and everybody else who can reach the port, can have "
    "mail signed, as with opendkim; a unix socket with socket_group only admits Postfix: see "
    "docs/install.md, main.cf then changes too"
)


def _socket(draft: Draft, option: Option) -> None:
    text = option.value if ":" in option.value else f"local:{option.value}"
    try:
        address = listen.parse(text)
    except listen.ListenError as error:
        draft.find(MigrationLevel.ERROR, option.place, "Socket", str(error))
        return
    draft.set("milters", "listen", str(address), option.place)
    umask = draft.conf.get("UMask")
    if not isinstance(address, listen.Unix):
        draft.find(MigrationLevel.NOTE, option.place, "Socket", _OVER_TCP)
        return
    if umask is None:
        return
    try:
        bits = int(umask.value, 8)
    except ValueError:
        draft.find(MigrationLevel.ERROR, umask.place, "UMask", f"{umask.value!r} is not octal")
        return
    draft.set("milters", "socket_mode", f"{0o666 & ~bits & 0o777:04o}", umask.place)


def _user(draft: Draft, option: Option) -> None:
    user, _, group = option.value.partition(":")
    draft.set("milters", "user", user, option.place)
    if group and group != user:
        draft.set("milters", "socket_group", group, option.place)
    draft.find(
        MigrationLevel.NOTE,
        option.place,
        "UserID",
        f"the milter runs as {user}, which can read the keys: its unit needs the drop-in below; "
        "give the keys to a user of its own before you remove the package opendkim",
    )


def _authserv_id(draft: Draft, option: Option) -> None:
    if option.value == "HOSTNAME":
        return
    try:
        name = parse_hostname(option.value)
    except ValueError as error:
        draft.find(MigrationLevel.ERROR, option.place, "AuthservID", str(error))
        return
    draft.set("milters", "authserv_id", name, option.place)


def _remove_from(draft: Draft, option: Option) -> None:
    names = []
    for entry in draft.dataset(option).entries:
        if entry.key.startswith("."):
            draft.find(
                MigrationLevel.WARNING,
                entry.place,
                entry.key,
                "name each server: domains are not matched",
            )
            continue
        try:
            names.append(parse_hostname(entry.key))
        except ValueError as error:
            draft.find(MigrationLevel.WARNING, entry.place, entry.key, str(error))
    if names:
        draft.set("milters", "strip_authserv_ids", names, option.place)


def _nameservers(draft: Draft, option: Option) -> None:
    servers = [item.strip() for item in option.value.split(",") if item.strip()]
    for server in servers:
        try:
            parse_nameserver(server)
        except ValueError as error:
            draft.find(MigrationLevel.ERROR, option.place, "Nameservers", str(error))
            return
    draft.set("dns", "nameservers", servers, option.place)


def _number_within(
    table: str, key: str, bounds: tuple[int, int], unit: str, level: MigrationLevel
) -> Callable[[Draft, Option], None]:
    """Return a rule for a number; the default stays if it is outside the bounds of our setting."""
    lowest, highest = bounds

    def rule(draft: Draft, option: Option) -> None:
        number = _number(option)
        if lowest <= number <= highest:
            draft.set(table, key, number, option.place)
        else:
            text = f"the default stays: use {lowest} to {highest} {unit}"
            draft.find(level, option.place, option.name, text)

    return rule


def _key_bits(draft: Draft, option: Option) -> None:
    bits = _number(option)
    if bits != MIN_RSA_BITS:
        draft.find(
            MigrationLevel.WARNING,
            option.place,
            "MinimumKeyBits",
            f"is {MIN_RSA_BITS} (RFC 8301 section 3.2) and cannot be {bits}",
        )


def _safe_keys(draft: Draft, option: Option) -> None:
    if not option.boolean:
        draft.find(
            MigrationLevel.WARNING,
            option.place,
            "RequireSafeKeys",
            "a key readable by everybody is always refused; one readable by its group is accepted",
        )


def _internal(draft: Draft, option: Option) -> None:
    hosts = parse_hosts(draft.dataset(option).entries)
    # exceptions ("!") have split a network of all addresses
    too_much = [extent for extent in extents(hosts.networks) if extent.is_internet]
    for extent in too_much:
        draft.find(
            MigrationLevel.ERROR,
            option.place,
            f"{extent.share:.0%} of IPv{extent.version}",
            "nearly every client would count as yours: mail from anywhere with your domain in "
            "From would be signed, and nothing checked; internal_networks keeps its default, "
            "loopback: list your own networks",
        )
    if not too_much:
        draft.set("milters", "internal_networks", list(map(str, hosts.networks)), option.place)
    for entry in hosts.names:
        draft.find(
            MigrationLevel.ERROR,
            entry.place,
            entry.key,
            "host names are not supported: write its addresses into internal_networks, or let it "
            "log in; otherwise its mail is sent unsigned"
            if not entry.key.startswith("!")
            else "host names are not supported: remove its addresses from internal_networks, or "
            "its mail is signed",
        )
    for entry in hosts.nonsense:
        draft.find(MigrationLevel.ERROR, entry.place, entry.key, "is neither an address nor a name")


def _peers(draft: Draft, option: Option) -> None:
    hosts = parse_hosts(draft.dataset(option).entries)
    if hosts.networks or hosts.names:
        shown = ", ".join(map(str, (*hosts.networks, *(entry.key for entry in hosts.names))))
        draft.find(
            # a peer may be an internal host: opendkim ignores its mail, but we would sign it
            MigrationLevel.ERROR if _may_be_internal(draft, hosts) else MigrationLevel.WARNING,
            option.place,
            "PeerList",
            "the milter exempts no client; exempt them in Postfix instead: smtpd_milter_maps = "
            f"cidr:..., with DISABLE for {shown}",
        )


def _may_be_internal(draft: Draft, hosts: Hosts) -> bool:
    internal = draft.tables.get("milters", {}).get("internal_networks")
    listed = internal[0] if internal is not None else ("127.0.0.0/8", "::1/128")
    if isinstance(listed, str | int):
        return True
    known = [ipaddress.ip_network(text) for text in listed]
    return bool(hosts.names) or any(
        peer.version == one.version and peer.overlaps(one)
        for peer in hosts.networks
        for one in known
    )


def _number(option: Option) -> int:
    text = option.value
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise OpendkimError(option.place, f"{text[:40]!r} is not a number")
    return int(text)


SERVICE_RULES: Mapping[str, Callable[[Draft, Option], None]] = {
    "Socket": _socket,
    "UserID": _user,
    "InternalHosts": _internal,
    "PeerList": _peers,
    "AuthservID": _authserv_id,
    "RemoveARFrom": _remove_from,
    "Nameservers": _nameservers,
    "DNSTimeout": _number_within("dns", "timeout", DNS_TIMEOUT, "seconds", MigrationLevel.WARNING),
    "MaximumHeaders": _number_within(
        "milters", "max_header", HEADER, "octets", MigrationLevel.NOTE
    ),
    "MaximumSignaturesToVerify": _number_within(
        "milters.verify", "max_signatures", SIGNATURES, "signatures", MigrationLevel.NOTE
    ),
    "MinimumKeyBits": _key_bits,
    "RequireSafeKeys": _safe_keys,
}
"""Rules by the name of the option."""
