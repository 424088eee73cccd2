"""An administrator's whole first hour, in a browser: from the printed password to a filed mail.

Everything is made in the pages. Mail goes through the Postfix, milter and Dovecot of the same pod,
and DNS is asked for by the check of the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest

from tests.stack.browsing import Webmail
from tests.stack.everyday import CAROL
from tests.stack.stack import World
from tests.stack.up import WholeSystem
from tests.testbed.chromium import DESKTOP, PHONE, Chromium, Device, Visit
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.waiting import wait_until
from tools.up.people import ADMINISTRATOR
from tools.up.place import HOST, HOSTNAME

PASSWORD = "a ladder, a lantern and a goat"
SIGNED = 60.0
"""Seconds until the milter signs with a new key."""

pytestmark = pytest.mark.timeout(600)
"""The first test waits for the whole system."""


@pytest.fixture(scope="module")
def chromium(up: WholeSystem) -> Iterator[Chromium]:
    # after the system has started, which needs a loop of its own in this thread
    with Chromium() as running:
        yield running


class Hour:
    """An hour of an administrator and of the first user, on one device."""

    def __init__(
        self, up: WholeSystem, world: World, chromium: Chromium, device: Device, folder: Path
    ) -> None:
        self.up, self.world, self.chromium, self.device = up, world, chromium, device
        self.folder = folder
        self.domain = f"{device.name}.example"
        self.user = f"hilda@{self.domain}"

    def log_in(self, login: str, password: str) -> Visit:
        """Log in to the pages."""
        origin = f"http://{HOST}:{self.up.place.ports['api']}"
        visit = self.chromium.visit(origin, self.device)
        visit.open("/")
        visit.page.fill("[name=login]", login)
        visit.page.fill("[name=password]", password)
        visit.page.click("main button")
        visit.page.locator(".logout").first.wait_for()
        return visit

    def leave(self, visit: Visit) -> None:
        """Log out; nothing may have gone wrong, or come from elsewhere."""
        assert visit.complaints() == []
        assert visit.foreign() == []
        visit.page.locator(".logout button").click()
        visit.page.get_by_text("You are logged out").wait_for()
        visit.close()

    def make_domain(self, visit: Visit) -> None:
        page = visit.page
        self.go(visit, "Domains")
        page.click("text=New domain")
        page.fill("[name=name]", self.domain)
        page.click("main button:has-text('Add')")
        page.locator("h1", has_text=self.domain).wait_for()

    def go(self, visit: Visit, entry: str) -> None:
        """Choose an entry of the menu, which is folded on a phone."""
        if self.device.is_phone:
            visit.page.click("nav summary")
        visit.page.locator("nav a:visible", has_text=entry).click()
        visit.page.locator("h1", has_text=entry).wait_for()

    def make_key(self, visit: Visit) -> None:
        page = visit.page
        page.click("main a:has-text('Keys')")
        page.get_by_text("mail of this domain is not signed").wait_for()
        page.fill("[name=selector]", "first")
        page.click("button:has-text('Make a key')")
        page.locator("h2", has_text="first").wait_for()

    def check(self, visit: Visit) -> str:
        """Return the text of the check of DNS."""
        page = visit.page
        visit.open(f"/domains/{self.domain}/dns")
        # it arrives by itself
        page.locator("table", has_text="MX").wait_for()
        text: str = page.inner_text("main")
        page.click("a:has-text('Check now')")
        page.locator("table", has_text="MX").wait_for()
        assert page.inner_text("main table") in text
        return text

    def publish(self, visit: Visit) -> None:
        """Publish the zone file that the page offers."""
        with visit.page.expect_download() as download:
            visit.page.click("a:has-text('Download as a zone file')")
        assert download.value.suggested_filename == f"{self.domain}.zone"
        path = self.folder / "zone"
        download.value.save_as(path)
        zone = dns.zone.from_text(
            path.read_text(), f"{self.domain}.", relativize=False, check_origin=False
        )
        self.world.dns.remove(self.domain)
        for name, found in zone.iterate_rdatasets():
            rdtype = dns.rdatatype.to_text(found.rdtype)
            records = [
                b"".join(one.strings).decode() if rdtype == "TXT" else one.to_text()
                for one in found
            ]
            host = name.to_text(omit_final_dot=True)
            self.world.dns.add(host, rdtype, *records)  # type: ignore[arg-type]
        # the reverse name is in the zone of the provider, and the file says so in a comment
        reverse = re.search(r"(?m)^; (\S+\.in-addr\.arpa)\. \d+ IN PTR (\S+)\.$", path.read_text())
        assert reverse is not None
        self.world.dns.add(reverse[1], "PTR", reverse[2])

    def activate_key(self, visit: Visit) -> None:
        page = visit.page
        visit.open(f"/domains/{self.domain}/keys")
        page.click("a:has-text('Activate')")
        page.click("button:has-text('Activate')")
        page.locator("h2", has_text="active").wait_for()

    def make_user(self, visit: Visit) -> None:
        page = visit.page
        self.go(visit, "Mailboxes")
        page.click("text=New mailbox")
        page.fill("[name=address]", self.user)
        page.fill("[name=display_name]", "Hilda Hill")
        page.fill("[name=password]", PASSWORD)
        page.click("main button:has-text('Add')")
        page.locator("h1", has_text=self.user).wait_for()
        self.up.remember(self.user, PASSWORD)

    def send_signed(self) -> None:
        """Let the user write to the world with swaks, until her mail is signed."""
        numbers = iter(range(100))

        def is_signed() -> bool:
            subject = f"{self.device.name} mail {next(numbers)}"
            sent = self.up.submit(subject, self.user, [CAROL])
            if sent.reply.code == 451:  # the milter has not heard of her yet
                return False
            assert sent.accepted, sent.transcript
            arrived = self.world.remote.wait_for_subject(subject)
            verdicts = dkimpy_verdicts(arrived.octets, self.world.dns)
            assert {each for _, each in verdicts} <= {"pass"}
            return (
                bool(verdicts)
                and re.search(rb"\sd=%s;" % self.domain.encode(), arrived.octets) is not None
            )

        wait_until(is_signed, "mail of the new domain to be signed", deadline=SIGNED, pause=1)

    def receive(self, subject: str, folder: str) -> None:
        sent = self.up.deliver(subject, self.user, body="The kettle is on.\r\n")
        assert sent.accepted, sent.transcript
        self.up.wait_for(subject, self.user, folder)

    def read(self, subject: str, folder: str = "INBOX") -> None:
        """Read a mail in webmail."""
        origin = f"http://{HOST}:{self.up.place.ports['webmail']}"
        webmail = Webmail(self.chromium.visit(origin, self.device), self.device)
        webmail.log_in(self.user, PASSWORD)
        webmail.inbox(folder)
        message = webmail.read(subject)
        assert "The kettle is on." in message.locator("#messagebody").inner_text()
        webmail.visit.close()

    def make_filter(self, visit: Visit) -> None:
        page = visit.page
        self.go(visit, "Filters")
        page.click("text=New filter")
        page.fill("[name=name]", "Kettles")
        page.select_option("[name=field-0]", "subject")
        page.fill("[name=value-0]", "second")
        page.fill("[name=folder]", "Kettles")
        page.click("main button:has-text('Save')")
        page.get_by_role("cell", name="Kettles", exact=True).wait_for()


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=lambda one: one.name)
def test_a_first_hour(
    up: WholeSystem, world: World, chromium: Chromium, device: Device, tmp_path: Path
) -> None:
    hour = Hour(up, world, chromium, device, tmp_path)
    # DNS of the domain as somebody else has left it
    world.dns.add(hour.domain, "MX", "10 mx.elsewhere.example")
    world.dns.add(hour.domain, "TXT", "v=spf1 -all")

    # the password that the command has printed once
    root = hour.log_in(ADMINISTRATOR, up.password(ADMINISTRATOR))
    hour.make_domain(root)
    hour.make_key(root)
    world.dns.remove("1.2.0.192.in-addr.arpa")
    before = hour.check(root)
    assert "mx.elsewhere.example" in before
    wrong = re.search(r"Wrong: (\d+)", before)
    assert wrong is not None
    assert int(wrong[1]) >= 4, before  # MX, SPF, the reverse name and the key
    hour.publish(root)
    after = hour.check(root)
    assert "Wrong: 0." in after, after
    assert "mx.elsewhere.example" not in after
    assert HOSTNAME in after
    hour.activate_key(root)
    hour.make_user(root)
    hour.leave(root)

    hour.send_signed()
    hour.receive(f"{device.name}: the first", "INBOX")
    hour.read(f"{device.name}: the first")

    owner = hour.log_in(hour.user, PASSWORD)
    hour.make_filter(owner)
    hour.receive(f"{device.name}: the second", "Kettles")
    hour.read(f"{device.name}: the second", "Kettles")
    # she is told what became of it
    hour.go(owner, "Where is my mail?")
    owner.page.click("main button:has-text('Search')")
    owner.page.locator("article", has_text="Delivered").first.wait_for()
    hour.leave(owner)
