import json

import pytest

from accounts.exchange.mailcow import LAYOUTS, read
from accounts.exchange.notes import Reading, SourceError
from accounts.exchange.sql_dump import read_dump
from tests.unit.accounts.exchange.reading import (
    BCRYPT,
    alias,
    aliases,
    domains,
    mailboxes,
    said,
    whole,
)

STORED = f"{{BLF-CRYPT}}{BCRYPT}"


def table(name: str, columns: str, *rows: tuple[object, ...]) -> str:
    """A table as mysqldump writes it: CREATE TABLE, then rows without the names of columns."""
    created = ",\n".join(f"  `{column}` varchar(255) DEFAULT NULL" for column in columns.split())
    listed = ",".join(f"({','.join(map(quoted, row))})" for row in rows)
    return (
        f"CREATE TABLE `{name}` (\n{created},\n  PRIMARY KEY (`x`)\n) ENGINE=InnoDB;\n"
        f"INSERT INTO `{name}` VALUES {listed};\n"
    )


def quoted(value: object) -> str:
    if not isinstance(value, str):
        return "NULL" if value is None else str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def dump(*tables: str) -> Reading:
    text = "-- MySQL dump 10.19\n" + DOMAINS + MAILBOXES + "".join(tables)
    return whole(read(read_dump("backup.sql", text.encode(), LAYOUTS)))


DOMAINS = table(
    "domain",
    "domain description aliases mailboxes defquota maxquota quota relayhost backupmx "
    "relay_all_recipients active",
    ("example.org", "Main", 400, 10, 1 << 30, 5 << 30, 10 << 30, "0", 0, 0, 1),
    ("backup.example", "", 0, 0, 0, 0, 0, "3", 1, 0, 1),
)
ATTRIBUTES = {"force_pw_update": "0", "tls_enforce_in": "0", "imap_access": "1"}
MAILBOXES = table(
    "mailbox",
    "username password name quota domain attributes kind authsource active",
    ("anna@example.org", STORED, "Anna \\ 'A'", 2 << 30, "example.org", "", "", "mailcow", 1),
    (
        "bob@example.org",
        STORED,
        "",
        0,
        "example.org",
        json.dumps(ATTRIBUTES | {"pop3_access": "0", "smtp_access": "0", "tls_enforce_out": "1"}),
        "",
        "keycloak",
        1,
    ),
    ("quiet@example.org", STORED, "", 1 << 30, "example.org", "{}", "", "mailcow", 2),
    ("off@example.org", STORED, "", 1 << 30, "example.org", "{}", "", "mailcow", 0),
    ("room@example.org", STORED, "", 0, "example.org", "{}", "location", "mailcow", 1),
    ("json@example.org", STORED, "", 0, "example.org", "[" * 50_000, "", "mailcow", 1),
)


def test_domains_and_mailboxes() -> None:
    reading = dump()
    assert domains(reading)["backup.example"] == {"is_relay": True}
    main = domains(reading)["example.org"]
    assert (main["max_aliases"], main["max_mailboxes"]) == (400, 10)
    assert main["default_quota"] == 1 << 30
    assert said(reading, "backup.example", "relayed for every recipient")
    assert said(reading, "backup.example", "set its relay host in Postfix")
    found = mailboxes(reading)
    assert set(found) == {f"{one}@example.org" for one in ("anna", "bob", "quiet", "off")}
    assert found["anna@example.org"].display_name == "Anna \\ 'A'"
    assert found["anna@example.org"].quota == 2 << 30
    assert found["anna@example.org"].password == STORED
    assert not found["bob@example.org"].may_send
    assert said(reading, "bob@example.org", "pop3 was disabled")
    assert said(reading, "bob@example.org", "tls_enforce_out")
    assert said(reading, "bob@example.org", "checked by another service")
    quiet = found["quiet@example.org"]
    assert (quiet.enabled, quiet.may_login, quiet.may_send) == (True, False, False)
    assert not found["off@example.org"].enabled
    assert said(reading, "room@example.org is a calendar resource")
    assert said(reading, "attributes is not a JSON object")


def test_aliases() -> None:
    reading = dump(
        table(
            "alias",
            "id address goto domain private_comment public_comment sogo_visible internal "
            "sender_allowed active",
            (1, "anna@example.org", "anna@example.org", "example.org", "", "", 1, 0, 1, 1),
            (2, "info@example.org", "anna@example.org", "example.org", "why", "", 1, 1, 0, 1),
            (3, "@example.org", "bob@example.org", "example.org", "", "", 1, 0, 1, 1),
            (4, "junk@example.org", "null@localhost", "example.org", "", "", 1, 0, 1, 1),
            (5, "learn@example.org", "spam@localhost,anna@example.org", "x", "", "", 1, 0, 1, 0),
        ),
        table(
            "spamalias",
            "address goto validity",
            ("tmp@example.org", "anna@example.org", 2_000_000_000),
        ),
        table("alias_domain", "alias_domain target_domain active", ("b.example", "example.org", 1)),
    )
    assert aliases(reading) == {
        "info@example.org": ("anna@example.org",),
        "learn@example.org": ("anna@example.org",),
        "tmp@example.org": ("anna@example.org",),
    }
    assert alias(reading, "info@example.org").description == "why"
    assert not alias(reading, "info@example.org").members_may_send
    assert said(reading, "info@example.org was for local senders only")
    assert not alias(reading, "learn@example.org").enabled
    assert alias(reading, "tmp@example.org").expires == 2_000_000_000
    assert domains(reading)["example.org"]["catch_all"] == "bob@example.org"
    assert domains(reading)["b.example"] == {"alias_of": "example.org"}
    assert said(reading, "junk@example.org", "discards mail")
    assert said(reading, "learn@example.org", "trains the spam filter")


def test_what_belongs_to_mailboxes() -> None:
    reading = dump(
        table(
            "sender_acl",
            "id logged_in_as send_as external",
            (1, "anna@example.org", "info@example.org", 0),
            (2, "anna@example.org", "@example.org", 0),
            (3, "anna@example.org", "*", 0),
            (4, "anna@example.org", "anna@outside.example", 1),
        ),
        table(
            "app_passwd",
            "id name mailbox domain password imap_access smtp_access dav_access eas_access "
            "pop3_access sieve_access active",
            (1, "phone", "anna@example.org", "example.org", STORED, 1, 1, 1, 0, 0, 0, 1),
            (2, "old", "anna@example.org", "example.org", STORED, 1, 1, 1, 0, 0, 0, 0),
            (3, "phone", "anna@example.org", "example.org", STORED, 1, 0, 0, 0, 0, 0, 1),
        ),
        table(
            "sieve_filters",
            "id username script_desc script_name script_data filter_type",
            (1, "anna@example.org", "Lists", "active", 'require "x";\nkeep;', "prefilter"),
        ),
        table(
            "filterconf",
            "object option value prefid",
            ("anna@example.org", "whitelist_from", "friend@outside.example", 1),
            ("anna@example.org", "whitelist_from", "*@good.example", 2),
            ("anna@example.org", "blacklist_from", "*spam*@bad.example", 3),
            ("anna@example.org", "blacklist_from", "@bad.example", 4),
            ("anna@example.org", "lowspamlevel", "5", 5),
            ("example.org", "whitelist_from", "*@x.example", 6),
        ),
        table(
            "imapsync",
            "id user2 host1 user1 password1 port1 enc1 mins_interval subfolder2 delete1 active",
            (1, "anna@example.org", "imap.x.example", "a", "p", 993, "SSL", "20", "Old", 0, 1),
            (2, "anna@example.org", "imap.y.example", "a", "p", 143, "PLAIN", "x", "", 1, 0),
        ),
        table("bcc_maps", "id local_dest bcc_dest", (1, "anna@example.org", "x@example.org")),
    )
    anna = mailboxes(reading)["anna@example.org"]
    assert anna.rights == ("info@example.org", "@example.org")
    assert said(reading, "sending as anybody")
    assert said(reading, "anna@outside.example is not in a domain of this server")
    assert [(one.name, one.protocols) for one in anna.app_passwords] == [
        ("phone", ("imap", "smtp")),
        ("phone again", ("imap",)),
    ]
    assert said(reading, "'old' of anna@example.org is disabled")
    assert [(one.name, one.active, one.text) for one in reading.scripts] == [
        ("Lists", True, 'require "x";\nkeep;')
    ]
    assert anna.allowed_senders == ("friend@outside.example", "@good.example")
    assert anna.blocked_senders == ("@bad.example",)
    assert said(reading, "blocked senders of anna@example.org", "*spam*@bad.example")
    assert said(reading, "lowspamlevel", "scale")
    assert said(reading, "example.org: filters for a whole domain")
    first, second = anna.remote_accounts
    assert (first.tls, first.interval, first.keep, first.enabled) == ("implicit", 1200, True, True)
    assert first.destination == "Old"
    assert (second.tls, second.interval, second.keep, second.enabled) == (
        "starttls",
        600,
        False,
        False,
    )
    assert said(reading, "bcc_maps")
    assert said(reading, "DKIM keys are in mailcow's Redis")


def test_administrators() -> None:
    reading = dump(
        table(
            "admin",
            "username password superadmin active",
            ("admin", STORED, 1, 1),
            ("anne", STORED, 0, 1),
        ),
        table("domain_admins", "id username domain active", (1, "anne", "example.org", 1)),
    )
    found = {one.login: (one.role, one.domains) for one in reading.document.administrators}
    assert found == {"admin": ("global", ()), "anne": ("domains", ("example.org",))}


def test_a_dump_of_something_else() -> None:
    with pytest.raises(SourceError, match="of mailcow"):
        read(read_dump("x", b"INSERT INTO wp VALUES (1);", LAYOUTS))
