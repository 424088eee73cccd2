"""Reader of PostfixAdmin's database (2.3 to 4)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from accounts.exchange.gathering import Gathering
from accounts.exchange.notes import Reading, SourceError
from accounts.exchange.postfix_tables import addresses
from accounts.exchange.settling import finish
from accounts.exchange.tables import RowError, TableRow, Tables

_OLD_MAILBOX = "username password name maildir quota local_part domain created modified active"
_OLD_ADMIN = "username password created modified active"
_OLD_DOMAIN = "domain description aliases mailboxes maxquota quota transport backupmx created"

LAYOUTS = {
    "domain": [
        f"{_OLD_DOMAIN} modified active".split(),
        f"{_OLD_DOMAIN} modified active password_expiry".split(),
        [
            "domain",
            "description",
            "aliases",
            "mailboxes",
            "maxquota",
            "transport",
            "backupmx",
            "created",
            "modified",
            "active",
        ],
    ],
    "mailbox": [
        _OLD_MAILBOX.split(),
        f"{_OLD_MAILBOX} phone email_other token token_validity".split(),
        f"{_OLD_MAILBOX} phone email_other token token_validity password_expiry".split(),
    ],
    "alias": [["address", "goto", "domain", "created", "modified", "active"]],
    "alias_domain": [["alias_domain", "target_domain", "created", "modified", "active"]],
    "admin": [
        _OLD_ADMIN.split(),
        f"{_OLD_ADMIN} superadmin phone email_other token token_validity".split(),
    ],
    "domain_admins": [
        ["username", "domain", "created", "active"],
        ["id", "username", "domain", "created", "active"],
    ],
    "vacation": [
        ["email", "subject", "body", "cache", "domain", "created", "active"],
        [
            "email",
            "subject",
            "body",
            "cache",
            "domain",
            "created",
            "active",
            "activefrom",
            "activeuntil",
            "interval_time",
        ],
        [
            "email",
            "subject",
            "body",
            "activefrom",
            "activeuntil",
            "cache",
            "domain",
            "interval_time",
            "created",
            "modified",
            "active",
        ],
    ],
    "fetchmail": [],
    "mailbox_app_password": [],
}
"""Columns of the versions, for dumps that do not name them."""

_MIB = 1 << 20
_LOCAL_TRANSPORTS = ("", "virtual", "dovecot", "maildrop", "lmtp", "local")


def read(tables: Tables) -> Reading:
    """Return the accounts of PostfixAdmin's tables.

    Quotas of mailboxes are in octets, limits of domains in MiB; 0 is no limit, and -1 for a number
    of mailboxes or aliases means none. The domain `ALL` is a mark for administrators. Raises
    `SourceError` if there is neither a table of domains nor one of mailboxes.
    """
    if "domain" not in tables and "mailbox" not in tables:
        raise SourceError("the tables domain and mailbox of PostfixAdmin are missing or empty")
    gathering = Gathering("postfixadmin")
    for place, text in tables.problems:
        gathering.note("left out", text, place)
    for table, take in (
        ("domain", _domain),
        ("mailbox", _mailbox),
        ("alias", _alias),
        ("alias_domain", _alias_domain),
        ("fetchmail", _fetchmail),
        ("vacation", _vacation),
        ("mailbox_app_password", _app_password),
    ):
        for row in tables[table]:
            each(gathering, table, row, take)
    _administrators(gathering, tables)
    return finish(gathering)


def each(gathering: Gathering, table: str, row: TableRow, take: Any) -> None:
    """Import one row; note each unusable value with its column."""
    try:
        take(gathering, row)
    except RowError as error:
        gathering.note("left out", f"a row of table {table}: {error}", row.place)


def _limit(number: int) -> int | None:
    """Return a limit of objects: 0 has none in PostfixAdmin, a negative one allows none."""
    return None if number == 0 else max(number, 0)


def _whole(transport: str) -> str:
    """Return a transport with its colon, which PostfixAdmin does not ask for."""
    return transport if ":" in transport else f"{transport}:"


def _domain(gathering: Gathering, row: TableRow) -> None:
    name = row.text("domain")
    if name == "ALL":
        return
    fields: dict[str, Any] = {
        "description": row.prose("description"),
        "enabled": row.flag("active"),
        "max_mailboxes": _limit(row.number("mailboxes")),
        "max_aliases": _limit(row.number("aliases")),
    }
    most = row.number("maxquota")
    fields["max_quota"] = most * _MIB if most > 0 else None
    transport = row.text("transport").lower()
    if row.flag("backupmx", default=False):
        fields["is_relay"] = True
        fields["max_mailboxes"] = fields["max_aliases"] = None
        local = transport.partition(":")[0] in _LOCAL_TRANSPORTS
        fields["transport"] = None if local else _whole(row.text("transport"))
    elif transport.partition(":")[0] not in _LOCAL_TRANSPORTS:
        fields["transport"] = _whole(row.text("transport"))
    elif transport not in _LOCAL_TRANSPORTS:
        text = f"domain {name}: its transport delivers on the old server and is not imported"
        gathering.note("changed", text, row.place)
    if row.number("quota") > 0:
        text = f"domain {name}: the limit for all its mailboxes together is not imported"
        gathering.note("changed", text, row.place)
    if row.number("password_expiry") > 0:
        text = f"domain {name}: Gatepost has no expiry of passwords"
        gathering.note("changed", text, row.place)
    gathering.domain(name, row.place, **fields)


def _mailbox(gathering: Gathering, row: TableRow) -> None:
    quota = row.number("quota")
    fields: dict[str, Any] = {
        "password": row.text("password"),
        "display_name": row.prose("name"),
        "quota": quota if quota > 0 else None,
        "enabled": row.flag("active"),
    }
    if quota < 0:
        text = f"mailbox {row.text('username')}: its quota is disabled, so it has no limit"
        gathering.note("changed", text, row.place)
    if row.flag("smtp_active", default=True) is False:
        fields["may_send"] = False
    gathering.mailbox(row.text("username"), row.place, **fields)


def _alias(gathering: Gathering, row: TableRow) -> None:
    address, active = row.text("address"), row.flag("active")
    targets = []
    for target in addresses(row.text("goto")):
        if "@autoreply." in target:
            text = f"{address}: the vacation reply is not imported: create it again"
            gathering.note("left out", text, row.place)
        else:
            targets.append(target)
    held = gathering.mailboxes.get(address.lower())
    if held is not None and active and not held.fields["enabled"]:
        if [one.lower() for one in targets] == [address.lower()]:
            return
        # PostfixAdmin asks for aliases without looking whether the mailbox is active
        held.fields.update(enabled=True, may_login=False, may_send=False)
        text = (
            f"mailbox {address} is not active and its alias is: its mail is forwarded, nobody "
            "logs in"
        )
        gathering.note("changed", text, row.place)
    gathering.route(address, targets, row.place, enabled=active)


def _alias_domain(gathering: Gathering, row: TableRow) -> None:
    target = gathering.domain(row.text("target_domain"), row.place)
    if target is not None:
        gathering.domain(
            row.text("alias_domain"), row.place, alias_of=target, enabled=row.flag("active")
        )


def _vacation(gathering: Gathering, row: TableRow) -> None:
    if row.flag("active"):
        text = f"{row.text('email')}: the text of its vacation reply is not imported"
        gathering.note("left out", text, row.place)


def _fetchmail(gathering: Gathering, row: TableRow) -> None:
    mailbox = gathering.own_address(row.text("mailbox"), row.place, "fetchmail")
    if mailbox is None:
        return
    try:
        secret = base64.b64decode(row.text("src_password"), validate=True).decode()
    except (binascii.Error, ValueError):
        raise RowError("src_password is not base64") from None
    protocol = row.text("protocol").lower() or "imap"
    ssl = row.flag("usessl", default=False)
    ports = {"imap": (143, 993), "pop3": (110, 995)}
    if protocol not in ports:
        raise RowError("protocol is neither IMAP nor POP3")
    if row.text("mda"):
        gathering.note("changed", f"fetchmail of {mailbox}: mda is not run", row.place)
    gathering.remote_account(
        mailbox,
        row.place,
        protocol=protocol,
        host=row.text("src_server").lower(),
        port=row.number("src_port") or ports[protocol][ssl],
        tls="implicit" if ssl else "starttls",
        login=row.text("src_user"),
        secret={"clear": secret},
        folder=row.text("src_folder") or "INBOX",
        interval=min(max(row.number("poll_time"), 1), 10_080) * 60,
        keep=row.flag("keep", default=False),
        enabled=row.flag("active"),
    )


def _app_password(gathering: Gathering, row: TableRow) -> None:
    mailbox = gathering.own_address(row.text("username"), row.place, "app password")
    if mailbox is not None:
        name = row.prose("description")[:200]
        gathering.app_password(mailbox, name, row.text("password_hash"), row.place)


def _administrators(gathering: Gathering, tables: Tables) -> None:
    """Add the administrators with the domains that they have."""
    domains: dict[str, list[str]] = {}
    everywhere: set[str] = set()
    known = {row.text("username").lower() for row in tables["admin"]}
    for row in tables["domain_admins"]:
        login, domain = row.text("username"), row.text("domain")
        if not row.flag("active"):
            continue
        if domain == "ALL":
            everywhere.add(login.lower())
        elif login.lower() not in known:
            text = f"{login} administers {domain}, but is not an administrator"
            gathering.note("left out", text, row.place)
        elif name := gathering.domain(domain, row.place):
            domains.setdefault(login.lower(), []).append(name)
    for row in tables["admin"]:
        login = row.text("username")
        everything = row.flag("superadmin", default=False) or login.lower() in everywhere
        gathering.add_administrator(
            login,
            row.place,
            password=row.text("password"),
            role="global" if everything else "domains",
            domains=() if everything else tuple(dict.fromkeys(domains.get(login.lower(), ()))),
            enabled=row.flag("active"),
        )
