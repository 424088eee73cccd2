"""Expected and actual DNS records of a domain, and the zone file to publish."""

from __future__ import annotations

import contextlib
from collections import Counter

from starlette.responses import Response

from accounts.directory import domain_checks
from accounts.dnscheck import DomainReport, FindingLevel
from accounts.pages.visit import Visit, step
from accounts.store.errors import DatastoreError

RECORDS = 10
"""Records of a name that are shown."""
_ORDER = (FindingLevel.ERROR, FindingLevel.WARNING, FindingLevel.UNKNOWN, FindingLevel.OK)
"""Findings that need work come first."""


async def show(visit: Visit) -> Response:
    """Show the page, with the records if the URL asks for them: DNS may take a while."""
    where = {"domain": visit.params["domain"]}
    if "now" not in visit.query:
        (found,) = await visit.run(step("get-domain", where))
        return visit.page("dns.html", domain=found["body"]["name"], report=None, counts={})
    report = await _report(visit)
    is_part = visit.request.headers.get("hx-request") == "true"
    return visit.page(
        "dns_report.html" if is_part else "dns.html",
        domain=report.domain,
        report=report,
        findings=sorted(report.findings, key=lambda one: _ORDER.index(one.level)),
        counts=Counter(one.level.value for one in report.findings),
        most=RECORDS,
    )


async def show_zone(visit: Visit) -> Response:
    """Return the expected records as a zone file, to download."""
    report = await _report(visit)
    headers = {"Content-Disposition": f'attachment; filename="{report.domain}.zone"'}
    return Response(report.as_zone(), headers=headers, media_type="text/plain")


async def _report(visit: Visit) -> DomainReport:
    where = {"domain": visit.params["domain"]}
    domain, keys = await visit.run(step("get-domain", where), step("list-dkim-keys", where))
    records = {
        key["selector"]: key["public_record"]
        for key in keys["body"]["items"]
        if key["state"] != "retired"
    }
    report = await visit.checks(domain["body"]["name"], dict(list(records.items())[:20]))
    # the overview shows it again; a full disk must not hide what DNS says
    with contextlib.suppress(DatastoreError):
        now = visit.now
        await visit.context.database.record(lambda c: domain_checks.note(c, report, now))
    return report
