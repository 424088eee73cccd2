"""DNS server that accepts DNS UPDATEs of TXT records (RFC 2136), signed with TSIG (RFC 8945).

It does enough of a primary to test a client's requests and its handling of each answer: it checks
prerequisites, and refuses requests without the right signature in the same way as BIND.
"""

from __future__ import annotations

from collections.abc import Iterable

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from gatepost.dns import Zone
from gatepost.dns.names import to_text
from tests.testbed.dns import DnsServer
from tests.testbed.ports import LOOPBACK


class Primary(DnsServer):
    """The primary of the zone `origin`; `keys` are names and secrets of HMAC-SHA256 keys.

    Without keys it accepts updates from any client.
    """

    def __init__(
        self,
        zone: Zone | str,
        origin: str,
        keys: dict[str, bytes] | None = None,
        *,
        host: str = LOOPBACK,
        port: int = 0,
    ) -> None:
        self.origin = dns.name.from_text(origin)
        self.updates = 0
        self._keyring = {
            dns.name.from_text(name): dns.tsig.Key(name, secret)
            for name, secret in (keys or {}).items()
        }
        super().__init__(zone, host=host, port=port)

    def _replies(self, wire: bytes, *, tcp: bool) -> Iterable[bytes]:
        if len(wire) < 12 or dns.opcode.from_flags(int.from_bytes(wire[2:4], "big")) != (
            dns.opcode.UPDATE
        ):
            yield from super()._replies(wire, tcp=tcp)
            return
        yield self._update(wire)

    def _update(self, wire: bytes) -> bytes:
        try:
            request = dns.message.from_wire(wire, keyring=self._keyring)
        except dns.message.UnknownTSIGKey:
            return self._refuse_signature(wire, dns.rcode.BADKEY)
        except dns.tsig.BadSignature:
            return self._refuse_signature(wire, dns.rcode.BADSIG)
        assert isinstance(request, dns.update.UpdateMessage)
        response = dns.message.make_response(request)
        if self._keyring and not request.had_tsig:
            response.set_rcode(dns.rcode.REFUSED)
        elif request.zone[0].name != self.origin:
            response.set_rcode(dns.rcode.NOTAUTH)
        else:
            response.set_rcode(self._apply(request))
        return response.to_wire()

    def _refuse_signature(self, wire: bytes, error: dns.rcode.Rcode) -> bytes:
        """Return NOTAUTH with the error in an unsigned TSIG record (RFC 8945 section 5.2)."""
        request = dns.message.from_wire(wire, continue_on_error=True, keyring=False)
        assert request.tsig is not None
        response = dns.message.make_response(request)
        response.set_rcode(dns.rcode.NOTAUTH)
        rdata = request.tsig[0].replace(mac=b"", error=error)
        response.tsig = dns.rrset.from_rdata(request.tsig.name, 0, rdata)
        return response.to_wire()

    def _apply(self, request: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        with self._lock:
            zone = self._zone
        for rrset in request.update:
            if not rrset.name.is_subdomain(self.origin):
                return dns.rcode.NOTZONE
        # RFC 2136 section 3.2.5
        wanted: dict[str, set[str]] = {}
        for rrset in request.prerequisite:
            name = rrset.name.to_text(omit_final_dot=True)
            there = zone.entries[name].records.get("TXT", ()) if name in zone.entries else ()
            if rrset.deleting == dns.rdataclass.NONE and there:
                return dns.rcode.YXRRSET
            if rrset.deleting is None:
                wanted.setdefault(name, set()).update(to_text(rdata) for rdata in rrset)
        for name, records in wanted.items():
            there = zone.entries[name].records.get("TXT", ()) if name in zone.entries else ()
            if records != set(there):
                return dns.rcode.NXRRSET
        # section 3.4.2
        for rrset in request.update:
            name = rrset.name.to_text(omit_final_dot=True)
            if rrset.deleting == dns.rdataclass.ANY:
                self.remove(name)
            else:
                self.add(name, "TXT", *(to_text(rdata) for rdata in rrset), ttl=rrset.ttl)
        self.updates += 1
        return dns.rcode.NOERROR
