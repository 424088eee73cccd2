"""The same records and clients, judged by pyspf: an independent reading of RFC 7208."""

from __future__ import annotations

import ipaddress
from typing import Any, cast

import spf
from hypothesis import assume, given
from hypothesis import strategies as st

from gatepost.dns import Zone
from gatepost.dns.zone import Entry
from msgauth.ask import Question, Rcode, RdType
from msgauth.drive import solve
from msgauth.mail_address import MailAddress
from msgauth.spf import check_mail_from

NAMES = ["a.example", "b.example", "c.example"]
CLIENTS = ["192.0.2.1", "192.0.2.200", "203.0.113.9", "2001:db8::1", "2001:db8:1::1"]
SOME_TERMS = """
    all -all ~all ?all a mx -a ~mx a:a.example a:b.example/24 mx:c.example a//48 mx/24//32
    include:a.example include:b.example -include:c.example exists:%{i}.e.example
    exists:%{l}.%{d}.e.example ip4:192.0.2.0/24 -ip4:203.0.113.9 ip6:2001:db8::/32 ~ip6:::/0
    redirect=a.example redirect=c.example unknown=%{d} a:a ip4:192.0.2 ip6:x mx/33 moo
    exists:%{l1r-}.e.example a:%{d2}
"""
TERMS = st.sampled_from(SOME_TERMS.split())
# each term once: pyspf refuses an unknown modifier that is repeated, RFC 7208 section 6 ignores it
TABLES = st.fixed_dictionaries(
    {
        "TXT": st.lists(TERMS, max_size=5, unique=True).map(
            lambda terms: (" ".join(["v=spf1", *terms]),)
        )
    },
    optional={
        "A": st.lists(st.sampled_from(CLIENTS[:3]), min_size=1, max_size=3, unique=True),
        "AAAA": st.lists(st.sampled_from(CLIENTS[3:]), min_size=1, max_size=2, unique=True),
        "MX": st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(
            lambda hosts: [f"10 {host}" for host in hosts]
        ),
    },
)
EXISTING = Entry({"A": ("127.0.0.2",)})


class Oracle(spf.query):  # type: ignore[misc]  # pyspf is not typed
    """pyspf, asking a zone."""

    zone: Zone

    def dns(self, name: str, qtype: str, *_: object, **__: object) -> list[Any]:
        if qtype == "SPF":
            return []
        answer = self.zone.resolve(Question(name, cast(RdType, qtype)))
        if answer.rcode is Rcode.TEMPFAIL:
            raise spf.TempError("no answer")
        if qtype == "MX":
            return [(int(p), host) for p, host in (r.split(" ") for r in answer.records)]
        if qtype == "TXT":
            return [(record.encode("latin-1"),) for record in answer.records]
        return list(answer.records)


def judge_by_pyspf(zone: Zone, client: str, sender: str) -> str:
    query = Oracle(i=client, s=sender, h="helo.example", strict=True)
    query.zone = zone
    return str(query.check()[0])


@given(
    tables=st.fixed_dictionaries(dict.fromkeys(NAMES, TABLES)),
    client=st.sampled_from(CLIENTS),
    local=st.sampled_from(["user", "strong-bad"]),
    existing=st.booleans(),
)
def test_the_result_is_the_one_of_pyspf(
    tables: dict[str, Any], client: str, local: str, existing: bool
) -> None:
    entries = {
        name: Entry({rdtype: tuple(records) for rdtype, records in table.items()})
        for name, table in tables.items()
    }
    if existing:
        entries[f"{client}.e.example"] = entries[f"{local}.a.example.e.example"] = EXISTING
    zone = Zone(entries)
    ours = solve(
        check_mail_from(
            ipaddress.ip_address(client), "helo.example", MailAddress.parse(f"{local}@a.example")
        ),
        zone.resolve,
    )
    # pyspf counts a void answer for each question, we for each term as the text says
    # (RFC 7208 section 4.6.4): an MX host without address is none
    assume("void" not in ours.reason)
    # pyspf takes a reference to itself for a syntax error even where it is never evaluated
    assume(not any(f"{name} " in f"{table['TXT'][0]} " for name, table in tables.items()))
    theirs = judge_by_pyspf(zone, client, f"{local}@a.example")
    assert ours.status == theirs, ours
