"""Reader of mailcow's database."""

from __future__ import annotations

import json
from typing import Any, Final

from accounts.exchange.gathering import Gathering
from accounts.exchange.notes import Reading, Script, SourceError
from accounts.exchange.postfix_tables import addresses
from accounts.exchange.postfixadmin import each
from accounts.exchange.settling import finish
from accounts.exchange.tables import RowError, TableRow, Tables

# mysqldump writes CREATE TABLE, which names the columns; these are for dumps without it
LAYOUTS: Final[dict[str, list[list[str]]]] = {
    "domain": [
        [
            "domain",
            "description",
            "aliases",
            "mailboxes",
            "defquota",
            "maxquota",
            "quota",
            "relayhost",
            "backupmx",
            "gal",
            "relay_all_recipients",
            "relay_unknown_only",
            "created",
            "modified",
            "active",
        ],
    ],
    "mailbox": [
        [
            "username",
            "password",
            "name",
            "description",
            "mailbox_path_prefix",
            "quota",
            "local_part",
            "domain",
            "attributes",
            "kind",
            "multiple_bookings",
            "created",
            "modified",
            "active",
        ],
    ],
    "alias": [
        [
            "id",
            "address",
            "goto",
            "domain",
            "created",
            "modified",
            "private_comment",
            "public_comment",
            "sogo_visible",
            "active",
        ],
        ["address", "goto", "domain", "created", "modified", "active"],
    ],
    "alias_domain": [["alias_domain", "target_domain", "created", "modified", "active"]],
    "sender_acl": [
        ["logged_in_as", "send_as"],
        ["id", "logged_in_as", "send_as", "external"],
    ],
    "spamalias": [["address", "goto", "validity"]],
    "app_passwd": [],
    "sieve_filters": [
        [
            "id",
            "username",
            "script_desc",
            "script_name",
            "script_data",
            "filter_type",
            "created",
            "modified",
        ]
    ],
    "filterconf": [
        ["object", "option", "value", "prefid"],
        ["object", "option", "value", "prefid", "created", "modified"],
    ],
    "imapsync": [],
    "admin": [["username", "password", "superadmin", "created", "modified", "active"]],
    "domain_admins": [
        ["username", "domain", "created", "active"],
        ["id", "username", "domain", "created", "active"],
    ],
    "bcc_maps": [],
    "recipient_maps": [],
    "tls_policy_override": [],
    "relayhosts": [],
    "transports": [],
    "forwarding_hosts": [],
}
_NOT_READ = {
    "bcc_maps": "BCC maps are not supported",
    "recipient_maps": "set recipient maps in Postfix",
    "tls_policy_override": "set TLS policies in Postfix",
    "relayhosts": "set relay hosts in Postfix",
    "transports": "set transports in Postfix",
    "forwarding_hosts": "set forwarding hosts in [milters]",
}
_PROTOCOLS = ("imap", "pop3", "smtp", "sieve")
_SPECIAL = {
    "null@localhost": "discards mail, which is not supported",
    "spam@localhost": "trains the spam filter",
    "ham@localhost": "trains the spam filter",
}
_MOST_JSON = 65_536


def read(tables: Tables) -> Reading:
    """Return the accounts of mailcow's tables. DKIM keys are in its Redis and not in them.

    All quotas are in octets. A mailbox that is active = 2 receives and lets nobody in. Raises
    `SourceError` if there is neither a table of domains nor one of mailboxes.
    """
    if "domain" not in tables and "mailbox" not in tables:
        raise SourceError("the tables domain and mailbox of mailcow are missing or empty")
    gathering = Gathering("mailcow")
    for place, text in tables.problems:
        gathering.note("left out", text, place)
    for table, take in (
        ("domain", _domain),
        ("mailbox", _mailbox),
        ("alias", _alias),
        ("spamalias", _spamalias),
        ("alias_domain", _alias_domain),
        ("sender_acl", _sender_acl),
        ("app_passwd", _app_password),
        ("sieve_filters", _sieve),
        ("filterconf", _filter),
        ("imapsync", _imapsync),
    ):
        for row in tables[table]:
            each(gathering, table, row, take)
    for table, text in _NOT_READ.items():
        for row in tables[table]:
            gathering.note("left out", f"a row of {table}: {text}", row.place)
    _administrators(gathering, tables)
    text = "DKIM keys are in mailcow's Redis: add each one from its file"
    gathering.note("left out", text)
    return finish(gathering)


def _positive(number: int) -> int | None:
    return number if number > 0 else None


def _octets(number: int) -> int | None:
    """Return a quota: versions of 2017 and before have MiB in the table of domains."""
    return _positive(number if number >= 1 << 20 else number << 20)


def _domain(gathering: Gathering, row: TableRow) -> None:
    relay = row.flag("backupmx", default=False)
    name = gathering.domain(
        row.text("domain"),
        row.place,
        description=row.prose("description"),
        enabled=row.number("active", 1) > 0,
        max_mailboxes=None if relay else _positive(row.number("mailboxes")),
        max_aliases=None if relay else _positive(row.number("aliases")),
        max_quota=_octets(row.number("maxquota")),
        default_quota=_octets(row.number("defquota")),
        is_relay=relay,
    )
    if row.number("quota") > 0:
        text = f"domain {name}: the limit for all its mailboxes together is not imported"
        gathering.note("changed", text, row.place)
    if relay and not row.flag("relay_all_recipients", default=False):
        text = f"domain {name}: mail is relayed for every recipient, not only for known ones"
        gathering.note("decide", text, row.place)
    if row.text("relayhost") not in ("", "0"):
        text = f"domain {name}: set its relay host in Postfix"
        gathering.note("left out", text, row.place)


def _mailbox(gathering: Gathering, row: TableRow) -> None:
    address = row.text("username")
    if row.text("kind") not in ("", "mailbox"):
        text = f"{address} is a calendar resource, not a mailbox"
        gathering.note("left out", text, row.place)
        return
    attributes = _attributes(row)
    active = row.number("active", 1)
    mailbox = gathering.mailbox(
        address,
        row.place,
        password=row.text("password"),
        display_name=row.prose("name"),
        quota=_positive(row.number("quota")),
        enabled=active > 0,
        may_login=active == 1,
        may_send=active == 1 and _on(attributes, "smtp_access"),
    )
    if mailbox is None:
        return
    if row.text("authsource") not in ("", "mailcow"):
        text = f"mailbox {mailbox}: its password was checked by another service; set a new one"
        gathering.note("decide", text, row.place)
    off = [one for one in ("imap", "pop3", "sieve") if not _on(attributes, f"{one}_access")]
    if off:
        held = gathering.mailboxes[mailbox].fields
        if {"imap", "pop3"} <= set(off):
            held["may_login"] = False
        text = f"mailbox {mailbox}: {', '.join(off)} was disabled; Gatepost has one right for all"
        gathering.note("changed", text, row.place)
    for name, text in (
        ("force_pw_update", "forcing a new password at the next login is not supported"),
        ("tls_enforce_in", "requiring TLS for one mailbox is not supported"),
        ("tls_enforce_out", "requiring TLS for one mailbox is not supported"),
    ):
        if not _off(attributes, name):
            gathering.note("left out", f"mailbox {mailbox}: {name}: {text}", row.place)


def _attributes(row: TableRow) -> dict[str, Any]:
    text = row.text("attributes")
    if not text:
        return {}
    try:
        value = json.loads(text) if len(text) <= _MOST_JSON else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RowError("attributes is not a JSON object")
    return value


def _on(attributes: dict[str, Any], name: str) -> bool:
    return str(attributes.get(name, "1")) not in ("0", "False", "false")


def _off(attributes: dict[str, Any], name: str) -> bool:
    return str(attributes.get(name, "0")) in ("0", "False", "false", "None", "")


def _alias(gathering: Gathering, row: TableRow) -> None:
    address = row.text("address")
    targets = []
    for target in addresses(row.text("goto")):
        if target.lower() in _SPECIAL:
            text = f"alias {address}: a target {_SPECIAL[target.lower()]}"
            gathering.note("left out", text, row.place)
        else:
            targets.append(target)
    fields: dict[str, Any] = {"enabled": row.number("active", 1) > 0}
    if comment := row.prose("public_comment") or row.prose("private_comment"):
        fields["description"] = comment
    if row.flag("sender_allowed", default=True):
        fields["members_may_send"] = True
    if row.flag("internal", default=False):
        text = f"alias {address} was for local senders only; now everybody can send to it"
        gathering.note("decide", text, row.place)
    gathering.route(address, targets, row.place, **fields)


def _spamalias(gathering: Gathering, row: TableRow) -> None:
    fields: dict[str, Any] = {}
    if not row.flag("permanent", default=False):
        fields["expires"] = max(row.number("validity"), 0)
    if comment := row.prose("description"):
        fields["description"] = comment
    gathering.route(row.text("address"), addresses(row.text("goto")), row.place, **fields)


def _alias_domain(gathering: Gathering, row: TableRow) -> None:
    target = gathering.domain(row.text("target_domain"), row.place)
    if target is not None:
        active = row.number("active", 1) > 0
        gathering.domain(row.text("alias_domain"), row.place, alias_of=target, enabled=active)


def _sender_acl(gathering: Gathering, row: TableRow) -> None:
    mailbox, sender = row.text("logged_in_as"), row.text("send_as")
    if sender == "*":
        text = f"sender right of {mailbox}: sending as anybody is not supported"
        gathering.note("left out", text, row.place)
    elif row.flag("external", default=False):
        text = f"sender right of {mailbox}: {sender} is not in a domain of this server"
        gathering.note("left out", text, row.place)
    else:
        gathering.right(mailbox, sender, row.place)


def _app_password(gathering: Gathering, row: TableRow) -> None:
    mailbox = gathering.own_address(row.text("mailbox"), row.place, "app password")
    if mailbox is None:
        return
    name = row.prose("name")[:200]
    protocols = tuple(one for one in _PROTOCOLS if row.flag(f"{one}_access"))
    if not row.flag("active") or not protocols:
        text = f"app password {name!r} of {mailbox} is disabled"
        gathering.note("left out", text, row.place)
        return
    gathering.app_password(mailbox, name, row.text("password"), row.place, protocols=protocols)


def _sieve(gathering: Gathering, row: TableRow) -> None:
    mailbox = gathering.own_address(row.text("username"), row.place, "Sieve script")
    if mailbox is not None:
        data = row.value("script_data")
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data or "")
        name = row.prose("script_desc") or row.text("filter_type")
        active = row.text("script_name") == "active"
        gathering.add_script(Script(mailbox, name, active, text), row.place)


def _filter(gathering: Gathering, row: TableRow) -> None:
    name, option, value = row.text("object"), row.text("option"), row.text("value")
    if option == "highspamlevel":
        return  # mailcow writes it beside each lowspamlevel
    if "@" not in name:
        text = f"filter {option} of {name}: filters for a whole domain are not supported"
        gathering.note("left out", text, row.place)
        return
    fields = {"whitelist_from": "allowed_senders", "blacklist_from": "blocked_senders"}
    if option in fields:
        gathering.listed_sender(name.lower(), fields[option], value, row.place)
    else:
        text = f"filter {option} of {name}: its score is on the scale of Rspamd; set a new score"
        gathering.note("left out", text, row.place)


def _imapsync(gathering: Gathering, row: TableRow) -> None:
    mailbox = gathering.own_address(row.text("user2"), row.place, "imapsync")
    if mailbox is None:
        return
    encryption = row.text("enc1").upper()
    if encryption == "PLAIN":
        text = f"imapsync of {mailbox}: it had no TLS; STARTTLS is required now"
        gathering.note("changed", text, row.place)
    minutes = row.text("mins_interval")
    gathering.remote_account(
        mailbox,
        row.place,
        protocol="imap",
        host=row.text("host1").lower(),
        port=row.number("port1"),
        tls="implicit" if encryption == "SSL" else "starttls",
        login=row.text("user1"),
        secret={"clear": row.text("password1")},
        destination=row.text("subfolder2") or None,
        interval=min(max(int(minutes), 1), 10_080) * 60
        if minutes.isdigit() and len(minutes) < 6
        else 600,
        keep=not row.flag("delete1", default=False),
        enabled=row.flag("active"),
    )
    text = f"imapsync of {mailbox}: only INBOX of the other server is fetched"
    gathering.note("decide", text, row.place)


def _administrators(gathering: Gathering, tables: Tables) -> None:
    domains: dict[str, list[str]] = {}
    for row in tables["domain_admins"]:
        name = gathering.domain(row.text("domain"), row.place)
        if name is not None and row.flag("active"):
            domains.setdefault(row.text("username"), []).append(name)
    for row in tables["admin"]:
        login = row.text("username")
        everything = row.flag("superadmin", default=False)
        gathering.add_administrator(
            login,
            row.place,
            password=row.text("password"),
            role="global" if everything else "domains",
            domains=() if everything else tuple(dict.fromkeys(domains.get(login, ()))),
            enabled=row.flag("active"),
        )
