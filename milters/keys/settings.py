"""The part of `[milters]` that says where signing keys are and when they may sign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from gatepost.config import Duration, LocalPath, Section
from milters.keys.names import parse_domain, parse_selector

DEFAULT_KEYS = Path("/etc/gatepost/keys")


class KeyEntry(Section):
    """A key that lies anywhere: `[[milters.key]]`."""

    domain: Annotated[str, AfterValidator(parse_domain)] = Field(
        description="The signing domain, `d=`."
    )
    selector: Annotated[str, AfterValidator(parse_selector)] = Field(
        description="The selector, `s=`: the record is `SELECTOR._domainkey.DOMAIN`."
    )
    file: LocalPath = Field(description="The private key in PEM: RSA or Ed25519.")


class KeySettings(Section):
    """Where signing keys are and when they may sign."""

    keys: LocalPath = Field(
        default=DEFAULT_KEYS,
        description="The key folder: `DOMAIN/SELECTOR.pem`, or flat `DOMAIN.SELECTOR.pem` as a "
        "Kubernetes Secret is mounted. `gatepost keys` works on it.",
    )
    key: tuple[KeyEntry, ...] = Field(
        default=(),
        description="Keys that lie elsewhere, one `[[milters.key]]` each. They are active.",
    )
    require_published: bool = Field(
        default=True,
        description="Sign only with keys whose record is in DNS as it should be. A key that was "
        "seen there goes on signing while DNS does not answer.",
    )
    publication_interval: Duration = Field(
        default=3600.0,
        ge=60,
        le=7 * 86400,
        description="How often the records of the keys are looked at again.",
    )
