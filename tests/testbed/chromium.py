"""Debian's Chromium, driven by Playwright: people at web pages, with what their browser notices.

Playwright's loop lives in the thread of the caller until `Chromium.close()`; asyncio.run() fails
there meanwhile.
"""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    Route,
    sync_playwright,
)

from tests.testbed.closing import Closing

PROGRAMS = ("chromium", "google-chrome")
"""Names of the program: in Debian, and on machines where Debian's package is missing."""
START, TIMEOUT = 120.0, 40.0
"""Seconds for the start of the browser, and for one step on a page, on a busy machine."""
_POLICY = "content-security-policy"
_SWITCHES = (
    # the tests run as root, and visit nothing but their own pages
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
)


@dataclass(frozen=True)
class Device:
    """A screen; `width` and `height` in CSS pixels."""

    name: str
    width: int
    height: int
    is_phone: bool = False


DESKTOP = Device("desktop", 1280, 800)
PHONE = Device("phone", 390, 844, is_phone=True)


class Visit:
    """Somebody's browser, with cookies of its own; `page` is the window."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self._context = context
        self.origin = origin
        self._complaints: list[str] = []
        self._foreign: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._complaints.append(str(error.error)))
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        self.page: Page = context.new_page()

    def open(self, path: str) -> None:
        """Go to a path of the site."""
        self.page.goto(f"{self.origin}{path}")

    def complaints(self) -> list[str]:
        """Return errors and warnings of the console, failures of scripts, and answers from 400
        on."""
        self._settle()
        return list(self._complaints)

    def foreign(self) -> list[str]:
        """Return the addresses at other hosts that the browser asked for, answered or not."""
        self._settle()
        return list(self._foreign)

    def forgive(self) -> None:
        """Forget all complaints and foreign addresses so far."""
        self._settle()
        self._complaints.clear()
        self._foreign.clear()

    def _settle(self) -> None:
        # Playwright tells what it has heard while it is called
        self.page.wait_for_load_state()
        self.page.evaluate("0")

    def is_wider_than_the_screen(self) -> bool:
        """Return whether one has to scroll sideways."""
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(script))

    def forbid(self, source: str) -> None:
        """Take a source of scripts out of the Content-Security-Policy of all answers from now
        on."""

        def handle(route: Route) -> None:
            answer = route.fetch(max_redirects=0)
            fields = {
                name: value.replace(f" {source}", "", 1) if name == _POLICY else value
                for name, value in answer.headers.items()
            }
            route.fulfill(response=answer, headers=fields)

        self._context.route("**/*", handle)

    def close(self) -> None:
        """Close the window and forget the cookies."""
        self._context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        # a pod that starts or ends changes the network of this process
        if message.type in ("error", "warning") and "ERR_NETWORK_CHANGED" not in message.text:
            self._complaints.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        parts = urllib.parse.urlsplit(request.url)
        if parts.scheme in ("data", "blob", "about"):
            return
        if f"{parts.scheme}://{parts.netloc}" != self.origin:
            self._foreign.append(request.url)

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self._complaints.append(f"{response.status} {response.url}")


class Chromium(Closing):
    """One browser for visits that know nothing of one another."""

    def __init__(self) -> None:
        found = [path for name in PROGRAMS if (path := shutil.which(name))]
        assert found, f"none of these programs is installed: {', '.join(PROGRAMS)}"
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(
                executable_path=found[0], args=list(_SWITCHES), timeout=START * 1000
            )
        except BaseException:
            self._playwright.stop()
            raise

    def close(self) -> None:
        """End the browser and Playwright's loop."""
        self._browser.close()
        self._playwright.stop()

    def visit(
        self,
        origin: str,
        device: Device = DESKTOP,
        *,
        language: str = "en-GB",
        time_zone: str = "Europe/Berlin",
        fields: Mapping[str, str] | None = None,
    ) -> Visit:
        """Return a new window at a site, such as ``http://127.0.0.1:2080``; `fields` go with each
        request."""
        context = self._browser.new_context(
            viewport={"width": device.width, "height": device.height},
            is_mobile=device.is_phone,
            has_touch=device.is_phone,
            locale=language,
            timezone_id=time_zone,
            extra_http_headers=dict(fields or {}),
        )
        context.set_default_timeout(TIMEOUT * 1000)
        return Visit(context, origin)
