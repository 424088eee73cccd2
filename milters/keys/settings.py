"""The settings in `[milters]` for the location and use of signing keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from gatepost.config import BasePath, Duration, Section, Watched, WatchedPath
from milters.keys.names import parse_domain, parse_selector
from milters.keys.tables.dataset import classify
from milters.keys.tables.errors import Place


def _check_dataset(spec: str) -> str:
    kind, path = classify(spec, Place("data set"))
    if kind == "csl" or not path.startswith("/"):
        raise ValueError(f'{spec!r} is not a table: write "file:/PATH" or "refile:/PATH"')
    return spec


def _path_of_dataset(spec: str) -> Path:
    return Path(classify(spec, Place(""))[1])


DataSetSpec = Annotated[str, AfterValidator(_check_dataset), Watched(_path_of_dataset)]

DEFAULT_KEYS = Path("/etc/gatepost/keys")


class KeyEntry(Section):
    """A key outside the key folder: `[[milters.key]]`."""

    domain: Annotated[str, AfterValidator(parse_domain)] = Field(
        description="The signing domain, `d=`."
    )
    selector: Annotated[str, AfterValidator(parse_selector)] = Field(
        description="The selector, `s=`; the record is `SELECTOR._domainkey.DOMAIN`."
    )
    file: WatchedPath = Field(description="The private key in PEM: RSA or Ed25519.")


class KeySettings(Section):
    """The location and use of signing keys."""

    keys: WatchedPath = Field(
        default=DEFAULT_KEYS,
        description="The key folder, managed by `gatepost keys`: `DOMAIN/SELECTOR.pem`, or flat "
        "`DOMAIN.SELECTOR.pem` as in a mounted Kubernetes Secret.",
    )
    key: tuple[KeyEntry, ...] = Field(
        default=(),
        description="Keys outside the key folder, one `[[milters.key]]` each. They are active.",
    )
    opendkim_key_table: DataSetSpec | None = Field(
        default=None,
        description="A KeyTable of opendkim, used unchanged, such as "
        "`refile:/etc/opendkim/KeyTable`. Needs `opendkim_signing_table`.",
    )
    opendkim_signing_table: DataSetSpec | None = Field(
        default=None,
        description="A SigningTable of opendkim, used unchanged. If it has an entry for an "
        "author, it takes precedence over the key folder.",
    )
    opendkim_base: BasePath = Field(
        default=Path("/"),
        description="The folder for relative key files in the KeyTable (`./...`): opendkim's "
        "`BaseDirectory`.",
    )
    opendkim_multiple_signatures: bool = Field(
        default=False,
        description="Sign with every matching entry of the SigningTable, not only with the "
        "first: opendkim's `MultipleSignatures`.",
    )
    require_published: bool = Field(
        default=True,
        description="Only sign with keys whose records in DNS are correct. A key whose record "
        "was seen keeps signing while DNS does not answer.",
    )
    publication_interval: Duration = Field(
        default=3600.0,
        ge=60,
        le=7 * 86400,
        description="How often the records of the keys are checked again.",
    )

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        if (self.opendkim_key_table is None) != (self.opendkim_signing_table is None):
            raise ValueError("opendkim_key_table and opendkim_signing_table need each other")
        return self
