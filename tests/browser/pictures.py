"""Pictures of docs/pages.md: ``python -m tests.browser.pictures FOLDER`` takes them again.

They show `tests.browser.example` in Debian's Chromium, on a desk and on a phone.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.browser import example
from tests.browser.example import ANNA, DOMAIN, ROOT
from tests.daemon.accounts_process import SECRET
from tests.testbed.chromium import Chromium, Device, Visit
from tests.testbed.png import reduced

DESK = Device("desk", 1024, 720)
TALL = Device("desk", 1024, 1060)
PHONE = Device("phone", 390, 780, is_phone=True)
COLOURS = 128
MAX_SIZE = 60_000
"""Octets of a picture."""


@dataclass(frozen=True)
class Picture:
    """A page as somebody sees it; `unfolds`: its first folded part is open."""

    name: str
    login: str
    path: str
    device: Device
    is_dark: bool = False
    language: str = "en-GB"
    unfolds: bool = False


PICTURES = (
    Picture("home-phone", ANNA, "/", PHONE),
    Picture("filters-phone", ANNA, "/filters", PHONE),
    Picture("filter-dark-phone", ANNA, "/filters/edit?name=Invoices", PHONE, True, "de-DE"),
    Picture("mailbox-desk", ROOT, f"/mailboxes/{ANNA}", DESK),
    Picture("mailboxes-dark-desk", ROOT, "/mailboxes", DESK, is_dark=True),
    Picture("trace-phone", ANNA, "/trace?words=&time=day", PHONE),
    Picture("dns-desk", ROOT, f"/domains/{DOMAIN}/dns?now=1", DESK),
    Picture("trace-desk", ROOT, f"/trace?words={ANNA}&time=day", TALL, unfolds=True),
)


def take(folder: Path) -> None:
    """Take all pictures."""
    with (
        tempfile.TemporaryDirectory(prefix="gatepost-pictures-") as name,
        example.running(Path(name)) as origin,
        Chromium() as chromium,
    ):
        for picture in PICTURES:
            visit = chromium.visit(origin, picture.device, language=picture.language)
            (folder / f"{picture.name}.png").write_bytes(_taken(visit, picture))
            visit.close()


def _taken(visit: Visit, picture: Picture) -> bytes:
    page = visit.page
    if picture.is_dark:
        page.emulate_media(color_scheme="dark")
    visit.open("/login")
    page.fill("[name=login]", picture.login)
    page.fill("[name=password]", SECRET)
    page.click("main button")
    page.locator(".logout").first.wait_for()
    visit.open(picture.path)
    if picture.unfolds:
        page.evaluate("document.querySelector('main details').open = true")
    return reduced(page.screenshot(animations="disabled"), COLOURS)


def main(arguments: list[str]) -> int:
    """Take the pictures into the folder that is the only argument."""
    (folder,) = map(Path, arguments)
    folder.mkdir(exist_ok=True)
    take(folder)
    for picture in PICTURES:
        size = (folder / f"{picture.name}.png").stat().st_size
        sys.stdout.write(f"{picture.name:24}{size:8,} octets\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
