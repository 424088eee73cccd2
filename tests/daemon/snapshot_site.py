"""Accounts and a milter that has its data, as two processes."""

from __future__ import annotations

import re
import time
from pathlib import Path

from accounts.directory import dkim_keys, domains
from accounts.store.seal import SecretSeal, new_key
from gatepost.config import SecretFile
from gatepost.key_pair import new_key as new_signing_key
from gatepost.snapshots.feed import LOOK_INTERVAL
from msgauth.keys import SigningKey
from tests.daemon.accounts_process import AccountsDaemon
from tests.daemon.milters import INSIDE, Milters
from tests.testbed.dns import DnsServer
from tests.testbed.waiting import wait_until

OURS = "accounts.example"
MAIL = b"From: user@accounts.example\r\nSubject: a test\r\n\r\nHello\r\n"
AGREEMENTS = 6
"""Messages with the same signatures, over two looks of a worker, that mean all workers agree."""
ZONE = f"""
["{OURS}"]
SOA = "ns1.{OURS}. admin.{OURS}. 1 3600 600 86400 60"
NS = "ns1.{OURS}"
["ns1.{OURS}"]
A = "127.0.0.1"
"""


class Site:
    """Accounts and a milter that has its data; the keys of `OURS` are in accounts alone."""

    def __init__(self, folder: Path, dns: DnsServer) -> None:
        self.dns = dns
        self.folder = folder
        self.key_file = folder / "seal.key"
        folder.mkdir(parents=True, exist_ok=True)
        self.key_file.write_text(new_key() + "\n")
        self.key_file.chmod(0o600)
        self.seal = SecretSeal.read(SecretFile(self.key_file))
        self.socket = folder / "snapshots.sock"
        self.accounts = AccountsDaemon(folder / "accounts")
        self.serve()
        self.accounts.change(lambda write: domains.add(write, OURS))
        (folder / "milter").mkdir()
        self.milters = Milters(folder / "milter", dns)
        self.state = folder / "state"
        self.configure()

    def serve(self, **more: object) -> None:
        """Configure accounts; `more` replaces what is said of snapshots."""
        self.accounts.write(
            {
                "database": {
                    "url": self.accounts.database.url,
                    "key_file": str(self.key_file),
                },
                "snapshot_listen": f"unix:{self.socket}",
                **more,
            }
        )

    def configure(self, accounts: str = "", milters: str = "", url: str = "") -> None:
        """Configure the milter; `accounts` is TOML for its section."""
        self.milters.configure(
            f'{milters}\n[milters.accounts]\nurl = "{url or f"unix:{self.socket}"}"\n'
            f'keys = true\nfolder = "{self.state}"\n{accounts}'
        )

    def add_key(self, selector: str, algorithm: str = "ed25519", *, published: bool = True) -> None:
        """Make a key in accounts, with its record in DNS."""
        pem = new_signing_key(algorithm)  # type: ignore[arg-type]
        if published:
            record = SigningKey.parse(pem).public_record()
            self.dns.add(f"{selector}._domainkey.{OURS}", "TXT", record)
        self.accounts.change(
            lambda write: dkim_keys.add(write, self.seal, OURS, selector, private=pem)
        )

    def activate(self, selector: str) -> None:
        """Activate a key."""
        self.accounts.change(lambda write: dkim_keys.activate(write, OURS, selector))

    def selectors(self, message: bytes = MAIL) -> list[str]:
        """Return the selectors that a message of ours is signed with; `451` when it has to wait."""
        with self.milters.client(INSIDE) as client:
            result = client.message(message)
        if result.code != 250:
            return [str(result.code)]
        signatures = result.values("DKIM-Signature")
        return sorted(word for one in signatures for word in re.findall(r"\bs=([^;\s]+)", one))

    def wait_for(self, *selectors: str) -> None:
        """Wait until every worker signs with these: each looks for new data at times of its own."""
        expected = list(selectors)

        def all_workers_agree() -> bool:
            for _ in range(AGREEMENTS):
                if self.selectors() != expected:
                    return False
                time.sleep(2 * LOOK_INTERVAL / AGREEMENTS)
            return True

        wait_until(all_workers_agree, f"signatures by {selectors}")

    def close(self) -> None:
        """Stop both."""
        self.milters.stop()
        self.accounts.close()
