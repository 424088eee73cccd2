"""Reader of Mailu's `config-export`, in YAML or JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from accounts.exchange.dkim_tables import add_key
from accounts.exchange.gathering import Gathering
from accounts.exchange.notes import Reading, SourceError, SourcePlace
from accounts.exchange.objects import Fields, WrongTypeError, root_of
from accounts.exchange.settling import finish
from accounts.exchange.trees import read_json, read_yaml

_SECTIONS = ("domain", "user", "alias", "relay")


def read(file: str, data: bytes) -> Reading:
    """Return the accounts of an export, which has secrets if it was made with `--secrets`.

    `max_users` and `max_aliases` of -1 are no limit, a quota of 0 neither. An entry that cannot be
    read is noted, and the others go on. Raises `SourceError` for text that is neither JSON nor
    YAML.
    """
    tree = read_json(file, data) if data.lstrip()[:1] == b"{" else read_yaml(file, data)
    root = root_of(file, tree)
    if not any(section in root.values for section in _SECTIONS):
        raise SourceError(f"{file}: none of the sections {', '.join(_SECTIONS)} was found")
    gathering = Gathering(file)
    each(gathering, root, "domain", lambda one: _domain(gathering, one))
    each(gathering, root, "user", lambda one: _user(gathering, one))
    each(gathering, root, "alias", lambda one: _alias(gathering, one))
    each(gathering, root, "relay", lambda one: _relay(gathering, one))
    if "config" in root.values:
        gathering.note("left out", "the settings of Mailu itself are not imported")
    return finish(gathering)


def each(gathering: Gathering, root: Fields, section: str, take: Callable[[Fields], None]) -> None:
    """Import the objects of a section; note each unreadable one with its number."""
    try:
        entries = list(root.objects(section))
    except WrongTypeError as error:
        gathering.note("left out", str(error), root.place)
        return
    for number, entry in enumerate(entries, 1):
        entry.place = SourcePlace(f"{root.place.file}, {section} {number}")
        try:
            take(entry)
        except WrongTypeError as error:
            gathering.note("left out", str(error), entry.place)


def _limit(number: int) -> int | None:
    return number if number >= 0 else None


def _domain(gathering: Gathering, one: Fields) -> None:
    name = gathering.domain(
        one.text("name"),
        one.place,
        description=one.text("comment"),
        max_mailboxes=_limit(one.number("max_users", -1)),
        max_aliases=_limit(one.number("max_aliases", -1)),
        max_quota=one.number("max_quota_bytes") or None,
    )
    if name is None:
        return
    for other in one.texts("alternatives"):
        if alias := gathering.domain(other, one.place):
            gathering.domains[alias].fields["alias_of"] = name
    if one.flag("signup_enabled", default=False):
        gathering.note("left out", f"domain {name}: sign-up by users is not supported", one.place)
    key = one.values.get("dkim_key")
    pem = "\n".join(key) if isinstance(key, list) and all(isinstance(x, str) for x in key) else key
    if isinstance(pem, str) and pem.strip() not in ("", "-generate-", "<hidden>"):
        add_key(gathering, name, one.text("dkim_selector") or "dkim", pem.encode(), one.place)


def _password(one: Fields) -> str:
    """Return the stored password; one that Mailu is asked to hash is in clear text."""
    stored = one.text("password", "password_hash")
    if one.flag("hash_password", default=False):
        return f"{{PLAIN}}{stored}"
    return "" if stored == "<hidden>" else stored


def _user(gathering: Gathering, one: Fields) -> None:
    imap, pop = one.flag("enable_imap", True), one.flag("enable_pop", True)
    stored = _password(one)
    address = gathering.mailbox(
        one.text("email"),
        one.place,
        display_name=one.text("displayed_name"),
        password=stored,
        quota=one.number("quota_bytes", 1_000_000_000) or None,
        enabled=one.flag("enabled", True),
        may_login=imap or pop,
    )
    if address is None:
        return
    if imap != pop:
        text = f"mailbox {address}: {'POP3' if imap else 'IMAP'} was disabled; both are enabled now"
        gathering.note("changed", text, one.place)
    if one.text("comment"):
        gathering.note("left out", f"mailbox {address}: its comment is not imported", one.place)
    if one.flag("reply_enabled", default=False):
        text = f"mailbox {address}: the vacation reply is not imported: create it again"
        gathering.note("left out", text, one.place)
    _forwarding(gathering, one, address)
    _spam(gathering, one, address)
    _administrator(gathering, one, address, stored)
    for fetch in one.objects("fetches"):
        _fetch(gathering, fetch, address)
    for token in one.objects("tokens"):
        _token(gathering, token, address)


def _forwarding(gathering: Gathering, one: Fields, address: str) -> None:
    targets = one.texts("forward_destination")
    if targets and one.flag("forward_enabled", default=False):
        if one.flag("forward_keep", True):
            targets = [address, *targets]
        gathering.route(address, targets, one.place)
    elif targets:
        text = f"mailbox {address}: forwarding is disabled and not imported"
        gathering.note("left out", text, one.place)


def _spam(gathering: Gathering, one: Fields, address: str) -> None:
    held = gathering.mailboxes[address]
    if "spam_enabled" in one.values:
        held.fields["preferences"] = {"spam_check": one.flag("spam_enabled", True)}
    if one.number("spam_threshold", 80) != 80:
        text = f"mailbox {address}: spam_threshold is a percentage; set a new score"
        gathering.note("left out", text, one.place)


def _administrator(gathering: Gathering, one: Fields, address: str, stored: str) -> None:
    everything = one.flag("global_admin", default=False)
    names = [
        name for text in one.texts("manager_of") if (name := gathering.domain(text, one.place))
    ]
    if everything or names:
        gathering.add_administrator(
            address,
            one.place,
            password=stored,
            role="global" if everything else "domains",
            domains=() if everything else tuple(dict.fromkeys(names)),
            enabled=one.flag("enabled", True),
        )


def _fetch(gathering: Gathering, fetch: Fields, address: str) -> None:
    tls = fetch.flag("tls", True)
    secret = fetch.text("password")
    if secret in ("", "<hidden>"):
        text = f"fetching for {address} from {fetch.text('host')}: the export has no password"
        gathering.note("left out", text, fetch.place)
        return
    folders = fetch.texts("folders")
    if len(folders) > 1:
        text = f"fetching for {address}: only the first of its folders is fetched"
        gathering.note("left out", text, fetch.place)
    gathering.remote_account(
        address,
        fetch.place,
        protocol=fetch.text("protocol"),
        host=fetch.text("host").lower(),
        port=fetch.number("port", 993),
        tls="implicit" if tls else "starttls",
        login=fetch.text("username"),
        secret={"clear": secret},
        folder=folders[0] if folders else "INBOX",
        keep=fetch.flag("keep", default=False),
    )


def _token(gathering: Gathering, token: Fields, address: str) -> None:
    name = token.text("comment")[:200]
    # a list in newer versions, one text with commas in older ones
    bound = token.texts("ip")
    if bound:
        text = (
            f"app password {name!r} of {address} is bound to {', '.join(bound)[:200]}, which "
            "is not supported: create a new one"
        )
        gathering.note("left out", text, token.place)
        return
    gathering.app_password(address, name, _password(token), token.place)


def _alias(gathering: Gathering, one: Fields) -> None:
    address = one.text("email")
    if one.flag("wildcard", default=False):
        address = _pattern(address)
    fields: dict[str, Any] = {}
    if comment := one.text("comment"):
        fields["description"] = comment
    if one.flag("disabled", default=False):
        fields["enabled"] = False
    gathering.route(address, one.texts("destination"), one.place, **fields)


def _pattern(address: str) -> str:
    """Return a pattern of SQL's LIKE with `*` for each `%`. `_` stays: it is meant as itself."""
    return re.sub("%+", "*", address)


def _relay(gathering: Gathering, one: Fields) -> None:
    smtp = one.text("smtp")
    name = gathering.domain(
        one.text("name"),
        one.place,
        description=one.text("comment"),
        is_relay=True,
        transport=_transport(smtp) if smtp else None,
    )
    if name is not None:
        gathering.note("decide", f"{name} is a relay domain: check its transport", one.place)


def _transport(smtp: str) -> str:
    """Return Postfix's transport for Mailu's `mx:host:port`, `[host]:port` or `host`."""
    if smtp.startswith("mx:"):
        return f"smtp:{smtp.removeprefix('mx:')}"
    host, colon, port = smtp.rpartition(":") if not smtp.endswith("]") else (smtp, "", "")
    if not colon:
        host, port = smtp, ""
    host = host if host.startswith("[") else f"[{host}]"
    return f"smtp:{host}:{port}" if port else f"smtp:{host}"
