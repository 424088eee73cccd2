"""The life of a key, and its record in the file `keys.toml`.

A key is `new` when it is created, `published` when its record is in DNS, `active` while it signs,
`retired` when it no longer signs but its record stays for mail in transit, and `revoked` when its
record has an empty p=. This module reads neither a clock nor a file.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gatepost.config.toml import TomlError, parse_toml
from milters.keys.errors import KeysError
from milters.keys.names import KeyNameError, parse_selector

MAX_STATE_FILE = 1 << 20
"""Maximum octets of keys.toml: some thousand selectors."""

OVERLAP = timedelta(days=7)
"""How long a retired key stays in DNS: mail stays in queues for up to five days (RFC 5321 section
4.5.4.1 says four to five), and some is verified again when it is read."""


class KeyState(enum.StrEnum):
    """The stage in the life of a key."""

    NEW = "new"
    """Created, not yet known to others."""
    PUBLISHED = "published"
    """Every name server has its record; it does not sign yet."""
    ACTIVE = "active"
    """It signs."""
    RETIRED = "retired"
    """It no longer signs; its record stays, so that mail in transit verifies."""
    REVOKED = "revoked"
    """Its record has an empty p=: all its signatures are invalid."""


NEXT: Mapping[KeyState, frozenset[KeyState]] = {
    KeyState.NEW: frozenset({KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.REVOKED}),
    KeyState.PUBLISHED: frozenset({KeyState.ACTIVE, KeyState.RETIRED, KeyState.REVOKED}),
    KeyState.ACTIVE: frozenset({KeyState.RETIRED, KeyState.REVOKED}),
    # back to active, if the new key turns out to be wrong
    KeyState.RETIRED: frozenset({KeyState.ACTIVE, KeyState.REVOKED}),
    KeyState.REVOKED: frozenset(),
}
"""The states that may follow each state."""


class KeyStateError(KeysError):
    """keys.toml is unusable, or a key cannot change from its state to the requested one."""


@dataclass(frozen=True, slots=True)
class KeyLife:
    """The state of one key, and when (UTC) it entered each of its states."""

    state: KeyState
    since: Mapping[KeyState, datetime] = field(default_factory=dict)

    @classmethod
    def begin(cls, state: KeyState, now: datetime) -> KeyLife:
        """Return a key that begins in `state`."""
        return cls(state, {state: now})

    def enter(self, state: KeyState, now: datetime) -> KeyLife:
        """Return the key in `state`; raises `KeyStateError` if the change is not allowed."""
        if state is self.state:
            return self
        if state not in NEXT[self.state]:
            allowed = ", ".join(sorted(NEXT[self.state])) or "nothing"
            raise KeyStateError(
                f"a key that is {self.state} cannot become {state}, only: {allowed}"
            )
        return replace(self, state=state, since={**self.since, state: now})

    def mark_seen(self, now: datetime) -> KeyLife:
        """Return the key, marked as seen at every name server."""
        since = {KeyState.PUBLISHED: now, **self.since}
        state = KeyState.PUBLISHED if self.state is KeyState.NEW else self.state
        return replace(self, state=state, since=since)


def parse_states(text: str) -> dict[str, KeyLife]:
    """Read keys.toml: selector to life; raises `KeyStateError` with one clause."""
    try:
        data = parse_toml(text)
    except TomlError as error:
        raise KeyStateError(str(error)) from None
    states: dict[str, KeyLife] = {}
    for name, table in data.items():
        try:
            selector = parse_selector(name)
        except KeyNameError as error:
            raise KeyStateError(str(error)) from None
        states[selector] = _parse_life(selector, table)
    return states


def _parse_life(selector: str, table: Any) -> KeyLife:
    if not isinstance(table, dict) or table.get("state") not in list(KeyState):
        allowed = ", ".join(KeyState)
        raise KeyStateError(f'["{selector}"] needs state = "..." with one of {allowed}')
    since: dict[KeyState, datetime] = {}
    for key, value in table.items():
        if key == "state":
            continue
        if key not in list(KeyState) or not isinstance(value, datetime) or value.tzinfo is None:
            raise KeyStateError(
                f'["{selector}"] has {key[:40]!a}: write only state, and the date of each '
                "state in UTC, such as active = 2026-11-21T10:00:00Z"
            )
        try:
            since[KeyState(key)] = value.astimezone(UTC)
        except OverflowError:  # the first or last day of the calendar, with an offset
            raise KeyStateError(f'["{selector}"] has {key} = {value}: no such date') from None
    return KeyLife(KeyState(table["state"]), since)


_HEAD = """\
# The life of the keys in this folder, kept by `gatepost keys`. Only a key whose state is active
# signs. Without this file every key of the folder does.
"""


def print_states(states: Mapping[str, KeyLife]) -> str:
    """Return the text that `parse_states` reads, in the order of the selectors."""
    lines = [_HEAD]
    for selector in sorted(states):
        life = states[selector]
        lines.append(f'["{selector}"]\nstate = "{life.state}"')
        lines.extend(
            f"{state} = {print_date(life.since[state])}"
            for state in KeyState
            if state in life.since
        )
        lines.append("")
    return "\n".join(lines)


def print_date(moment: datetime) -> str:
    """Return a time in UTC to the second (RFC 3339), for TOML and people."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_selector(key_type: str, now: datetime, taken: frozenset[str]) -> str:
    """Return a selector with the date and type of the key that is not in `taken`.

    It consists of year, month, and r for RSA or e for Ed25519: 202611r. The next one in the same
    month is 202611r2.
    """
    selector = f"{now.astimezone(UTC):%Y%m}{key_type[0]}"
    number = 1
    while (numbered := selector if number == 1 else f"{selector}{number}") in taken:
        number += 1
    return numbered
