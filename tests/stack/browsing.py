"""Webmail in a browser: its pages, and what somebody does on them on a desk or on a phone."""

from __future__ import annotations

import os
import re
from pathlib import Path

from playwright.sync_api import FrameLocator, Locator, Page

from tests.testbed.chromium import Device, Visit

SCREENSHOTS = "GATEPOST_SCREENSHOTS"
"""The variable with the name of a folder; if it is set, pictures of the pages are kept there."""
_LIST, _ROW = "#messagelist", "#messagelist tbody tr"


class Webmail:
    """Somebody at webmail."""

    def __init__(self, visit: Visit, device: Device, prefix: str = "/") -> None:
        self.visit = visit
        self.page: Page = visit.page
        self.device = device
        self.prefix = prefix

    def open(self, query: str = "") -> None:
        """Go to a page; without a query, to the first one."""
        self.visit.open(f"{self.prefix}{query}")

    def picture(self, name: str) -> None:
        """Check that the page fits the screen, and keep a picture of it if that is wanted."""
        assert not self.visit.is_wider_than_the_screen(), name
        if folder := os.environ.get(SCREENSHOTS):
            self.page.screenshot(path=Path(folder) / f"{name}-{self.device.name}.png")

    def log_in(self, user: str, password: str) -> None:
        """Fill in the first page, and wait for the mailbox."""
        self.open()
        self.enter(user, password)
        self._wait_for_list()

    def enter(self, user: str, password: str) -> None:
        """Fill in the page of the login."""
        self.page.fill("[name=_user]", user)
        self.page.fill("[name=_pass]", password)
        self.page.click("#rcmloginsubmit")

    def log_out(self) -> None:
        """Log out by the menu, and wait for the page of the login."""
        if self.device.is_phone:
            self.page.click("a.task-menu-button:visible")
        self.page.click("a.logout:visible")
        self.page.locator("[name=_user]").wait_for()

    def button(self, label: str) -> Locator:
        """Return what can be pressed now and has the label."""
        return self.page.locator("a:visible, button:visible").filter(
            has_text=re.compile(rf"^\s*{label}\s*$")
        )

    def inbox(self, folder: str = "INBOX") -> None:
        """Show the list of a folder."""
        self.open(f"?_task=mail&_mbox={folder}")
        self._wait_for_list()

    def _wait_for_list(self) -> None:
        # an empty one cannot be seen; and while Roundcube is busy, it does nothing else
        self.page.locator(_LIST).wait_for(state="attached")
        self.page.wait_for_function("window.rcmail && rcmail.env.messages && !rcmail.busy")

    def row(self, subject: str) -> Locator:
        """Return the line of a message in the list; lines of moved messages stay, unseen."""
        return self.page.locator(f"{_ROW}:visible", has_text=subject)

    def read(self, subject: str) -> FrameLocator:
        """Open a message in the list and return its frame."""
        self.row(subject).click()
        frame = self.page.frame_locator("#messagecontframe")
        frame.locator("h2.subject", has_text=subject).wait_for()
        return frame

    def write(self, recipient: str, subject: str, text: str) -> None:
        """Write a message on the page for it, without sending it."""
        self.open("?_task=mail&_action=compose")
        self.page.locator("#composebody").wait_for()
        self.page.locator("#compose_to input").fill(recipient)
        self.page.keyboard.press("Enter")
        self.page.fill("#compose-subject", subject)
        self.page.fill("#composebody", text)

    def send(self) -> None:
        """Send what is written, and wait for the mailbox, which follows when it is sent."""
        self.button("Send").click()
        self._wait_for_list()

    def save(self) -> None:
        """Press the button of a form, which is at the end of the page on a phone."""
        if self.device.is_phone:
            self.button("Save").click()
        else:
            self.page.get_by_role("button", name="Save").click()

    def says(self, text: str) -> None:
        """Wait for a note at the edge of the page."""
        self.page.locator("#messagestack div", has_text=text).wait_for()

    def settings(self, action: str) -> None:
        """Open a page of the settings."""
        self.open(f"?_task=settings&_action={action}")
