"""Triplets in the requests to policy servers, and stores filled with them.

This module and load/policy.c generate the same triplet for number N: each has another client
network, host name, sender and recipient.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from policyd import records
from policyd.build import open_store
from policyd.greylisting import GreylistRules, TripletRecord
from policyd.identity import host_identity
from policyd.match import parse_address
from policyd.settings import StoreSettings
from policyd.stores import Known, StoreEntry

REQUEST = """\
request=smtpd_access_policy
protocol_state=RCPT
protocol_name=ESMTP
client_address={network}.7
client_name=mx.{word}.example
client_port=40000
reverse_client_name=mx.{word}.example
server_address=198.51.100.1
server_port=25
helo_name=mx.{word}.example
sender=mail@{word}.example
recipient=someone@rcpt.example
recipient_count=0
queue_id=
instance=4f2a.{word}.5dd2.0
size=2048
etrn_domain=
stress=
sasl_method=
sasl_username=
sasl_sender=
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=TLSv1.3
encryption_cipher=TLS_AES_256_GCM_SHA384
encryption_keysize=256
policy_context=

"""
"""The attributes that Postfix 3.7 sends at RCPT."""

SPF_REQUEST = (
    REQUEST.replace("{network}.7", "192.0.2.10")
    .replace("mx.{word}.example", "client.d0.bench.example")
    .replace("mail@{word}.example", "sender@d0.bench.example")
)
"""The same for the mail of `tools.bench.mail`, with a different message for each request."""

AGE = 86_400
"""Seconds since the stored triplets passed: long enough for every server to know them."""

_BATCH = 1_000


@dataclass(frozen=True)
class Attempt:
    """Attributes of a request that greylisting uses."""

    network: str
    word: str

    @property
    def address(self) -> str:
        """Return the client's address."""
        return f"{self.network}.7"

    @property
    def client_name(self) -> str:
        """Return the client's verified host name."""
        return f"mx.{self.word}.example"

    @property
    def sender(self) -> str:
        """Return the address of MAIL FROM."""
        return f"mail@{self.word}.example"

    recipient = "someone@rcpt.example"


def attempt(number: int) -> Attempt:
    """Return the triplet of attempt `number`, the same as in load/policy.c."""
    low = number * 40503 & 0xFFFF
    word, rest = "", number + 26
    while rest:
        word += chr(ord("a") + rest % 26)
        rest //= 26
    return Attempt(f"{11 + (number >> 16) % 100}.{low >> 8}.{low & 0xFF}", word)


def fill_gatepost(settings: StoreSettings, count: int) -> None:
    """Put `count` triplets that have passed into a store of Gatepost."""
    asyncio.run(_fill_gatepost(settings, count))


async def _fill_gatepost(settings: StoreSettings, count: int) -> None:
    store = open_store(settings)
    then = int(time.time()) - AGE
    entry = records.triplet_entry(TripletRecord(then, then + 300, then + 300), GreylistRules())

    def change(known: Known) -> tuple[list[StoreEntry | None], None]:
        return [entry] * len(known), None

    for start in range(0, count, _BATCH):
        attempts = map(attempt, range(start, min(start + _BATCH, count)))
        await store.update([_key(one) for one in attempts], change)
    await store.close()


def _key(one: Attempt) -> str:
    identity = host_identity(parse_address(one.address), one.client_name)
    return records.triplet_key(records.plain, identity, one.sender, one.recipient)


def fill_postgrey(folder: Path, count: int) -> None:
    """Create postgrey's database with `count` triplets that have passed, with its own library."""
    then = int(time.time()) - AGE
    lines = (
        f"{one.network}.0/{one.sender}/{one.recipient}\t{then},{then + 300}\n"
        for one in map(attempt, range(count))
    )
    program = """
        use BerkeleyDB;
        my $db = BerkeleyDB::Btree->new(-Filename => $ARGV[0], -Flags => DB_CREATE) or die $!;
        while (<STDIN>) { chomp; my ($key, $value) = split /\\t/; $db->db_put($key, $value) }
    """
    with subprocess.Popen(
        ["perl", "-e", program, folder / "postgrey.db"], stdin=subprocess.PIPE, text=True
    ) as perl:
        assert perl.stdin is not None
        perl.stdin.writelines(lines)
    if perl.returncode:
        raise subprocess.CalledProcessError(perl.returncode, "perl")


def fill_sqlgrey(database: Path, count: int) -> None:
    """Put `count` senders that have passed into the SQLite file of sqlgrey."""
    then = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - AGE))
    with sqlite3.connect(database) as db:
        db.executemany("INSERT INTO from_awl VALUES (?, ?, ?, ?, ?)", _sqlgrey_rows(count, then))
    db.close()


def _sqlgrey_rows(count: int, then: str) -> Iterator[tuple[str, str, str, str, str]]:
    for one in map(attempt, range(count)):
        user, _, domain = one.sender.partition("@")
        yield user, domain, one.network, then, then
