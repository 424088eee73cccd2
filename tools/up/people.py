"""The first domain, two users and an administrator, and a DKIM key: `gatepost accounts demo`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from tests.testbed.container import Container
from tools.up.place import DOMAIN

ANNA, BERT = f"anna@{DOMAIN}", f"bert@{DOMAIN}"
ADMINISTRATOR = "admin"
SELECTOR = "demo"


@dataclass(frozen=True)
class People:
    """Passwords by login. They are printed once, and stored nowhere but hashed."""

    passwords: dict[str, str]

    @classmethod
    def create(cls, accounts: Container) -> Self:
        """Create them; raises `PodmanError`."""
        made = accounts.execute("gatepost", "accounts", "demo", "--domain", DOMAIN, "--json")
        return cls(json.loads(made)["passwords"])
