"""Names by which mail programs find a domain's servers: SRV, autoconfig and autodiscover."""

from __future__ import annotations

from accounts.dnscheck.expectations import Service, ServiceName
from accounts.dnscheck.finding import DnsFinding, FindingLevel, listed, unanswered
from msgauth.ask import Answer, Lookup, Rcode, ask


def check_service(
    domain: str, service: ServiceName, wish: Service | None
) -> Lookup[tuple[DnsFinding, ...]]:
    """Check the SRV record of a service (RFC 6186 section 3, RFC 2782)."""
    name = f"_{service}._tcp.{domain}"
    # RFC 6186 section 3.4: the target "." says that the service is not there
    wanted = "0 0 0 ." if wish is None else f"0 1 {wish.port} {wish.host}"
    answer = yield from ask(name, "SRV")
    if answer.rcode is Rcode.TEMPFAIL:
        return (unanswered("SRV", name, "SRV", (wanted,)),)
    found = {_target(record) for record in answer.records}
    if found == {_target(wanted)}:
        level = FindingLevel.OK
        text = (
            f"Mail programs find {service} at {wish.host}, port {wish.port}."
            if wish
            else f"Mail programs are told that there is no {service}."
        )
    elif not found:
        level, text = (
            FindingLevel.WARNING,
            f"Mail programs find no record of {service} for {domain}.",
        )
    else:
        level = FindingLevel.WARNING
        text = f"Mail programs are sent to another place for {service} of {domain}."
    return (DnsFinding("SRV", name, "SRV", level, text, answer.records, (wanted,)),)


def _target(record: str) -> tuple[str, str]:
    """Return the host and port, which is 0 for no host."""
    port, _, host = record.rpartition(" ")
    host = host.lower().removesuffix(".")
    return host, port.rpartition(" ")[2] if host else "0"


def check_web_name(name: str, host: str | None) -> Lookup[tuple[DnsFinding, ...]]:
    """Check that a name leads to the web server `host`, or to any if it is None."""
    if name == host:
        return ()
    wanted = (host,) if host else ()
    alias = yield from ask(name, "CNAME")
    if alias.rcode is Rcode.TEMPFAIL:
        return (unanswered("web name", name, "CNAME", wanted),)
    ours: set[str] = set()
    theirs: list[str] = []
    if [record.lower().removesuffix(".") for record in alias.records] != [host]:
        for rdtype in ("A", "AAAA"):
            found: Answer = yield from ask(name, rdtype)
            wished: Answer = yield from ask(host or name, rdtype)
            if Rcode.TEMPFAIL in (found.rcode, wished.rcode):
                return (unanswered("web name", name, rdtype, wanted),)
            theirs += found.records
            ours.update(wished.records)
        if not theirs:
            text = f"{name} has no address."
            return (
                DnsFinding(
                    "web name", name, "CNAME", FindingLevel.WARNING, text, alias.records, wanted
                ),
            )
    others = [address for address in theirs if address not in ours]
    level, text = FindingLevel.OK, f"{name} leads to {host or listed(theirs)}."
    if others:
        level, text = FindingLevel.WARNING, f"{name} leads to {listed(others)} and not to {host}."
    return (DnsFinding("web name", name, "CNAME", level, text, alias.records, wanted),)
