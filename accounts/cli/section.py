"""Part of `gatepost config` for accounts. It works without the libraries of accounts."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from accounts.dovecot.token import read_token
from accounts.settings import AccountsFile, AccountsSettings
from accounts.snapshots.access import TokenError, Tokens
from accounts.srs_secrets import sender_rewriting
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.section import DaemonSection
from gatepost.config import GroundSettings
from gatepost.config.networks import too_large
from gatepost.errors import StartError
from gatepost.listen import Inet
from gatepost.systemd import Unit

_URL: Final = "accounts.database.url"
_LOOPBACK: Final = ("127.", "::1", "localhost")


class AccountsSection:
    """`gatepost.cli.section.DaemonSection` of accounts."""

    file = AccountsFile

    def written_folders(self, settings: AccountsSettings) -> Iterator[tuple[str, Path]]:
        """Return the folder of the database."""
        if settings.database.path is not None:
            yield _URL, settings.database.path.parent

    def load(self, settings: AccountsSettings) -> None:
        """Import the libraries of the database, if they are installed."""
        path = settings.database.path
        dialect = "postgresql.asyncpg" if path is None else "sqlite"
        needed = ["accounts.store.migrate", f"sqlalchemy.dialects.{dialect}"]
        with suppress(ModuleNotFoundError):
            for name in (*needed, *(("accounts.store.postgres",) if path is None else ())):
                importlib.import_module(name)

    def unopened(
        self,
        ground: GroundSettings,
        settings: AccountsSettings,
        unit: Unit | None,  # noqa: ARG002 # the database must exist before the first start
    ) -> Iterator[tuple[str, str]]:
        """Read secrets, and open the database."""
        yield from self.faults(ground, settings)
        try:
            from accounts.store.migrate import check
        except ModuleNotFoundError as error:
            yield (
                "accounts",
                f"needs {error.name}, which is not installed: "
                "run pip install '.[accounts]' in the checkout",
            )
            return
        try:
            check(settings.database)
        except StartError as error:
            yield _URL, str(error)

    def faults(
        self,
        ground: GroundSettings,  # noqa: ARG002 # see DaemonSection
        settings: AccountsSettings,
    ) -> Iterator[tuple[str, str]]:
        """Read secrets."""
        secrets = {
            "database.password_file": settings.database.password_file,
            "database.key_file": settings.database.key_file,
            "dovecot.token_file": settings.dovecot.token_file,
            "dovecot.doveadm_key_file": settings.dovecot.doveadm_key_file,
        }
        for key, secret in secrets.items():
            if secret is None:
                continue
            try:
                secret.read_text()
                if key == "dovecot.token_file":
                    read_token(secret)
            except OSError as error:
                yield (
                    f"accounts.{key}",
                    f"uid {os.geteuid()} cannot read {secret}: {error.strerror}",
                )
            except ValueError as error:
                yield f"accounts.{key}", str(error)
        try:
            sender_rewriting(settings.srs)
        except StartError as error:
            key, _, text = str(error).partition(": ")
            yield key, text
        try:
            Tokens.read(settings.snapshots)
        except TokenError as error:
            key, _, text = str(error).partition(": ")
            yield f"accounts.snapshots.{key}", text
        secret = settings.autoconfig.profile_key_file
        if secret is not None:
            from accounts.autoconfig.signer import Signer, SignerError

            try:
                Signer.read(secret)
            except SignerError as error:
                yield "accounts.autoconfig.profile_key_file", str(error)

    def advice(self, settings: AccountsSettings) -> Iterator[tuple[str, str]]:
        """Warn about logins that others can listen to, and about large networks."""
        for key in ("sasl_listen", "http_listen", "dovecot_listen"):
            for address in getattr(settings, key):
                if isinstance(address, Inet) and not address.host.startswith(_LOOPBACK):
                    yield (
                        f"accounts.{key}",
                        f"passwords arrive at {address} in clear text: can nobody else listen "
                        "there?",
                    )
        pages = settings.pages
        if pages.second_factor != "optional" and settings.database.key_file is None:
            yield (
                "accounts.pages.second_factor",
                "without key_file in [accounts.database] nobody can add an app for codes, only "
                "passkeys",
            )
        if told := too_large(settings.attempts.unlimited):
            yield "accounts.attempts.unlimited", f"contains {told}: are they all yours?"

    def tell_postfix(
        self,
        settings: AccountsSettings,  # noqa: ARG002 # main.cf is not checked for accounts
        known: Gatepost,
        *,
        is_expected: bool,  # noqa: ARG002
    ) -> Gatepost:
        """Return `known`: no setting of main.cf can be derived from accounts."""
        return known


SECTION: Final[DaemonSection[AccountsSettings]] = AccountsSection()
