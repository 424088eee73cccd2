"""Reader of the main.cf blocks in the documentation, so that tests can run them.

Pure: text in, settings out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_OURS = ("smtpd_milters", "smtpd_recipient_restrictions")
"""A block with one of these parameters adds Gatepost to Postfix."""


_ADDRESSES = {
    "milters": ("inet:127.0.0.1:8891", "unix:gatepost/milter"),
    "policyd": ("inet:127.0.0.1:10023", "unix:gatepost/policyd"),
}
"""Addresses of the daemons in main.cf: over TCP, or by a unix socket below its chroot."""


def parse_main_cf(text: str) -> dict[str, str]:
    """Return the settings in lines of main.cf; a line that starts with a blank is continued."""
    settings: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t":
            settings[name] = f"{settings[name]} {line.strip()}".strip()
        else:
            name, _, value = (word.strip() for word in line.partition("="))
            settings[name] = value
    return settings


def main_cf_blocks(page: Path) -> Iterator[dict[str, str]]:
    """Yield the blocks of a page that add Gatepost to main.cf."""
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if any(re.search(rf"^{name} =", block, re.MULTILINE) for name in _OURS):
            yield parse_main_cf(block)


def main_cf_block(page: Path) -> dict[str, str]:
    """Return the only block of a page with the milter; raises `ValueError` for none or several."""
    (found,) = [block for block in main_cf_blocks(page) if "smtpd_milters" in block]
    return found


def at(settings: Mapping[str, str], **addresses: str) -> dict[str, str]:
    """Return the settings with other addresses of milter and policy server, in main.cf's form."""
    moved = dict(settings)
    for daemon, address in addresses.items():
        for documented in _ADDRESSES[daemon]:
            moved = {name: value.replace(documented, address) for name, value in moved.items()}
    return moved
