"""Settings of the section `[accounts.snapshots]`: who may fetch snapshots."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import SecretPath, Section


class SnapshotSettings(Section):
    """Tokens of the daemons that fetch data over `snapshot_listen`."""

    token_file: SecretPath | None = Field(
        default=None,
        description="File with the token for the snapshots without secrets: `senders`, "
        "`recipients`, `stores`. It has at least 16 characters; `openssl rand -hex "
        "32` makes one.",
    )
    keys_token_file: SecretPath | None = Field(
        default=None,
        description="File with the token for all snapshots, including `dkim_keys`, which has "
        "private keys. Give it only to the milters. Over a unix socket, root and the "
        "user of this service need no token.",
    )
