"""Accounts beside the pod: ``gatepost accounts`` of this tree, and where the mailboxes are."""

from __future__ import annotations

import socketserver
import threading
from pathlib import Path
from typing import Self

from accounts.directory import aliases, domains, mailboxes
from accounts.store.transaction import Write
from tests.daemon.accounts_process import AccountsDaemon, quick_hash
from tests.stack.stack import DOMAIN
from tests.testbed.closing import Closing

HOST = "192.0.2.23"
"""Where the service is."""
STORE_HOST = "192.0.2.27"
"""Where the mailboxes are, and from where redirects come."""
STORE_PORT, QUOTA_PORT = 24, 12340

ANNA = f"anna@{DOMAIN}"
BEN = f"ben@{DOMAIN}"
OTHER = "olga@second.example"
MAILBOXES = (ANNA, BEN, OTHER)

POSTFIX = {
    "POSTFIX_ACCOUNTS": f"inet:{HOST}:10030",
    "POSTFIX_SASL": f"inet:{HOST}:12345",
    "POSTFIX_DOMAINS": "",
    "POSTFIX_NEXT_HOP": f"lmtp:inet:{STORE_HOST}:{STORE_PORT}",
    "POSTFIX_NEXT_HOP_CONNECTIONS": "4",
    "POSTFIX_REDIRECT_NETWORKS": f"{STORE_HOST}/32",
    "POSTFIX_QUOTA": f"inet:{STORE_HOST}:{QUOTA_PORT}",
    "POSTFIX_OUTBOUND_TLS": "dane",
}
"""Files of the ConfigMap that connect Postfix with it."""

GATEPOST = {
    "milters": {
        "seal": {"domain": DOMAIN},
        "sign": {"daemon_names": ["ORIGINATING"]},
        "policy": {"preset": "default"},
    },
    "policyd": {"limits": {"rules": []}},
}


class QuotaStatus(Closing):
    """Dovecot's quota-status: a policy server that refuses for the mailboxes in `full`.

    As the real one it knows mailboxes only, and refuses everybody else.
    """

    def __init__(self) -> None:
        self.full: set[str] = set()
        self._server: socketserver.ThreadingTCPServer | None = None

    def start(self) -> None:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request: dict[str, str] = {}
                while line := self.rfile.readline(4096).decode():
                    name, _, value = line.rstrip("\n").partition("=")
                    if name:
                        request[name] = value
                        continue
                    self.wfile.write(f"action={outer.action(request['recipient'])}\n\n".encode())
                    request = {}

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer((STORE_HOST, QUOTA_PORT), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def action(self, recipient: str) -> str:
        local, _, domain = recipient.partition("@")
        mailbox = f"{local.partition('+')[0]}@{domain}"
        if mailbox not in MAILBOXES:
            return "REJECT Unknown user"
        return "552 5.2.2 Mailbox is full" if mailbox in self.full else "DUNNO"

    def __enter__(self) -> Self:
        self.start()
        return self

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def new_service(folder: Path) -> AccountsDaemon:
    """Return the service with `people`, to be started."""
    folder.mkdir(parents=True, exist_ok=True)
    secret = folder / "srs.secret"
    secret.write_text("a secret of some length\n")
    secret.chmod(0o600)
    service = AccountsDaemon(
        folder,
        {
            "listen": f"inet:10030@{HOST}",
            "sasl_listen": f"inet:12345@{HOST}",
            "srs": {"domain": DOMAIN, "secret_file": str(secret)},
        },
    )
    service.change(people)
    return service


def people(write: Write) -> None:
    """Make the domains, mailboxes and aliases."""
    domains.add(write, DOMAIN)
    domains.add(write, "second.example")
    for address in MAILBOXES:
        mailboxes.add(write, address, password=quick_hash())
    domains.add(write, "catch.example", catch_all=ANNA)
    aliases.add(write, f"info@{DOMAIN}", targets=[ANNA, BEN])
    aliases.add(write, f"away@{DOMAIN}", targets=["eve@far.example"])
    aliases.add(write, f"both@{DOMAIN}", targets=[ANNA, "eve@far.example"])
