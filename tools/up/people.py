"""The first domain, two users and an administrator, with generated passwords, and a DKIM key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from tests.testbed.container import Container
from tools.up.place import DOMAIN

ANNA, BERT = f"anna@{DOMAIN}", f"bert@{DOMAIN}"
ADMINISTRATOR = "admin"
SELECTOR = "demo"
RECORD = f"{SELECTOR}._domainkey.{DOMAIN}"
"""The name of the DKIM key's record in DNS."""
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


def _new_password() -> str:
    """Return four groups of four characters that look like no other: 79 bits."""
    letters = [secrets.choice(_LETTERS) for _ in range(16)]
    return "-".join("".join(letters[at : at + 4]) for at in range(0, 16, 4))


@dataclass(frozen=True)
class People:
    """Passwords by login. They are printed once, and stored nowhere but hashed."""

    passwords: dict[str, str] = field(
        default_factory=lambda: {name: _new_password() for name in (ANNA, BERT, ADMINISTRATOR)}
    )

    def create(self, accounts: Container) -> None:
        """Create them with the commands that an administrator would use; raises `PodmanError`."""
        accounts.execute("gatepost", "domain", "add", DOMAIN)
        for user in (ANNA, BERT):
            accounts.execute("gatepost", "user", "add", user, stdin=self.passwords[user] + "\n")
        accounts.execute(
            *("gatepost", "admin", "add", ADMINISTRATOR, "--role", "global"),
            stdin=self.passwords[ADMINISTRATOR] + "\n",
        )
        accounts.execute("gatepost", "alias", "add", f"info@{DOMAIN}", ANNA)


def create_key(accounts: Container) -> None:
    """Draw the DKIM key and activate it: it signs once its record is in DNS. Raises
    `PodmanError`."""
    accounts.execute("gatepost", "dkim", "add", DOMAIN, SELECTOR)
    accounts.execute("gatepost", "dkim", "activate", DOMAIN, SELECTOR)
