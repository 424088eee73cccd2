"""The life of keys from `new` to `revoked`: the requirements and changes of each step.

`gatepost keys` and other callers use these functions. None of them prints or prompts; a refused
step raises a `KeysError` and changes nothing. Domains and selectors are as `milters.keys.names`
returns them; `now` is the time of the step in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gatepost.key_pair import new_key
from milters.keys.checked import CheckedKey, CheckedKeys
from milters.keys.errors import (
    KeysError,
    LastKeyError,
    NothingWaitsError,
    OtherRecordError,
    StillNeededError,
)
from milters.keys.files import read_key
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.names import parse_selector, record_name
from milters.keys.publication import RecordStatus, judge
from milters.keys.record import present, revoked_record
from milters.keys.rotation import key_type, replaced_by, time_to_wait
from milters.keys.selection import refuse_flat, select
from milters.keys.servers import Primary
from milters.keys.state import KeyState, new_selector, print_date
from msgauth.ask import Answer, Rcode
from msgauth.keys import GOOD_RSA_BITS, KeyType, SigningKey

WAITING = (KeyState.NEW, KeyState.PUBLISHED)
"""States of a key that can be activated."""

MUST_BE_IN_DNS = (*WAITING, KeyState.ACTIVE)
"""States in which the record must be in DNS, or soon will be."""

IN_DNS = (*MUST_BE_IN_DNS, KeyState.RETIRED)
"""States in which the record must not be removed."""

CheckKeys = Callable[[Sequence[KeyFile]], CheckedKeys]
"""Checks keys at every name server, like `milters.keys.checked.check_keys`."""


class UnpublishedError(KeysError):
    """Keys cannot be activated because not every name server has their records."""

    def __init__(self, missing: Sequence[CheckedKey]) -> None:
        super().__init__("nothing is activated: not every name server has every record")
        self.missing = missing


@dataclass(frozen=True, slots=True)
class NewKeys:
    """New keys. `waiting` are the selectors that were already waiting for activation."""

    keys: Sequence[tuple[KeyFile, SigningKey]]
    waiting: Sequence[str]


@dataclass(frozen=True, slots=True)
class Activation:
    """The selectors that now sign, and those that no longer do, sorted."""

    active: Sequence[str]
    retired: Sequence[str]


@dataclass(frozen=True, slots=True)
class Revocation:
    """Records (by name) that must now be in DNS; `primary` has them, unless it is None."""

    records: Mapping[str, str]
    primary: Primary | None


def make(
    folder: KeyFolder,
    domain: str,
    types: Sequence[KeyType],
    now: datetime,
    *,
    selector: str | None = None,
    rsa_bits: int = GOOD_RSA_BITS,
    state: Literal[KeyState.NEW, KeyState.ACTIVE] = KeyState.NEW,
) -> NewKeys:
    """Create a key of each type; never overwrites.

    `selector` is the name in DNS; with several types, the first letter of the type is appended.
    Without it, the name is derived from the date. `rsa_bits` is limited as in `new_key`. Raises
    `KeysError`.
    """
    taken = folder.taken_selectors(domain)
    waiting = [key.selector for key in folder.of_domain(domain).keys if key.state in WAITING]
    made: dict[str, bytes] = {}
    for one in types:
        if selector is None:
            name = new_selector(one, now, taken)
        else:
            name = selector if len(types) == 1 else f"{selector}{one[0]}"
        made[parse_selector(name)] = new_key(one, rsa_bits)
    added = folder.add(domain, made, state, now)
    return NewKeys([(key, SigningKey.parse(made[key.selector])) for key in added], waiting)


def to_publish(folder: KeyFolder, domain: str, selectors: Sequence[str] = ()) -> list[KeyFile]:
    """Return the keys whose records must be in DNS, or those of `selectors`; raises `KeysError`.

    A revoked key is refused: its record would make it valid again.
    """
    keys = select(folder, domain, selectors, MUST_BE_IN_DNS)
    if revoked := [key.selector for key in keys if key.state is KeyState.REVOKED]:
        raise KeysError(
            f"{', '.join(revoked)} of {domain} is revoked and cannot be published again"
        )
    return keys


def publish(key: KeyFile, primary: Primary, *, replace: bool = False) -> str:
    """Publish the record of a key at the primary and return a description of the change.

    Raises `OtherRecordError` if another record exists there, unless `replace`, and `KeysError`.
    """
    signing = read_key(key.path)
    name = record_name(key.domain, key.selector)
    records = primary.records(name)
    found = judge(signing, Answer(Rcode.OK, records))
    if found.seen is RecordStatus.PUBLISHED and len(records) == 1:
        return "already published"
    if records and not replace:
        raise OtherRecordError(f"{name} has another record: {found.reason or found.note}")
    primary.replace(name, signing.public_record(), records)
    found = judge(signing, Answer(Rcode.OK, primary.records(name)))
    if found.seen is not RecordStatus.PUBLISHED:
        raise KeysError(f"{primary.server} accepted the update of {name}, but now {found.reason}")
    return "replaced" if records else "added"


def to_check(
    folder: KeyFolder,
    domain: str | None = None,
    selectors: Sequence[str] = (),
    outside: Sequence[KeyFile] = (),
) -> list[KeyFile]:
    """Return the keys whose records must exist, of `domain` or of all domains.

    `selectors` of the domain are returned in any state. `outside` are keys from the configuration
    that are not in the folder. Raises `KeysError` if the domain or a selector has no key.
    """
    try:
        inside = folder.scan().keys
    except KeysError:
        if not outside or folder.path.exists():
            raise
        inside = ()  # there is no folder: only the tables are configured
    if domain is None:
        return [*(key for key in inside if key.state in IN_DNS), *outside]
    chosen = [key for key in outside if key.domain == domain]
    if selectors:
        chosen = [key for key in chosen if key.selector in selectors]
    others = tuple(set(selectors) - {key.selector for key in chosen})
    if others or not chosen or (not selectors and any(key.domain == domain for key in inside)):
        chosen = [*select(folder, domain, others, IN_DNS), *chosen]
    return chosen


def note_seen(folder: KeyFolder, checked: Sequence[CheckedKey], now: datetime) -> list[str]:
    """Record which keys every name server has; a new one becomes published.

    Returns a line for each key that could not be recorded.
    """
    problems = []
    for one in checked:
        life = one.key.life
        if not one.is_published or life is None or KeyState.PUBLISHED in life.since:
            continue
        state = KeyState.PUBLISHED if life.state is KeyState.NEW else life.state
        try:
            folder.enter(one.key.domain, {one.key.selector: state}, now, was_seen=True)
        except KeysError as error:
            problems.append(f"not recorded: {error}")
    return problems


def activate(
    folder: KeyFolder,
    domain: str,
    selectors: Sequence[str],
    look: CheckKeys | None,
    now: datetime,
    *,
    keep_old: bool = False,
) -> Activation:
    """Activate `selectors`, or by default every waiting key, if `look` finds their records.

    `look` is None to skip the check. The active keys of the same types are retired, unless
    `keep_old`. Raises `NothingWaitsError`, `UnpublishedError` and `KeysError`.
    """
    keys = select(folder, domain, selectors, WAITING)
    if not keys:
        raise NothingWaitsError(f"{domain} has no key waiting to be activated")
    refuse_flat(folder, keys)
    if look is not None:
        _insist(look(keys))
    active = {key.selector: KeyState.ACTIVE for key in keys}
    old = [] if keep_old else replaced_by(keys, folder.of_domain(domain).keys)
    retired = {key.selector: KeyState.RETIRED for key in old}
    folder.enter(domain, active, now, was_seen=look is not None, also=retired)
    return Activation(sorted(active), sorted(retired))


def _insist(check: CheckedKeys) -> None:
    if check.problems:
        raise KeysError(check.problems[0])
    if missing := [one for one in check.checked if not one.is_published]:
        raise UnpublishedError(missing)


def retire(
    folder: KeyFolder,
    domain: str,
    selectors: Sequence[str],
    now: datetime,
    *,
    even_the_last: bool = False,
) -> None:
    """Stop signing with `selectors`; their records stay for mail in transit.

    Raises `LastKeyError` if no active key would be left, unless `even_the_last`, and `KeysError`.
    """
    keys = select(folder, domain, selectors, ())
    refuse_flat(folder, keys)
    names = {key.selector for key in keys}
    of_domain = folder.of_domain(domain).keys
    active = {key.selector for key in of_domain if key.state is KeyState.ACTIVE}
    if active and active <= names and not even_the_last:
        raise LastKeyError(
            f"{domain} has no other active key, so its mail would no longer be signed"
        )
    folder.enter(domain, {key.selector: KeyState.RETIRED for key in keys}, now)


def revoke(
    folder: KeyFolder,
    domain: str,
    selectors: Sequence[str],
    open_primary: Callable[[], Primary] | None,
    now: datetime,
    *,
    at_once: bool = False,
) -> Revocation:
    """Invalidate all signatures of `selectors`: their records get an empty p=. This is final.

    The primary, if there is one, is opened and updated. Raises `StillNeededError` while mail in
    transit needs a record, unless `at_once`, and `KeysError`: if the primary fails, the keys are
    revoked here but their records stay in DNS.
    """
    keys = select(folder, domain, selectors, ())
    refuse_flat(folder, keys)
    if not at_once:
        _refuse_needed(keys, now)
    primary = open_primary() if open_primary is not None else None
    # signing stops first: a failure below must not undo that
    folder.enter(domain, {key.selector: KeyState.REVOKED for key in keys}, now)
    records: dict[str, str] = {}
    for key in keys:
        text = revoked_record(key_type(key) or "rsa")
        folder.write_record(domain, key.selector, text)
        records[record_name(domain, key.selector)] = text
    if primary is not None:
        for name, text in records.items():
            _withdraw(primary, name, text)
    return Revocation(records, primary)


def _refuse_needed(keys: Sequence[KeyFile], now: datetime) -> None:
    for key in keys:
        if key.state is KeyState.ACTIVE:
            text = f"{key.selector} still signs; retire it first"
            raise StillNeededError(text, still_signs=True)
        wait = time_to_wait(key, now)
        if key.state is KeyState.RETIRED and wait.total_seconds() > 0:
            raise StillNeededError(
                f"{key.selector} was retired recently, and mail in transit may need its record "
                f"until {print_date(now + wait)[:10]}"
            )


def _withdraw(primary: Primary, name: str, text: str) -> None:
    try:
        records = primary.records(name)
        if records != (text,):
            primary.replace(name, text, records)
    except KeysError as error:
        raise KeysError(
            f"it no longer signs, but its record is still in DNS: {error}; try again, or enter by "
            "hand: "
            f"{present(name, text, 'bind')}"
        ) from None


def discard(folder: KeyFolder, domain: str, selectors: Sequence[str]) -> list[str]:
    """Delete keys that never signed and were never seen in DNS, all or none of them.

    Returns the sorted names of their records, which may have been put into DNS meanwhile. Raises
    `KeysError`.
    """
    chosen = sorted(set(selectors))
    refuse_flat(folder, select(folder, domain, chosen, ()))
    folder.discard(domain, chosen)
    return [record_name(domain, selector) for selector in chosen]
