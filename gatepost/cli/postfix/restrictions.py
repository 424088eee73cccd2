"""The restrictions of smtpd in the order in which it evaluates them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from gatepost.cli.postfix.lists import Endpoint, endpoint, split

MAX_STEPS = 10_000
"""Maximum restrictions read from one list, including those of its classes; real lists have 20."""

BEFORE_MESSAGE = (
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
)
RELAY = "smtpd_relay_restrictions"
RECIPIENT = "smtpd_recipient_restrictions"
LATER = ("smtpd_data_restrictions", "smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions")
ALL = (*BEFORE_MESSAGE, RELAY, RECIPIENT, *LATER)

CLASSES = "smtpd_restriction_classes"
_ENDS = frozenset({"permit", "reject", "defer"})
_GUARDS = frozenset({"reject_unauth_destination", "defer_unauth_destination", "reject", "defer"})


@dataclass(frozen=True, slots=True)
class Restriction:
    """One restriction; only a policy server has an `argument`.

    `is_guarded` says that mail from strangers to strangers has been refused before it, `is_reached`
    that no earlier restriction in its list always decides.
    """

    name: str
    argument: Endpoint | None
    is_guarded: bool
    is_reached: bool


def steps(values: Mapping[str, str]) -> Iterator[tuple[str, Restriction]]:
    """Yield every restriction that a service evaluates, with its parameter."""
    # Since Postfix 3.6 the relay restrictions are evaluated first.
    relay_first = values.get("smtpd_relay_before_recipient_restrictions") == "yes"
    middle = (RELAY, RECIPIENT) if relay_first else (RECIPIENT, RELAY)
    guarded = False
    for parameter in (*BEFORE_MESSAGE, *middle, *LATER):
        reached = True
        written = _flat(values.get(parameter, ""), values, frozenset())
        for name, argument in islice(written, MAX_STEPS):
            yield parameter, Restriction(name, argument, guarded, reached)
            guarded = guarded or name in _GUARDS
            reached = reached and name not in _ENDS


def is_for_own_networks(values: Mapping[str, str]) -> bool:
    """Return whether a service first refuses clients that are not in mynetworks."""
    names = [name for name, _ in _flat(values.get(BEFORE_MESSAGE[0], ""), values, frozenset())]
    return names == ["permit_mynetworks", "reject"]


def _flat(
    text: str, values: Mapping[str, str], within: frozenset[str]
) -> Iterator[tuple[str, Endpoint | None]]:
    classes = split(values.get(CLASSES, ""))
    items = iter(split(text))
    for item in items:
        name = item.lower()
        if name == "warn_if_reject":
            next(items, None)  # it decides nothing
        elif name == "check_policy_service":
            yield name, endpoint(next(items, ""))
        elif item in classes and item not in within:
            yield from _flat(values.get(item, ""), values, within | {item})
        else:
            yield name, None
