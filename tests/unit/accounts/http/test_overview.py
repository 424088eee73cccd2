"""The overview over the API, by role."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from accounts.directory import daemon_states, domain_checks
from accounts.dnscheck import DomainReport
from accounts.dnscheck.finding import DnsFinding, FindingLevel
from accounts.journal.settings import JournalSettings
from accounts.overview import disk_space
from gatepost.journal.record import JournalRecord
from gatepost.reports.report import StateReport
from tests.unit.accounts.desk import NOW
from tests.unit.accounts.http.api import Api, Who, check_problem

ANNA, BOB = "anna@a.example", "bob@b.example"
DAY = 86_400


def decision(daemon: str, action: str, recipient: str = ANNA, **more: Any) -> JournalRecord:
    return JournalRecord(
        float(more.pop("at", NOW)), daemon, action, recipients=(recipient,), **more
    )


DECISIONS = (
    decision("policyd", "defer", reason="greylist-new"),
    decision("policyd", "defer", reason="greylist-early"),
    decision("policyd", "pass", details={"findings": "greylist: passed (after 464 s)"}),
    decision("policyd", "pass"),
    decision("policyd", "reject", BOB, reason="dnslist"),
    decision("policyd", "defer", BOB, reason="limit"),
    decision("milters", "accept"),
    decision("milters", "tag", BOB),
    decision("milters", "quarantine", BOB),
    decision("delivery", "deliver", details={"verdict": "ham"}),
    decision("delivery", "deliver", details={"verdict": "junk"}),
    decision("delivery", "deliver", details={"reply": '250 "verdict": "junk"', "verdict": "ham"}),
    decision("delivery", "deliver", details={"verdict": "quarantined"}),
    # delivery has told of this one
    decision("postfix", "deliver", details={"way": "lmtp"}),
    decision("postfix", "deliver", details={"way": "smtp"}),
    decision("postfix", "defer", details={"reply": '"way": "smtp"'}),
)
IN_A = {
    "accepted": 1,
    "delivered": 2,
    "sent": 1,
    "junk": 1,
    "quarantined": 1,
    "greylisted": 2,
    "returned": 1,
    "postponed": 0,
    "refused": 0,
    "removed": 0,
}


class OverviewApi:
    """An API with decisions, a daemon, and domains that were checked."""

    def __init__(self, api: Api) -> None:
        self.api = api
        api.desk.run(api.journal.add(DECISIONS))
        report = StateReport("policyd", "mx1.b.example", "1", NOW, (), ("dnslists: zen.example",))
        finding = DnsFinding("MX", "b.example", "MX", FindingLevel.ERROR, "b.example has no MX.")
        checked = DomainReport("b.example", (finding,))
        database = api.desk.database
        api.desk.run(database.record(partial(daemon_states.note, report=report, now=NOW)))
        api.desk.run(database.record(partial(domain_checks.note, report=checked, now=NOW)))

    def show(self, who: Who | None = None) -> Any:
        answered = self.api.call("GET", "/overview", who=who)
        assert answered.status == 200, answered.octets
        return answered.json

    def mail(self, who: Who | None = None, period: str = "last_day") -> dict[str, int]:
        return {one["outcome"]: one[period] for one in self.show(who)["mail"]}


@pytest.fixture
def there(api: Api) -> OverviewApi:
    return OverviewApi(api)


def test_the_global_administrator_sees_everything(there: OverviewApi) -> None:
    assert there.mail() == IN_A | {"accepted": 2, "quarantined": 2, "postponed": 1, "refused": 1}
    shown = there.show()
    (daemon,) = shown["daemons"]
    assert daemon["remarks"] == ["dnslists: zen.example"]
    assert (daemon["is_well"], daemon["is_silent"]) == (True, False)
    assert shown["domains"]["with_errors"] == 1
    assert shown["domains"]["wrong"][0]["wrong"][0]["text"] == "b.example has no MX."
    assert {one["name"] for one in shown["disks"]} == {"datastore", "journal"}
    assert all(one["used"] > 0 and one["free"] > 0 for one in shown["disks"])
    there.api.desk.clock.now += 3600
    (daemon,) = there.show()["daemons"]
    assert (daemon["is_well"], daemon["is_silent"]) == (False, True)


def test_the_administrator_of_a_domain_sees_what_concerns_it(there: OverviewApi) -> None:
    assert there.mail(there.api.ada) == IN_A
    shown = there.show(there.api.ada)
    assert (shown["daemons"], shown["disks"]) == (None, None)
    assert shown["domains"]["wrong"] == []
    assert shown["domains"]["unchecked"] == 1
    assert "b.example" not in str(shown)


def test_the_owner_and_a_token_for_something_else_are_refused(there: OverviewApi) -> None:
    check_problem(there.api.call("GET", "/overview", who=there.api.anna), 403)
    other = there.api.token(["trace:read"], administrator="root")
    check_problem(there.api.call("GET", "/overview", who=other), 403, "overview:read")


def test_yesterday_is_the_day_before_in_utc(there: OverviewApi) -> None:
    api = there.api
    midnight = NOW - NOW % DAY
    for at in (midnight - 1, midnight - DAY, midnight - DAY - 1, midnight):
        api.desk.clock.now = at
        api.desk.run(api.journal.add([decision("milters", "accept", at=at)]))
    api.desk.clock.now = NOW
    assert there.mail(period="yesterday") == dict.fromkeys(IN_A, 0) | {"accepted": 2}


def test_mail_is_counted_once_a_minute(there: OverviewApi) -> None:
    before = there.mail()
    there.api.desk.run(there.api.journal.add([decision("milters", "accept")]))
    assert there.mail() == before
    there.api.desk.clock.now += 60
    assert there.mail() == before | {"accepted": 3}


def test_without_a_journal_the_rest_is_there(there: OverviewApi) -> None:
    there.api.journal_settings = JournalSettings(days=0)
    shown = there.show()
    assert (shown["mail"], shown["journal_days"]) == (None, 0)
    assert shown["daemons"]


def test_a_damaged_journal_hides_nothing_else(there: OverviewApi) -> None:
    there.api.desk.run(there.api.journal.close())
    file = there.api.journal.files["journal"]
    file.unlink()
    file.mkdir()
    shown = there.show()
    assert shown["mail"] is None
    assert shown["daemons"]


def test_a_disk_that_is_almost_full(tmp_path: Path) -> None:
    files = {"datastore": tmp_path / "x"}
    files["datastore"].write_bytes(b"12345")
    (disk,) = disk_space(files, None, lambda _: (100, 0, 9))
    assert (disk.used, disk.is_low) == (5, True)
    (disk,) = disk_space(files, None, lambda _: (100, 0, 10))
    assert not disk.is_low

    def gone(path: Path) -> tuple[int, int, int]:
        raise FileNotFoundError(path)

    assert disk_space(files, None, gone) == ()
    (server,) = disk_space({}, 7, gone)
    assert (server.used, server.free, server.is_low) == (7, None, False)
