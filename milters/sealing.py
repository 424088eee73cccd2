"""The ARC set added to a message from outside (RFC 8617 section 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milters.fragile import FragileParts
from milters.rules import Rules
from msgauth.arc import ArcResult, ArcSealer, results_payload
from msgauth.dkim import BodyHashes, SigningError
from msgauth.message import HeaderField
from msgauth.results import Finding


class Sealing:
    """Prepared when the header is complete; uses its part of `hashes`, and `fragile` gets the
    body."""

    def __init__(self, rules: Rules, fields: Sequence[HeaderField], hashes: BodyHashes) -> None:
        self._authserv_id = rules.authserv_id
        spec = rules.signing.seal_spec()
        self._sealer: ArcSealer | None = None
        self.fragile: FragileParts | None = None
        if spec is not None:
            self._sealer = ArcSealer(spec, fields, hashes)
            self.fragile = FragileParts(fields, [spec.headers])

    def finish(
        self, now: int, chain: ArcResult | None, findings: Iterable[Finding]
    ) -> tuple[Sequence[HeaderField], str]:
        """Return the new ARC set and `sealed`, or no set and the reason id.

        `chain` is the result of the existing chain, `findings` the results to record in the set.
        """
        if self._sealer is None or chain is None:
            return (), "no-key"
        payload = results_payload(self._authserv_id, findings)
        try:
            fields = self._sealer.finish(now, chain, payload)
        except SigningError:
            return (), "unsealable"
        return fields, "sealed" if fields else "chain-closed"
