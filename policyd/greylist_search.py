"""Records of the greylist as administrators see them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from policyd import records
from policyd.greylisting import ClientRecord, GreylistRules, TripletRecord
from policyd.stores import Store


@dataclass(frozen=True)
class ExportedRecord:
    """A triplet or a client, as it is listed and exported."""

    key: str
    parts: tuple[str, ...]
    known: TripletRecord | ClientRecord
    expires: int

    @property
    def kind(self) -> str:
        """``triplet`` or ``client``."""
        return "triplet" if isinstance(self.known, TripletRecord) else "client"

    def state(self, rules: GreylistRules, now: int) -> str:
        """Describe the state of the next attempt in a few words."""
        if isinstance(self.known, ClientRecord):
            if 0 < rules.auto_allow_after <= self.known.returns:
                return "allowed"
            times = self.known.returns
            return f"retried {times} {'time' if times == 1 else 'times'}"
        if self.known.passed:
            return "passed"
        wait = self.known.first + rules.delay - now
        return f"passes in {wait} s" if wait > 0 else "may retry"

    def as_json(self) -> dict[str, Any]:
        """Return the record in the form that export writes and import reads."""
        names = ("client", "sender", "recipient")[: len(self.parts)]
        return {
            "kind": self.kind,
            **dict(zip(names, self.parts, strict=True)),
            **self.known._asdict(),
            "expires": self.expires,
        }


async def scan(store: Store, kinds: Iterable[str]) -> AsyncIterator[ExportedRecord]:
    """Yield every record of the kinds, in no order."""
    prefixes = {"triplet": records.TRIPLET, "client": records.CLIENT}
    for kind in kinds:
        async for key, entry in store.scan(prefixes[kind]):
            known: TripletRecord | ClientRecord | None = (
                records.read_triplet(entry) if kind == "triplet" else records.read_client(entry)
            )
            if known is not None:
                yield ExportedRecord(key, tuple(key.split("\n")[1:]), known, entry.expires)
