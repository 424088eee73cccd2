"""A small organization on the pages, with mail, keys and DNS, as the pictures show it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import update

from accounts.directory import (
    administrators,
    aliases,
    app_passwords,
    dkim_keys,
    domains,
    mailboxes,
    sender_rights,
    sieve_rules,
)
from accounts.journal.journal import MailJournal
from accounts.journal.settings import JournalSettings
from accounts.store import schema
from accounts.store.seal import SecretSeal
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Write
from gatepost.journal.record import JournalRecord
from gatepost.key_pair import new_key
from msgauth.keys import SigningKey
from tests.daemon.accounts_process import AccountsDaemon, quick_hash
from tests.daemon.doveadm_server import KEY, DoveadmServer
from tests.testbed.dns import DnsServer
from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.toml import document

HOSTNAME, DOMAIN = "mail.example.org", "example.org"
ROOT, ANNA = "root", f"anna@{DOMAIN}"
_SEAL = b"k" * 32
_NAMES = (
    *("Anna Ahlers", "Ben Brook", "Clara Cole", "David Dahl", "Emma Ernst", "Felix Frost"),
    *("Greta Grant", "Hugo Hill", "Ida Ivens", "Jonas Jung", "Klara Klein", "Leo Lang"),
)
_MAIN, _NEXT = "s2026", "s2027"
_ZONE = f"""
["{DOMAIN}"]
MX = ["10 {HOSTNAME}"]
TXT = "v=spf1 mx a:old.{DOMAIN} ~all"

["{HOSTNAME}"]
A = "192.0.2.25"
AAAA = "2001:db8::25"

["old.{DOMAIN}"]
A = "192.0.2.24"

["25.2.0.192.in-addr.arpa"]
PTR = "{HOSTNAME}"

["{ipaddress.ip_address("2001:db8::25").reverse_pointer}"]
PTR = "{HOSTNAME}"
"""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run it below a folder, and return the address of the pages."""
    port = free_port()
    secret, key = folder / "accounts.key", folder / "doveadm.key"
    for file, text in ((secret, base64.b64encode(_SEAL)), (key, KEY.encode())):
        file.write_bytes(text)
        file.chmod(0o600)
    pairs = {selector: new_key("rsa") for selector in (_MAIN, _NEXT)}
    with DoveadmServer() as doveadm, DnsServer(_ZONE) as dns:
        doveadm.usage = {ANNA: 131_072}
        doveadm.start()
        record = SigningKey.parse(pairs[_MAIN]).public_record()
        dns.add(f"{_MAIN}._domainkey.{DOMAIN}", "TXT", record)
        daemon = AccountsDaemon(folder)
        daemon.write(
            {
                "database": {"url": daemon.database.url, "key_file": str(secret)},
                "http_listen": f"inet:{port}@{LOOPBACK}",
                "pages": {"enabled": True},
                "dovecot": {"doveadm_url": [doveadm.url], "doveadm_key_file": str(key)},
            }
        )
        accounts = daemon.config.read_text()
        around = {"hostname": HOSTNAME, "dns": {"nameservers": [dns.address]}}
        daemon.config.write_text(f"{document(around)}\n{accounts}")
        daemon.change(_people)
        seal = SecretSeal([_SEAL])
        daemon.change(lambda write: _keys(write, seal, pairs))
        asyncio.run(_mail(daemon.database))
        with daemon:
            yield f"http://{LOOPBACK}:{port}"


def _people(write: Write) -> None:
    secret = quick_hash()
    domains.add(write, DOMAIN, description="The organization", default_quota=2_000_000_000)
    domains.add(write, "example.net", alias_of=DOMAIN, description="Our name before 2020")
    domains.add(write, "shop.example", description="Orders and invoices")
    administrators.add(write, ROOT, role="global", password=secret)
    for name in _NAMES:
        address = f"{name.partition(' ')[0].lower()}@{DOMAIN}"
        mailboxes.add(write, address, display_name=name, password=secret)
    # owners see no mail from before
    write.connection.execute(update(schema.mailbox).values(created=write.now - 100 * 86_400))
    mailboxes.add(write, "orders@shop.example", display_name="Orders", password=secret)
    aliases.add(write, f"info@{DOMAIN}", targets=[ANNA, f"ben@{DOMAIN}"])
    aliases.add(write, f"press@{DOMAIN}", targets=[ANNA])
    sender_rights.add(write, ANNA, f"press@{DOMAIN}")
    for name in ("Phone", "Laptop"):
        app_passwords.add(write, ANNA, name=name, password=secret)
    for name, header, text, folder in (
        ("Postfix users", "List-Id", "postfix-users", "Lists/Postfix"),
        ("Invoices", "Subject", "invoice", "Invoices"),
        ("Orders of the shop", "From", "orders@shop.example", "Shop"),
    ):
        rule = {
            "match": "all",
            "conditions": [
                {"kind": "header", "names": [header], "match": "contains", "values": [text]}
            ],
            "actions": [{"kind": "fileinto", "mailbox": folder}, {"kind": "stop"}],
        }
        sieve_rules.add(write, ANNA, name, rule=rule)


def _keys(write: Write, seal: SecretSeal, pairs: dict[str, bytes]) -> None:
    for selector, private in pairs.items():
        dkim_keys.add(write, seal, DOMAIN, selector, private=private)
    dkim_keys.activate(write, DOMAIN, _MAIN)


async def _mail(database: DatabaseSettings) -> None:
    """Keep the decisions about three mails: one was delayed, one is spam, one was refused."""
    now = time.time()
    journal = MailJournal(JournalSettings, database, lambda: "+")

    def mail(number: int, sender: str, client: str, name: str) -> JournalRecord:
        return JournalRecord(
            now,
            "milters",
            "accept",
            queue_id=f"4d8Kx{number}2QzNz1",
            message_id=f"<20261127.{number}@{name}>",
            client=client,
            client_name=name,
            sender=sender,
            recipients=(ANNA,),
            size=24_300 + 1000 * number,
            total=1,
            details={"spf": "pass", "dkim": "pass", "dmarc": "pass"},
        )

    first = mail(1, "carol@partner.example", "192.0.2.70", "mx.partner.example")
    asked = first._replace(daemon="policyd", queue_id="", message_id="", size=0)
    spam = mail(2, "win@prizes.example", "198.51.100.9", "host9.prizes.example")
    stranger = asked._replace(sender="bank@bank.example", client="203.0.113.66", client_name="")
    given = {"reply": "250 2.0.0 Saved"}
    records = [
        stranger._replace(
            action="reject",
            reason="dnslist-reject",
            details={"findings": "dnslists: listed at zen.list.example"},
        ),
        spam,
        spam._replace(
            daemon="delivery",
            action="deliver",
            details={"verdict": "junk", "score": "9.3", **given},
        ),
        asked._replace(
            action="defer",
            reason="greylist-new",
            details={"findings": "greylist: new (wait 300 s)", "reply": "450 4.7.1 Try again"},
        ),
        asked._replace(action="pass", details={"findings": "greylist: passed (after 344 s)"}),
        first,
        first._replace(
            daemon="delivery",
            action="deliver",
            details={"verdict": "ham", "score": "0.4", **given},
        ),
    ]
    moments = (-900, -620, -619, -400, -56, -55, -54)
    try:
        await journal.add(
            [one._replace(at=now + moment) for one, moment in zip(records, moments, strict=True)]
        )
    finally:
        await journal.close()
