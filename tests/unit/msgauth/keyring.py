"""The test keys of this repository, parsed once. They protect nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gatepost.dns import Zone
from msgauth.ask import Answer, Lookup, Question, Rcode, T
from msgauth.drive import solve
from msgauth.keys import SigningKey

FOLDER = Path(__file__).parents[2] / "vectors" / "keys"

RSA = SigningKey.parse((FOLDER / "rsa2048.pem").read_bytes())
RSA_1024 = SigningKey.parse((FOLDER / "rsa1024-pkcs1.pem").read_bytes())
ED25519 = SigningKey.parse((FOLDER / "ed25519.pem").read_bytes())

NOW = 1_700_000_000
"""The time in all tests that need one."""


def run(lookup: Lookup[T], zone: Zone | Mapping[str, str | Answer] | None = None) -> T:
    """Drive `lookup` with a zone, or with a dict of one TXT record or one whole answer a name."""
    if isinstance(zone, Zone):
        return solve(lookup, zone.resolve)
    records = {} if zone is None else zone

    def resolve(question: Question) -> Answer:
        found = records.get(question.name, Answer(Rcode.NXDOMAIN))
        return Answer(Rcode.OK, (found,)) if isinstance(found, str) else found

    return solve(lookup, resolve)
