"""The life of keys from `new` to `revoked`: what each step requires, and what it changes.

`gatepost keys` and whoever else manages keys call these functions. None of them prints or asks; a
step that is refused raises a `KeysError` and changes nothing. Domains and selectors are as
`milters.keys.names` returns them; `now` is the time of the step in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from milters.keys.checked import Check, Checked
from milters.keys.errors import (
    KeysError,
    LastKeyError,
    NothingWaitsError,
    OtherRecordError,
    StillNeededError,
)
from milters.keys.files import read_key
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.generate import new_key
from milters.keys.names import parse_selector, record_name
from milters.keys.publication import Seen, judge
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
"""States in which the record is to be in DNS, or soon will be."""

IN_DNS = (*MUST_BE_IN_DNS, KeyState.RETIRED)
"""States in which the record may not go."""

Look = Callable[[Sequence[KeyFile]], Check]
"""Asks every name server about some keys, as `milters.keys.checked.check_keys` does."""


class UnpublishedError(KeysError):
    """Keys were to be activated, and not every name server has their records."""

    def __init__(self, missing: Sequence[Checked]) -> None:
        super().__init__("nothing is activated: not every name server has every record")
        self.missing = missing


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Keys that were made. `waiting` are the selectors that waited for activation before."""

    keys: Sequence[tuple[KeyFile, SigningKey]]
    waiting: Sequence[str]


@dataclass(frozen=True, slots=True)
class Activation:
    """The selectors that sign from now on, and those that no longer do, sorted."""

    active: Sequence[str]
    retired: Sequence[str]


@dataclass(frozen=True, slots=True)
class Revocation:
    """Records (by name) that are to be in DNS now; they stand at `primary`, unless it is None."""

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
    """Make a key of each type; nothing is overwritten.

    `selector` is the name in DNS; with several types, the first letter of the type follows it.
    Without it the name is made of the date. `rsa_bits` is bounded as in `new_key`. Raises
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
    """Return the keys whose records are to be in DNS, or those of `selectors`; raises `KeysError`.

    A revoked key is refused: its record would bring it back.
    """
    keys = select(folder, domain, selectors, MUST_BE_IN_DNS)
    if revoked := [key.selector for key in keys if key.state is KeyState.REVOKED]:
        raise KeysError(f"{', '.join(revoked)} of {domain} is revoked and not published again")
    return keys


def publish(key: KeyFile, primary: Primary, *, replace: bool = False) -> str:
    """Make the record of a key stand at the primary and return what was done, in words.

    Raises `OtherRecordError` when another record stands there, unless `replace`, and `KeysError`.
    """
    signing = read_key(key.path)
    name = record_name(key.domain, key.selector)
    records = primary.records(name)
    found = judge(signing, Answer(Rcode.OK, records))
    if found.seen is Seen.PUBLISHED and len(records) == 1:
        return "was there already"
    if records and not replace:
        raise OtherRecordError(f"{name} has another record: {found.reason or found.note}")
    primary.replace(name, signing.public_record(), records)
    found = judge(signing, Answer(Rcode.OK, primary.records(name)))
    if found.seen is not Seen.PUBLISHED:
        raise KeysError(f"{primary.server} took the update of {name}, and now {found.reason}")
    return "replaced" if records else "added"


def to_check(
    folder: KeyFolder,
    domain: str | None = None,
    selectors: Sequence[str] = (),
    outside: Sequence[KeyFile] = (),
) -> list[KeyFile]:
    """Return the keys whose records may not be missing, of `domain` or of all.

    `selectors` of the domain are returned whatever their state. `outside` are keys that the
    configuration names and that are not in the folder. Raises `KeysError` when the domain or a
    selector has no key.
    """
    try:
        inside = folder.scan().keys
    except KeysError:
        if not outside or folder.path.exists():
            raise
        inside = ()  # nobody made the folder: the tables are all that is configured
    if domain is None:
        return [*(key for key in inside if key.state in IN_DNS), *outside]
    chosen = [key for key in outside if key.domain == domain]
    if selectors:
        chosen = [key for key in chosen if key.selector in selectors]
    others = tuple(set(selectors) - {key.selector for key in chosen})
    if others or not chosen or (not selectors and any(key.domain == domain for key in inside)):
        chosen += select(folder, domain, others, IN_DNS)
    return chosen


def note_seen(folder: KeyFolder, checked: Sequence[Checked], now: datetime) -> list[str]:
    """Remember which keys every name server was seen to have; a new one is published then.

    Returns a line for each that could not be noted.
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
            problems.append(f"not noted: {error}")
    return problems


def activate(
    folder: KeyFolder,
    domain: str,
    selectors: Sequence[str],
    look: Look | None,
    now: datetime,
    *,
    keep_old: bool = False,
) -> Activation:
    """Sign with `selectors`, or without any with every key that waits, once `look` finds them.

    `look` is None for keys that nobody checks. The active keys of the same types are retired,
    unless `keep_old`. Raises `NothingWaitsError`, `UnpublishedError` and `KeysError`.
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


def _insist(check: Check) -> None:
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
    """Sign no more with `selectors`; their records stay for mail under way.

    Raises `LastKeyError` when no active key is left, unless `even_the_last`, and `KeysError`.
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
    """Declare void what `selectors` have signed: their records get an empty p=. No way back.

    The primary is opened and changed where there is one. Raises `StillNeededError` while mail under
    way needs a record, unless `at_once`, and `KeysError`: when the primary fails, the keys are
    revoked here and their records stand.
    """
    keys = select(folder, domain, selectors, ())
    refuse_flat(folder, keys)
    if not at_once:
        _refuse_needed(keys, now)
    primary = open_primary() if open_primary is not None else None
    # first of all it signs no more: a failure below must not undo that
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
                f"{key.selector} was retired a short while ago, and mail under way may need its "
                f"record until {print_date(now + wait)[:10]}"
            )


def _withdraw(primary: Primary, name: str, text: str) -> None:
    try:
        records = primary.records(name)
        if records != (text,):
            primary.replace(name, text, records)
    except KeysError as error:
        raise KeysError(
            f"it signs no more, but its record stands: {error}; try again, or by hand: "
            f"{present(name, text, 'bind')}"
        ) from None


def discard(folder: KeyFolder, domain: str, selectors: Sequence[str]) -> list[str]:
    """Delete keys that never signed and were never seen in DNS, all or none.

    Returns the names of their records, sorted, which somebody may have put into DNS since. Raises
    `KeysError`.
    """
    chosen = sorted(set(selectors))
    refuse_flat(folder, select(folder, domain, chosen, ()))
    folder.discard(domain, chosen)
    return [record_name(domain, selector) for selector in chosen]
