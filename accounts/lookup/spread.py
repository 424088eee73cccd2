"""Final targets of an address: through aliases, forwarding and catch-alls.

The whole path is followed here, because Postfix would ask again for each step, and 1,000 times in a
loop. A loop is cut: each name is visited once. Names that are unknown, disabled or expired receive
nothing. A mailbox whose forwarding leads nowhere keeps its mail, whatever `keep_copy` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from accounts.address import AccountAddressError, parse_target
from accounts.lookup.ask import Ask, MailboxRow, RowLookup, Unresolvable, together
from accounts.lookup.find import AddressKind, AddressMeaning, find
from accounts.lookup.key import AddressKey, read_key
from accounts.lookup.terms import LookupTerms


@dataclass(slots=True)
class _Step:
    """A name on the path: its own address if it delivers there, and the names that follow.

    `may_keep` is the address of a mailbox that only forwards, and `place` that of a mailbox that
    was named without an extension. `forwards`: the following names are targets of forwarding.
    """

    delivers: str | None = None
    may_keep: str | None = None
    place: str = ""
    forwards: bool = False
    behind: list[str] = field(default_factory=list)


def spread(
    key: AddressKey, found: AddressMeaning, terms: LookupTerms
) -> RowLookup[tuple[str, ...]]:
    """Return the addresses that the mail for `key` goes to; `find` has found its meaning.

    Mailboxes of ours get the extension of `key`, unless the path names one for them, the result is
    the name of another object, or the path contains forwarding. The tuple is empty if nobody
    receives the mail. Raises `Unresolvable` if the address leads only to a loop, or to more than
    `terms.max_targets` names.
    """
    start = _name(key, found)
    steps: dict[str, _Step] = {}
    level = {start: (found, found.target)}
    while level:
        wanted: dict[str, str] = {}
        for name, (its_found, place) in level.items():
            steps[name] = _step(its_found, place)
            wanted |= {target: target for target in steps[name].behind}
        if len(steps) + len(wanted) > terms.max_targets:
            raise Unresolvable(f"the address leads to more than {terms.max_targets} others")
        next_level = yield from _find_all(wanted, terms)
        for name in level:
            steps[name].behind = [wanted[target] for target in steps[name].behind]
        level = {name: one for name, one in next_level.items() if name not in steps}
    places = _collect(start, steps)
    if found.extension:
        forwarded = _forwarded(steps)
        without = [
            step.place
            for name, step in steps.items()
            if step.place in places and name not in forwarded
        ]
        extended = yield from _extend(without, found.extension, terms.delimiter)
        places = [extended.get(place, place) for place in places]
    return tuple(places)


def _extend(places: list[str], extension: str, delimiter: str) -> RowLookup[dict[str, str]]:
    """Return the places with the extension of `key`, where that means the same mailbox."""
    extended: dict[str, str] = {}
    asks: list[Ask] = []
    for place in places:
        text = _with_extension(place, extension)
        key = read_key(text, delimiter)
        # a name with a delimiter of its own takes no extension
        if key is not None and key.names and f"{key.names[-1]}@{key.domain}" == place:
            extended[place] = text
            asks.append(Ask("name", f"{key.folded}@{key.domain}"))
    if not asks:
        return {}
    rows = yield tuple(asks)
    return {
        place: text for (place, text), row in zip(extended.items(), rows, strict=True) if not row
    }


def _forwarded(steps: dict[str, _Step]) -> set[str]:
    """Return the names that mail reaches through forwarding.

    They get no extension: Postfix asks again for the forwarding mailbox, with another extension or
    without one, and its targets would get the mail twice.
    """
    targets = [name for step in steps.values() if step.forwards for name in step.behind]
    return _all_behind(targets, {name: step.behind for name, step in steps.items()})


def _find_all(
    wanted: dict[str, str], terms: LookupTerms
) -> RowLookup[dict[str, tuple[AddressMeaning, str]]]:
    """Find the targets of a level and return them by name, each with its address if it is not ours.

    `wanted` gets the name of each target.
    """
    keys = []
    for text in wanted:
        key = read_key(text, terms.delimiter)
        if key is None:
            raise Unresolvable(f"the target {text[:100]!a} is not an address")
        keys.append(key)
    all_found = yield from together([find(key, terms) for key in keys])
    level: dict[str, tuple[AddressMeaning, str]] = {}
    for text, key, found in zip(tuple(wanted), keys, all_found, strict=True):
        name = wanted[text] = _name(key, found)
        level.setdefault(name, (found, found.target or _outside(text, found)))
    return level


def _outside(text: str, found: AddressMeaning) -> str:
    """Return a target with a quoted local part, in the form of the answer to Postfix."""
    if found.kind not in (AddressKind.FOREIGN, AddressKind.RELAYED):
        return ""
    try:
        return str(parse_target(text))
    except AccountAddressError as error:
        raise Unresolvable(f"a target is not an address: {error}") from None


def _name(key: AddressKey, found: AddressMeaning) -> str:
    """Return one text for all spellings of the same name, including its extension."""
    row = found.mailbox or found.alias
    if row is not None:
        return _with_extension(row.address, found.extension)
    if found.kind in (AddressKind.FOREIGN, AddressKind.RELAYED) and found.target:
        return found.target
    return f"{key.folded}@{key.domain}"


def _step(found: AddressMeaning, outside: str) -> _Step:
    if found.kind in (AddressKind.FOREIGN, AddressKind.RELAYED):
        return _Step(delivers=outside or None)
    step = _Step(behind=_targets(found))
    if (
        found.kind is AddressKind.MAILBOX
        and found.mailbox is not None
        and found.mailbox.may_receive
    ):
        place = _with_extension(found.mailbox.address, found.extension)
        step.forwards = True
        if not found.extension:
            step.place = place
        if found.mailbox.keep_copy or not step.behind:
            step.delivers = place
        else:
            step.may_keep = place
    return step


def _targets(found: AddressMeaning) -> list[str]:
    match found.kind:
        case AddressKind.ALIAS if found.alias is not None:
            return list(found.alias.targets)
        case AddressKind.MAILBOX if found.mailbox is not None and found.mailbox.may_receive:
            return list(found.mailbox.forwards)
        case AddressKind.CATCH_ALL:
            return [found.target]
        case _:
            return []


def _with_extension(address: str, extension: str) -> str:
    if not extension:
        return address
    local, _, domain = address.rpartition("@")
    return f"{local}{extension}@{domain}"


def _collect(start: str, steps: dict[str, _Step]) -> list[str]:
    """Return the places of delivery, in the order of the path; `start` leads to every step."""
    if any(step.may_keep is not None for step in steps.values()):
        _keep_stranded(steps)
    places = dict.fromkeys(step.delivers for step in steps.values() if step.delivers)
    if not places and _has_loop(start, steps):
        raise Unresolvable("the aliases lead only to one another")
    return list(places)


def _keep_stranded(steps: dict[str, _Step]) -> None:
    """Let mailboxes keep their mail if they forward it to nobody, the first on the path first."""
    before: dict[str, list[str]] = {}
    for name, step in steps.items():
        for other in step.behind:
            before.setdefault(other, []).append(name)
    arriving = _all_behind((name for name, step in steps.items() if step.delivers), before)
    for name, step in steps.items():
        if step.may_keep is not None and name not in arriving:
            step.delivers = step.may_keep
            arriving |= _all_behind([name], before)


def _all_behind(names: Iterable[str], edges: Mapping[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += edges.get(name, ())
    return seen


def _has_loop(start: str, steps: dict[str, _Step]) -> bool:
    """Return whether a path from `start` returns to one of its names."""
    passed: set[str] = set()
    done: set[str] = set()
    ways: list[tuple[str, Iterator[str]]] = [(start, iter(steps[start].behind))]
    passed.add(start)
    while ways:
        name, rest = ways[-1]
        for other in rest:
            if other in passed:
                return True
            if other in steps and other not in done:
                passed.add(other)
                ways.append((other, iter(steps[other].behind)))
                break
        else:
            ways.pop()
            passed.discard(name)
            done.add(name)
    return False


def members(found: AddressMeaning, terms: LookupTerms) -> RowLookup[tuple[MailboxRow, ...]]:
    """Return the mailboxes that are members of an alias, directly or through other aliases.

    Forwarding and catch-alls do not make members. Raises `Unresolvable` as `spread` does.
    """
    seen: set[str] = set()
    boxes: dict[str, MailboxRow] = {}
    level = [found]
    while level:
        texts: dict[str, None] = {}
        for one in level:
            if one.mailbox is not None:
                boxes.setdefault(one.mailbox.address, one.mailbox)
                continue
            if one.kind is not AddressKind.ALIAS or one.alias is None or one.alias.address in seen:
                continue
            seen.add(one.alias.address)
            texts.update(dict.fromkeys(one.alias.targets))
        if len(seen) + len(boxes) + len(texts) > terms.max_targets:
            raise Unresolvable(f"the alias has more than {terms.max_targets} members")
        keys = [key for text in texts if (key := read_key(text, terms.delimiter)) is not None]
        level = yield from together([find(key, terms) for key in keys])
    return tuple(boxes.values())
