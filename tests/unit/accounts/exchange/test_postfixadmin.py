# ruff: noqa: S608 -- dumps are made of pieces; nothing executes them but the sqlite3 of a test
import sqlite3
from pathlib import Path

import pytest

from accounts.exchange.databases import read_tables
from accounts.exchange.notes import Reading, SourceError
from accounts.exchange.postfixadmin import LAYOUTS, read
from accounts.exchange.sql_dump import read_dump
from tests.unit.accounts.exchange.reading import (
    BCRYPT,
    CRYPT,
    HASH,
    alias,
    aliases,
    domains,
    mailboxes,
    said,
    whole,
)

TIMES = "'2019-03-01 10:00:00','2021-01-02 03:04:05'"


def dump(statements: str) -> Reading:
    text = f"-- MySQL dump 10.19\n{statements}"
    return whole(read(read_dump("dump.sql", text.encode(), LAYOUTS)))


DOMAINS = f"""\
INSERT INTO `domain` VALUES ('ALL','',0,0,0,0,'','0',{TIMES},'1',0),
('example.org','Main; it\\'s "ours"',0,0,0,0,'virtual','0',{TIMES},'1',0),
('example.net','<b>',10,5,1024,2048,'virtual','0',{TIMES},'1',90),
('backup.example','',0,0,0,0,'relay:[192.0.2.7]','1',{TIMES},'1',0),
('none.example','',-1,-1,-1,0,'lmtp:unix:x','0',{TIMES},'1',0),
('smtp.example','',0,0,0,0,'smtp','0',{TIMES},'1',0),
('old.example','',0,0,0,0,'virtual','0',{TIMES},'0',0);
"""


def mailbox(address: str, password: str, quota: str = "0", active: str = "1") -> str:
    local, _, domain = address.partition("@")
    return (
        "INSERT INTO `mailbox` VALUES ("
        f"'{address}','{password}','N. \\'{local}\\'','x/',{quota},'{local}','{domain}',"
        f"{TIMES},{active});\n"
    )


def alias_row(address: str, goto: str, active: str = "1") -> str:
    domain = address.partition("@")[2]
    return f"INSERT INTO `alias` VALUES ('{address}','{goto}','{domain}',{TIMES},{active});\n"


def test_domains() -> None:
    reading = dump(DOMAINS)
    assert domains(reading) == {
        "example.org": {"description": 'Main; it\'s "ours"'},
        "example.net": {
            "description": "<b>",
            "max_aliases": 10,
            "max_mailboxes": 5,
            "max_quota": 1 << 30,
        },
        "backup.example": {"is_relay": True, "transport": "relay:[192.0.2.7]"},
        "none.example": {"max_aliases": 0, "max_mailboxes": 0},
        "smtp.example": {"transport": "smtp:"},
        "old.example": {"enabled": False},
    }
    assert said(reading, "dump.sql:4", "all its mailboxes together")
    assert said(reading, "dump.sql:4", "no expiry of passwords")
    assert said(reading, "none.example", "delivers on the old server")


def test_mailboxes_and_forwarding() -> None:
    reading = dump(
        DOMAINS
        + mailbox("Anna@example.org", BCRYPT)
        + mailbox("bob@example.org", f"{{BLF-CRYPT}}{BCRYPT}", "102400000")
        + mailbox("off@example.org", CRYPT, "1024000", "0")
        + mailbox("gone@example.org", CRYPT, active="0")
        + mailbox("md5@example.org", "8073950958b1673f207fec8f484efc7d")
        + mailbox("bad@example.org", "{UNKNOWN}x")
        + mailbox("quota@example.org", CRYPT, "'x'")
        + alias_row("anna@example.org", "anna@example.org")
        + alias_row("bob@example.org", "bob@example.org,bob@outside.example")
        + alias_row("off@example.org", "anna@example.org")
        + alias_row("gone@example.org", "gone@example.org")
    )
    found = mailboxes(reading)
    assert found["anna@example.org"].password == f"{{BLF-CRYPT}}{BCRYPT}"
    assert found["anna@example.org"].display_name == "N. 'Anna'"
    assert found["anna@example.org"].quota is None
    assert found["bob@example.org"].quota == 102_400_000
    assert found["bob@example.org"].keep_copy
    assert found["bob@example.org"].forwards == ("bob@outside.example",)
    # not active, but PostfixAdmin forwards its mail all the same
    off = found["off@example.org"]
    assert (off.enabled, off.may_login, off.may_send) == (True, False, False)
    assert (off.forwards, off.keep_copy) == (("anna@example.org",), False)
    assert not found["gone@example.org"].enabled
    assert found["md5@example.org"].password == "{PLAIN-MD5}8073950958b1673f207fec8f484efc7d"
    assert found["bad@example.org"].password is None
    assert said(reading, "bad@example.org", "nobody can log in")
    assert "quota@example.org" not in found
    assert said(reading, "a row of table mailbox: quota is not a number")
    assert not reading.document.aliases


def test_aliases() -> None:
    reading = dump(
        DOMAINS
        + mailbox("anna@example.org", CRYPT)
        + alias_row("team@example.org", "anna@example.org,friend@outside.example")
        + alias_row("gone@example.org", "anna@example.org", "0")
        + alias_row("@example.net", "anna@example.org")
        + alias_row("away@example.net", "anna@example.org,away#example.net@autoreply.example.net")
        + f"INSERT INTO alias_domain VALUES ('example.com','example.org',{TIMES},1);"
        + "INSERT INTO vacation VALUES ('away@example.net','s','b','','example.net','x',1);"
    )
    assert aliases(reading) == {
        "team@example.org": ("anna@example.org", "friend@outside.example"),
        "gone@example.org": ("anna@example.org",),
        "away@example.net": ("anna@example.org",),
    }
    assert not alias(reading, "gone@example.org").enabled
    assert domains(reading)["example.net"]["catch_all"] == "anna@example.org"
    assert domains(reading)["example.com"] == {"alias_of": "example.org"}
    assert said(reading, "away@example.net", "vacation reply is not imported")
    assert said(reading, "away@example.net", "the text of its vacation reply")


def test_administrators() -> None:
    reading = dump(
        DOMAINS
        + f"INSERT INTO admin VALUES ('super@example.org','{CRYPT}',{TIMES},1,1,'','','','x'),"
        f"('old@example.org','{CRYPT}',{TIMES},1,0,'','','','x'),"
        f"('some@example.org','{CRYPT}',{TIMES},0,0,'','','','x');"
        "INSERT INTO domain_admins VALUES (1,'old@example.org','ALL','x',1),"
        "(2,'some@example.org','example.net','x',1),(3,'ghost@example.org','example.net','x',1);"
    )
    found = {one.login: one for one in reading.document.administrators}
    assert found["super@example.org"].role == "global"
    assert found["old@example.org"].role == "global"
    some = found["some@example.org"]
    assert (some.role, some.domains, some.enabled) == ("domains", ("example.net",), False)
    assert some.password == HASH
    assert said(reading, "ghost@example.org administers example.net, but is not an administrator")


def test_fetchmail_and_app_passwords() -> None:
    columns = (
        "mailbox,`src_server`,`src_user`,`src_password`,`src_folder`,`poll_time`,`keep`,`protocol`,"
        "`usessl`"
    )
    reading = dump(
        DOMAINS + mailbox("anna@example.org", CRYPT) + f"INSERT INTO fetchmail ({columns}) VALUES "
        "('anna@example.org','imap.outside.example','anna','c2VjcmV0','INBOX',10,1,'IMAP',1),"
        "('anna@example.org','x.example','anna','%%','INBOX',10,1,'IMAP',1),"
        "('anna@example.org','x.example','anna','c2VjcmV0','INBOX',10,1,'ETRN',1);"
        "INSERT INTO mailbox_app_password (username, description, password_hash) VALUES "
        f"('anna@example.org','phone','{CRYPT}');"
    )
    (account,) = mailboxes(reading)["anna@example.org"].remote_accounts
    assert (account.host, account.port, account.tls) == ("imap.outside.example", 993, "implicit")
    assert (account.secret.clear, account.interval, account.keep) == ("secret", 600, True)
    assert said(reading, "src_password is not base64")
    assert said(reading, "protocol is neither")
    (phone,) = mailboxes(reading)["anna@example.org"].app_passwords
    assert (phone.name, phone.password) == ("phone", HASH)


def test_limits_that_are_exceeded_already() -> None:
    """The datastore holds to limits, so that an import would be refused."""
    rows = "".join(mailbox(f"u{number}@example.net", CRYPT, "5000000000") for number in range(7))
    reading = dump(DOMAINS + rows)
    assert domains(reading)["example.net"]["max_mailboxes"] == 7
    assert domains(reading)["example.net"]["max_quota"] == 5_000_000_000
    assert said(reading, "max_mailboxes of example.net is raised from 5 to 7")
    reading = dump(DOMAINS + mailbox("a@example.net", CRYPT))
    assert "max_quota" not in domains(reading)["example.net"]
    assert said(reading, "mailboxes without a quota")
    reading = dump(DOMAINS + mailbox("a@backup.example", CRYPT))
    assert not reading.document.mailboxes
    assert said(reading, "backup.example is relayed to another server")


POSTGRESQL = f"""\
-- PostgreSQL database dump
COPY public.domain (domain, description, maxquota, transport, backupmx, active) FROM stdin;
example.org\tTab\\tand \\\\\t0\t\\N\tf\tt
\\.
COPY public.mailbox (username, password, name, quota, active) FROM stdin;
anna@example.org\t{CRYPT}\tÄnna\t0\tt
\\.
COPY public.alias (address, goto, domain, active) FROM stdin;
anna@example.org\tanna@example.org,x@outside.example\texample.org\tt
\\.
"""


def test_a_dump_of_postgresql() -> None:
    reading = whole(read(read_dump("dump.sql", POSTGRESQL.encode(), LAYOUTS)))
    assert mailboxes(reading)["anna@example.org"].display_name == "Änna"
    assert mailboxes(reading)["anna@example.org"].forwards == ("x@outside.example",)
    assert domains(reading)["example.org"]["description"] == "Tab and \\"


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    path = tmp_path / "postfixadmin.db"
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE domain (domain TEXT, description TEXT, active INTEGER);"
        "INSERT INTO domain VALUES ('example.org', 'Main', 1);"
        "CREATE TABLE mailbox (username TEXT, password TEXT, name TEXT, quota INT, active INT);"
        f"INSERT INTO mailbox VALUES ('anna@example.org', '{CRYPT}', 'Anna', 5, 1);"
        "INSERT INTO mailbox VALUES (CAST(X'ff' AS TEXT), 'x', '', 0, 1);"
    )
    database.close()
    return path


def test_a_file_of_sqlite_and_its_dump_say_the_same(sqlite_file: Path) -> None:
    for source in (str(sqlite_file), f"sqlite:///{sqlite_file}"):
        reading = whole(read(read_tables(source, LAYOUTS)))
        assert mailboxes(reading)["anna@example.org"].quota == 5
        assert said(reading, "username is not UTF-8")
    database = sqlite3.connect(sqlite_file)
    database.execute("DELETE FROM mailbox WHERE quota = 0")
    text = "\n".join(database.iterdump())
    database.close()
    path = sqlite_file.with_suffix(".sql")
    path.write_text(text)
    assert read(read_tables(str(path), LAYOUTS)).document == reading.document


def test_reading_a_file_of_sqlite_changes_nothing(sqlite_file: Path) -> None:
    before = sqlite_file.read_bytes()
    read_tables(str(sqlite_file), LAYOUTS)
    assert sqlite_file.read_bytes() == before
    assert list(sqlite_file.parent.iterdir()) == [sqlite_file]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("mysql://u:geheim@host/postfix", "mysqldump --single-transaction"),
        ("mariadb+pymysql://u:geheim@host/postfix", "mysqldump"),
        ("http://u:geheim@host/postfix", "sqlite:///PATH or postgresql"),
        ("/nowhere/dump.sql", "No such file"),
        ("sqlite:////nowhere/x.db", "unable to open"),
    ],
)
def test_sources_that_are_not_read(source: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        read_tables(source, LAYOUTS)
    assert "geheim" not in str(caught.value)


def test_a_broken_file_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(SourceError, match=r"x\.db: "):
        read_tables(str(path), LAYOUTS)


def test_a_dump_of_something_else() -> None:
    with pytest.raises(SourceError, match="tables domain and mailbox of PostfixAdmin are missing"):
        dump("INSERT INTO `wp_posts` VALUES (1,'x');")
