"""The DMARC policy that applies to a domain, and whether its reports may be sent."""

from __future__ import annotations

from accounts.dnscheck.expectations import Expectations
from accounts.dnscheck.finding import DnsFinding, FindingLevel, listed, unanswered
from msgauth.ask import Lookup, Rcode, ask
from msgauth.dmarc.record import Policy, is_record
from msgauth.dmarc.walk import DnsError, Published, Walker, select_policy
from msgauth.domain import DomainError, to_alabels


def check_dmarc_record(domain: str, expected: Expectations) -> Lookup[tuple[DnsFinding, ...]]:
    """Check the record that a walk from the domain finds (RFC 9989 section 4.10)."""
    name = f"_dmarc.{domain}"
    wanted: tuple[str, ...] = (expected.dmarc_record(),)
    answer = yield from ask(name, "TXT")
    walker = Walker()
    try:
        path = yield from walker.walk(domain)
    except DnsError:
        return (unanswered("DMARC", name, "TXT", wanted),)
    own = tuple(text for text in answer.records if is_record(text))
    policy = select_policy(domain, path)
    level, text = _judge(domain, own, policy, expected)
    if level is FindingLevel.OK and not own:
        wanted = ()  # a record above does it
    findings = [DnsFinding("DMARC", name, "TXT", level, text, own, wanted)]
    if policy is not None:
        for host in _report_domains(policy):
            finding = yield from _check_destination(walker, policy.domain, host)
            if finding is not None:
                findings.append(finding)
    return tuple(findings)


def _judge(
    domain: str, own: tuple[str, ...], policy: Published | None, expected: Expectations
) -> tuple[FindingLevel, str]:
    if len(own) > 1:  # RFC 9989 section 4.10
        return (
            FindingLevel.ERROR,
            f"{domain} has {len(own)} DMARC records; with more than one, none counts.",
        )
    if policy is None:
        return FindingLevel.ERROR, f"{domain} has no DMARC record, so forgeries of its mail pass."
    if not policy.record.usable:
        return (
            FindingLevel.ERROR,
            f"The DMARC record of {policy.domain} is broken, so forgeries pass.",
        )
    record = policy.record
    asked = record.p if policy.domain == domain else record.sp or record.p
    if record.testing:
        asked = asked.one_level_down()
    where = "" if policy.domain == domain else f" by the record of {policy.domain}"
    if asked.severity < Policy(expected.dmarc_policy).severity:
        return FindingLevel.WARNING, (
            f"DMARC asks for {asked.value} when mail of {domain} fails{where}, "
            f"less than the {expected.dmarc_policy} that is wished."
        )
    weaker = [p for p in (record.sp, record.np) if p and p.severity < asked.severity]
    if policy.domain == domain and weaker:
        return FindingLevel.WARNING, (
            f"DMARC asks for {weaker[0].value} when mail of a name below {domain} fails, "
            f"and for {asked.value} when mail of {domain} does."
        )
    missing = [
        uri
        for uri in expected.dmarc_reports
        if uri.lower() not in {found.lower() for found in record.rua}
    ]
    if missing:
        return (
            FindingLevel.WARNING,
            f"The DMARC record of {policy.domain} sends {listed(missing)} no report.",
        )
    return FindingLevel.OK, f"DMARC asks for {asked.value} when mail of {domain} fails{where}."


def _report_domains(policy: Published) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for uri in policy.record.rua:
        if uri.lower().startswith("mailto:"):
            try:
                found[to_alabels(uri.partition("?")[0].rpartition("@")[2])] = None
            except DomainError:
                continue
    return tuple(found)


def _check_destination(walker: Walker, domain: str, host: str) -> Lookup[DnsFinding | None]:
    """Check that another domain accepts reports about this one (RFC 9990)."""
    name, wanted = f"{domain}._report._dmarc.{host}", ("v=DMARC1;",)
    try:
        ours = yield from walker.organizational_domain(domain)
        theirs = yield from walker.organizational_domain(host)
    except DnsError:
        return unanswered("DMARC", name, "TXT", wanted)
    if ours == theirs:
        return None
    answer = yield from ask(name, "TXT")
    if answer.rcode is Rcode.TEMPFAIL:
        return unanswered("DMARC", name, "TXT", wanted)
    if any(map(is_record, answer.records)):
        level, text = FindingLevel.OK, f"{host} takes the DMARC reports about {domain}."
    else:
        level = FindingLevel.WARNING
        text = f"{host} does not say that it takes DMARC reports about {domain}, so none are sent."
    return DnsFinding("DMARC", name, "TXT", level, text, answer.records, wanted)
