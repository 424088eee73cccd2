"""Settling of aliases, mailboxes and domains of one name, which ends a reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from accounts.address import (
    AccountAddressError,
    parse_alias_address,
    parse_domain,
    parse_mailbox_address,
    parse_target,
)
from accounts.exchange.circles import cut_circles
from accounts.exchange.document import AliasEntry, Document, DomainEntry, MailboxEntry
from accounts.exchange.gathering import Gathering, Held, Route, words_of
from accounts.exchange.notes import Reading, SourcePlace

Duplicates: TypeAlias = Literal["first", "last", "joined"]
"""Which of two lines with one key counts: the first (postmap), the last (texthash), or both."""

MOST_SHOWN = 10
"""Names in one note."""

MOST_UNDECIDED = 1000
"""Texts that a document keeps for people."""

_NOT_MAIL = ("|", "/", ":include:", '"|', '"/')


def finish(gathering: Gathering, duplicates: Duplicates = "joined") -> Reading:
    """Return the document and the notes.

    An alias with the name of a mailbox becomes forwarding of that mailbox; it keeps a copy if the
    mailbox is among its own targets. `@domain` becomes a catch-all, or an alias domain when it
    leads to another domain. Targets that are no addresses are left out.
    """
    settling = _Settling(gathering)
    settling.routes(duplicates)
    settling.relay_domains()
    cut_circles(gathering)
    settling.parts()
    settling.missing_targets()
    settling.limits()
    document = Document.model_validate(
        {
            "format": "gatepost accounts",
            "version": 1,
            "domains": _made(gathering, DomainEntry, "name", gathering.domains),
            "mailboxes": _made(gathering, MailboxEntry, "address", gathering.mailboxes),
            "aliases": _made(gathering, AliasEntry, "address", gathering.aliases),
            "administrators": tuple(gathering.administrators.values()),
        }
    )
    notes = gathering.notes()
    undecided = [str(note)[:4000] for note in notes if note.kind == "decide"][:MOST_UNDECIDED]
    if undecided:
        document = document.model_copy(update={"undecided": tuple(undecided)})
    return Reading(document, notes, tuple(gathering.scripts))


def _made(
    gathering: Gathering,
    model: type[DomainEntry] | type[MailboxEntry] | type[AliasEntry],
    key: str,
    held: dict[str, Held],
) -> tuple[DomainEntry | MailboxEntry | AliasEntry, ...]:
    made = []
    for name, one in held.items():
        values = {key: name, **one.fields}
        if whole := gathering.make(model, values, f"{model.__name__.lower()} {name}", one.place):
            made.append(whole)
    return tuple(made)


class _Settling:
    def __init__(self, gathering: Gathering) -> None:
        self._g = gathering
        self._mailboxes_of = _by_domain(gathering.mailboxes)
        self._routed = {route.key.lower() for route in gathering.routes}

    def routes(self, duplicates: Duplicates) -> None:
        whole_domains = []
        for key, route in self._by_key(duplicates).items():
            if key.startswith("@"):
                whole_domains.append((key[1:], route))
                self._g.whole_domains[key[1:]] = route.place
                self._g.domain(key[1:], route.place)
            else:
                self._exact(key, route)
        for domain, route in whole_domains:
            self._whole_domain(domain, route)
        self._alias_domains()

    def _by_key(self, duplicates: Duplicates) -> dict[str, Route]:
        found: dict[str, Route] = {}
        for route in self._g.routes:
            key = self._key(route)
            if key is None:
                continue
            first = found.get(key)
            if first is None:
                found[key] = route
            elif duplicates == "joined":
                first.targets = (*first.targets, *route.targets)
            else:
                kept, other = (first, route) if duplicates == "first" else (route, first)
                found[key] = kept
                text = f"{key} appears twice; {kept.place} is used, as in the other system"
                self._g.note("left out", text, other.place)
        return found

    def _key(self, route: Route) -> str | None:
        text = route.key
        if "@" not in text and text:
            if self._g.origin is None:
                reason = f"alias {text!r} has no domain; the other system adds its own host name"
                self._g.note("left out", reason, route.place)
                return None
            text = f"{text}@{self._g.origin}"
        try:
            if text.startswith("@"):
                return "@" + parse_domain(text[1:])
            return str(parse_alias_address(text))
        except AccountAddressError as error:
            self._g.note("left out", f"alias: {error}", route.place)
            return None

    def _exact(self, key: str, route: Route) -> None:
        self._g.domain(key.rpartition("@")[2], route.place)
        targets = self._targets(route, key)
        mailbox = self._g.mailboxes.get(key)
        if mailbox is not None:
            self._forwarding(key, mailbox, targets, route)
            return
        if key in targets:
            targets.remove(key)
            if targets or len(route.targets) > 1:
                text = f"alias {key} leads to itself, and there is no such mailbox"
                self._g.note("left out", text, route.place)
        if targets:
            fields = {"targets": tuple(targets), **route.fields}
            self._g.aliases[key] = Held(route.place, fields)
        else:
            self._g.note("left out", f"alias {key} has no usable target", route.place)

    def _forwarding(self, key: str, mailbox: Held, targets: list[str], route: Route) -> None:
        if not route.fields.get("enabled", True) or targets == [key]:
            return
        keep = key in targets
        others = tuple(target for target in targets if target != key)
        if not others:
            text = f"{key} is a mailbox, and an alias without a usable target; the mailbox is kept"
            self._g.note("changed", text, route.place)
            return
        before = mailbox.fields.get("forwards", ())
        mailbox.fields["forwards"] = tuple(dict.fromkeys((*before, *others)))
        mailbox.fields["keep_copy"] = keep
        if not keep:
            text = (
                f"{key} is a mailbox and an alias: as in the other system, its mail goes only to "
                f"{_shown(others)}"
            )
            self._g.note("changed", text, route.place)

    def _targets(self, route: Route, key: str) -> list[str]:
        """Return the targets that are addresses, each once, in their order."""
        found: dict[str, None] = {}
        for text in route.targets:
            if text.startswith("@") and not key.startswith("@"):
                text = key.rpartition("@")[0] + text
            elif text.startswith("@"):
                found[text.lower()] = None
                continue
            target = self._target(text, route.place, key, route.targets)
            if target is not None:
                found[target] = None
        return list(found)

    def _target(
        self, text: str, place: SourcePlace, key: str, targets: tuple[str, ...]
    ) -> str | None:
        if text.startswith(_NOT_MAIL):
            self._g.note("left out", f"alias {key}: a target is a command or a file", place)
            return None
        if "@" not in text:
            if self._g.origin is None:
                # a { begins a stored password: then this is no table of aliases
                name = "" if any("{" in one for one in targets) else f" {text!r}"
                reason = (
                    f"alias {key}: target{name} has no domain; the other system adds the "
                    "name of its host"
                )
                self._g.note("left out", reason, place)
                return None
            text = f"{text}@{self._g.origin}"
        try:
            target = parse_target(text)
        except AccountAddressError as error:
            self._g.note("left out", f"alias {key}: target: {error}", place)
            return None
        return self._folded(str(target), target.domain)

    def _folded(self, target: str, domain: str) -> str:
        """Return a target within our domains in the form in which its mailbox is stored."""
        if domain not in self._g.domains:
            return target
        try:
            return str(parse_mailbox_address(target))
        except AccountAddressError:
            return target

    def _whole_domain(self, domain: str, route: Route) -> None:
        targets = self._targets(route, f"@{domain}")
        if not targets:
            self._g.note("left out", f"@{domain} has no usable target", route.place)
        elif not route.fields.get("enabled", True):
            self._g.note("left out", f"@{domain} is disabled", route.place)
        elif any(target.startswith("@") for target in targets):
            self._domain_to_domain(domain, targets, route.place)
        else:
            if len(targets) == 1:
                self._g.domains[domain].fields["catch_all"] = targets[0]
            else:
                self._g.aliases[f"*@{domain}"] = Held(route.place, {"targets": tuple(targets)})
            eaten = [
                name
                for name in self._mailboxes_of.get(domain, ())
                if name not in self._routed and name not in targets
            ]
            if eaten:
                text = (
                    f"catch-all @{domain}: in Postfix it also gets the mail of {_shown(eaten)}; "
                    "in Gatepost a mailbox gets its own mail"
                )
                self._g.note("changed", text, route.place)

    def _domain_to_domain(self, domain: str, targets: list[str], place: SourcePlace) -> None:
        if len(targets) > 1:
            text = f"@{domain} leads to a domain and to other targets; only one domain is allowed"
            self._g.note("left out", text, place)
            return
        try:
            other = parse_domain(targets[0][1:])
        except AccountAddressError as error:
            self._g.note("left out", f"@{domain}: {error}", place)
            return
        if other == domain:
            return
        self._g.domains[domain].fields["alias_of"] = other

    def _alias_domains(self) -> None:
        """Keep the alias domains that the datastore allows: those for another domain of ours."""
        domains = self._g.domains
        for name, held in domains.items():
            if not held.fields.get("alias_of"):
                continue
            place = self._g.whole_domains.get(name, held.place)
            target = self._end_of(name)
            own = self._mailboxes_of.get(name)
            if target is None or target not in domains:
                other = held.fields["alias_of"]
                text = f"domain {name} is an alias of {other}, which does not exist"
                self._g.note("left out", text, place)
                held.fields["alias_of"] = None
            elif own:
                text = f"domain {name} is an alias of {target} and has mailboxes: {_shown(own)}"
                self._g.note("decide", f"{text}; it stays a domain of its own", place)
                held.fields["alias_of"] = None
            else:
                held.fields.update(alias_of=target, is_relay=False)

    def _end_of(self, name: str) -> str | None:
        seen = {name}
        while target := self._g.domains[name].fields.get("alias_of"):
            if target in seen or target not in self._g.domains:
                return None
            seen.add(target)
            name = target
        return name

    def parts(self) -> None:
        """Give each mailbox the rights, app passwords and accounts that were found for it."""
        for (address, field_name), parts in self._g.parts.items():
            held = self._g.mailboxes.get(address)
            if held is None:
                what = f"{words_of(field_name)} of {address}"
                text = f"{what}: there is no such mailbox: {_shown(list(parts))}"
                self._g.note("left out", text, self._g.part_places.get((address, field_name)))
            else:
                held.fields[field_name] = tuple(parts.values())

    def missing_targets(self) -> None:
        """Note targets in our domains that are not there; mail to them would be refused."""
        for address, held in self._g.aliases.items():
            self._missing(f"alias {address}", held.fields["targets"], held.place)
        for address, held in self._g.mailboxes.items():
            self._missing(f"mailbox {address}", held.fields.get("forwards", ()), held.place)
        for name, held in self._g.domains.items():
            if target := held.fields.get("catch_all"):
                place = self._g.whole_domains.get(name, held.place)
                self._missing(f"catch-all of {name}", (target,), place, name)

    def _missing(
        self, what: str, targets: tuple[str, ...], place: SourcePlace, catching: str = ""
    ) -> None:
        missing = [target for target in targets if self._is_missing(target, catching)]
        if missing:
            text = f"{what} leads to {_shown(missing)}, which does not exist"
            self._g.note("decide", text, place)

    def _is_missing(self, target: str, catching: str) -> bool:
        """Return whether the address does not exist; the catch-all of `catching` does not count."""
        local, _, domain = target.rpartition("@")
        held = self._g.domains.get(domain)
        if held is None or held.fields.get("is_relay"):
            return False
        if held.fields.get("alias_of"):
            return self._is_missing(f"{local}@{held.fields['alias_of']}", catching)
        if domain != catching and (
            held.fields.get("catch_all") or f"*@{domain}" in self._g.aliases
        ):
            return False
        names = {target, f"{local.partition('+')[0]}@{domain}"}
        return not any(name in self._g.mailboxes or name in self._g.aliases for name in names)

    def relay_domains(self) -> None:
        """Leave out mailboxes of relay domains, which are on another host."""
        for name, held in self._g.domains.items():
            own = self._mailboxes_of.get(name)
            if held.fields.get("is_relay") and own:
                for address in own:
                    del self._g.mailboxes[address]
                text = f"{name} is relayed to another server, but has mailboxes: {_shown(own)}"
                self._g.note("left out", text, held.place)

    def limits(self) -> None:
        """Raise the limits of domains that already have more mailboxes or aliases."""
        aliases_of = _by_domain(self._g.aliases)
        for name, held in self._g.domains.items():
            own = [one for one in self._mailboxes_of.get(name, ()) if one in self._g.mailboxes]
            for field, count in (
                ("max_mailboxes", len(own)),
                ("max_aliases", len(aliases_of.get(name, ()))),
            ):
                most = held.fields.get(field)
                if most is not None and count > most:
                    held.fields[field] = count
                    text = f"{field} of {name} is raised from {most} to {count}: so many exist"
                    self._g.note("changed", text, held.place)
            self._quotas(name, held, own)

    def _quotas(self, name: str, held: Held, own: list[str]) -> None:
        most, default = held.fields.get("max_quota"), held.fields.get("default_quota")
        if most is None:
            return
        quotas = [self._g.mailboxes[one].fields.get("quota", default) for one in own]
        if any(quota is None for quota in quotas):
            held.fields["max_quota"] = None
            text = f"domain {name}: it has mailboxes without a quota, so max_quota is not set"
            self._g.note("changed", text, held.place)
        elif highest := max([most, *[quota for quota in (*quotas, default) if quota]]):
            if highest > most:
                text = (
                    f"domain {name}: max_quota is raised to {highest} octets, the quota of its "
                    "largest mailbox"
                )
                self._g.note("changed", text, held.place)
            held.fields["max_quota"] = highest


def _by_domain(addresses: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address in addresses:
        found.setdefault(address.rpartition("@")[2], []).append(address)
    return found


def _shown(names: list[str] | tuple[str, ...]) -> str:
    text = ", ".join(names[:MOST_SHOWN])
    return f"{text} and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else text
