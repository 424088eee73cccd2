"""The section `[accounts.snapshots]` of gatepost.toml: who may fetch snapshots."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import SecretPath, Section


class SnapshotSettings(Section):
    """The tokens of the daemons that fetch data over `snapshot_listen`."""

    token_file: SecretPath | None = Field(
        default=None,
        description="A token for the snapshots without secrets: `senders`, `recipients`, `stores`. "
        "It has at least 16 characters; `openssl rand -hex 32` makes one.",
    )
    keys_token_file: SecretPath | None = Field(
        default=None,
        description="A token for all snapshots, with `dkim_keys`, which has private keys. Give it "
        "to the milters alone. Over a unix socket, root and the user of this service need no "
        "token.",
    )
