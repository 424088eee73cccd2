"""Classification of HELO names by their form (RFC 5321 section 4.1.1.1)."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection

from msgauth.address import IpAddress
from policyd.hostnames import has_valid_labels
from policyd.match import parse_address

# RFC 5321 section 4.1.3: the address literal
_LITERAL = re.compile(r"\[(?:IPv6:)?([0-9a-f.:]+)\]\Z", re.IGNORECASE)


class HeloForm(enum.StrEnum):
    """The problem with a HELO name; the first that applies."""

    FINE = "fine"
    FORGED = "forged"
    """It is one of our own names or addresses."""
    MALFORMED = "malformed"
    """It is neither a domain name nor an address literal."""
    BARE_ADDRESS = "bare-address"
    """An address without brackets."""
    WRONG_LITERAL = "wrong-literal"
    """The address literal of another client."""
    UNQUALIFIED = "unqualified"
    """A name without a dot, such as ``localhost`` or ``PC-17``."""


def judge_helo(
    helo: str, client: IpAddress | None, own_names: Collection[str], own_addresses: Collection[str]
) -> HeloForm:
    """Return the problem with `helo` from a client with the address `client`.

    `own_names` are lower-case; `own_addresses` are in the form that `ipaddress` prints.
    """
    name = helo.lower().rstrip(".")
    literal = _LITERAL.match(helo)
    address = parse_address(literal[1] if literal else helo)
    said = str(address) if address is not None else ""
    is_ours = client is not None and str(client) in own_addresses
    if not is_ours and (name in own_names or (said and said in own_addresses)):
        return HeloForm.FORGED
    if literal:
        if address is None:
            return HeloForm.MALFORMED
        return HeloForm.FINE if client in (None, address) else HeloForm.WRONG_LITERAL
    if address is not None:
        return HeloForm.BARE_ADDRESS
    if not has_valid_labels(name):
        return HeloForm.MALFORMED
    if "." not in name or name.rpartition(".")[2].isdecimal():
        return HeloForm.UNQUALIFIED
    return HeloForm.FINE
