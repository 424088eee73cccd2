"""Settings of the section `[accounts]`.

It is read without the libraries of the extra `accounts`, which the other daemons and their commands
do not need.
"""

from __future__ import annotations

import ipaddress
from typing import Self

from pydantic import Field, field_validator, model_validator

from accounts.address import parse_domain
from accounts.api_settings import ApiSettings
from accounts.attempt_settings import AttemptSettings
from accounts.autoconfig.settings import AutoconfigSettings
from accounts.cache_settings import CacheSettings
from accounts.dovecot_settings import DovecotSettings
from accounts.home_stores_settings import HomeStoresSettings
from accounts.http.settings import HttpSettings
from accounts.journal.settings import JournalSettings
from accounts.oidc.settings import OidcSettings
from accounts.pages.settings import PagesSettings
from accounts.password_settings import PasswordSettings
from accounts.quarantine.settings import QuarantineSettings
from accounts.snapshots.settings import SnapshotSettings
from accounts.srs_settings import SrsSettings
from accounts.store.settings import DatabaseSettings
from gatepost.config import (
    DrainGrace,
    Duration,
    GroundSettings,
    IdleTimeout,
    MaxConnections,
    MetricsAddress,
    MoreAddresses,
    RunAs,
    ServedAddresses,
    ServerSettings,
    SocketMode,
)
from gatepost.listen import Inet, SocketAddress, Unix


class AccountsSettings(ServerSettings):
    """The service for domains, mailboxes and aliases."""

    listen: ServedAddresses = Field(
        default=(Inet("127.0.0.1", 10030),),
        description="The addresses or sockets for Postfix's socketmap, with the maps `domains`, "
        "`mailboxes`, `aliases`, `senders`, `transport`, `relay` and `srs`.",
    )
    sasl_listen: MoreAddresses = Field(
        default=(Inet("127.0.0.1", 12345),),
        description="The addresses or sockets for the logins of Postfix: name one in "
        "`smtpd_sasl_path`. Passwords arrive in clear text: use a socket, loopback, "
        "or a network that nobody else can listen to.",
    )
    domains_listen: MoreAddresses = Field(
        default=(Inet("127.0.0.1", 40571),),
        description="The addresses that serve the map `domains` to Postfix's `tcp:`.",
    )
    mailboxes_listen: MoreAddresses = Field(
        default=(Inet("127.0.0.1", 40572),),
        description="The addresses that serve the map `mailboxes` to Postfix's `tcp:`.",
    )
    aliases_listen: MoreAddresses = Field(
        default=(Inet("127.0.0.1", 40573),),
        description="The addresses that serve the map `aliases` to Postfix's `tcp:`.",
    )
    http_listen: MoreAddresses = Field(
        default=(),
        description="The addresses or sockets of the REST API, such as `inet:8080@127.0.0.1`. "
        "Passwords and tokens arrive in clear text: serve it on this host, behind a "
        "proxy with TLS.",
    )
    snapshot_listen: MoreAddresses = Field(
        default=(),
        description="The addresses or sockets where the other daemons fetch data, such as "
        "`unix:/run/gatepost-accounts/snapshots`. Over TCP they need a token, and everything is "
        "sent in clear text: serve it on this host, or behind a proxy with TLS.",
    )
    dovecot_listen: MoreAddresses = Field(
        default=(),
        description="The addresses or sockets where Dovecot asks for passwords and mailboxes "
        "over HTTP, such as `inet:8081`. Passwords arrive in clear text: serve it in "
        "a network that nobody else can listen to.",
    )
    dict_listen: MoreAddresses = Field(
        default=(),
        description="The unix sockets of the dictionary from which Dovecot reads the rules of a "
        "mailbox.",
    )
    socket_mode: SocketMode = Field(
        default=0o660,
        description="File mode of a unix socket. Every client that can connect can look up "
        "addresses and try passwords.",
    )
    user: RunAs = Field(
        default=None,
        description="The user to run as when started as root. It needs write access to the "
        "database and its folder.",
    )
    metrics_listen: MetricsAddress = Inet("127.0.0.1", 9103)
    max_connections: MaxConnections = Field(
        default=5000,
        description="Maximum number of open connections for each protocol. A further connection "
        "replaces the one that has been idle for longest; Postfix reconnects when it "
        "needs to.",
    )
    idle_timeout: IdleTimeout = Field(
        default=300.0,
        description="A connection for look-ups is closed after this time without a request. "
        "Postfix closes its own after 10 s.",
    )
    sasl_idle_timeout: IdleTimeout = Field(
        default=3600.0,
        description="A connection for logins is closed after this time without a request. An "
        "smtpd process keeps its connection as long as it runs.",
    )
    request_timeout: Duration = Field(
        default=10.0,
        gt=0,
        le=100,
        description="Time limit for one request to arrive completely, and for the client to read "
        "the answer; then the connection is closed.",
    )
    lookup_timeout: Duration = Field(
        default=20.0,
        gt=0,
        le=90,
        description="Time limit for one look-up; after it, the answer is a temporary error. "
        "Postfix waits 100 s.",
    )
    login_timeout: Duration = Field(
        default=8.0,
        gt=0,
        le=9.5,
        description="Time limit for one login; after it, the answer is a temporary error. "
        "Postfix waits 10 s.",
    )
    drain_grace: DrainGrace = Field(
        default=15.0,
        description="How long requests in progress may take to finish when the service stops.",
    )
    recipient_delimiter: str = Field(
        default="+",
        max_length=8,
        pattern="^[!-~]*$",
        description="The characters that begin the extension of an address, as in Postfix's "
        "`recipient_delimiter`. If empty, there are no extensions.",
    )
    default_domain: str = Field(
        default="",
        max_length=253,
        description="The domain of logins without one.",
    )
    keep_deleted: Duration = Field(
        default=30 * 86_400.0,
        ge=0,
        le=3650 * 86_400,
        description="How long the mail of a mailbox that was removed is kept, so that `gatepost "
        'user restore` can bring it back. "0" removes it within minutes.',
    )
    database: DatabaseSettings = Field(
        default_factory=DatabaseSettings, description="The database."
    )
    cache: CacheSettings = Field(
        default_factory=CacheSettings,
        description="Cached answers for the time while the database is away.",
    )
    passwords: PasswordSettings = Field(
        default_factory=PasswordSettings,
        description="Rules for new passwords, and how they are stored.",
    )
    api: ApiSettings = Field(
        default_factory=ApiSettings,
        description="The API that the commands use on a host without the database file.",
    )
    srs: SrsSettings = Field(
        default_factory=SrsSettings, description="Bounce addresses for forwarded mail."
    )
    http: HttpSettings = Field(
        default_factory=HttpSettings, description="Limits on requests to the API."
    )
    pages: PagesSettings = Field(
        default_factory=PagesSettings,
        description="Web pages, served beside the REST API.",
    )
    oidc: OidcSettings = Field(
        default_factory=OidcSettings,
        description="Logins to the web pages through an identity provider (OpenID Connect).",
    )
    snapshots: SnapshotSettings = Field(
        default_factory=SnapshotSettings,
        description="Tokens of the daemons that fetch data.",
    )
    journal: JournalSettings = Field(
        default_factory=JournalSettings,
        description="Decisions of the other daemons, kept for `gatepost trace`.",
    )
    quarantine: QuarantineSettings = Field(
        default_factory=QuarantineSettings,
        description="The holders of mail in quarantine, which administrators release.",
    )
    dovecot: DovecotSettings = Field(
        default_factory=DovecotSettings,
        description="Tokens and addresses for the connections between Dovecot and this service.",
    )
    stores: HomeStoresSettings = Field(
        default_factory=HomeStoresSettings,
        description="The mail stores, if there are several.",
    )
    attempts: AttemptSettings = Field(
        default_factory=AttemptSettings,
        description="Delays after wrong passwords.",
    )
    autoconfig: AutoconfigSettings = Field(
        default_factory=AutoconfigSettings,
        description="The servers that autoconfig announces to mail programs.",
    )

    @property
    def postfix_keys(self) -> frozenset[str]:
        """Return the keys of the maps and of logins: Postfix asks nothing else."""
        others = {"http_listen", "snapshot_listen", "dovecot_listen", "dict_listen"}
        return frozenset(self.served) - others

    @property
    def all_connections(self) -> int:
        """Return the maximum number of connections of all protocols together."""
        return self.max_connections * sum(1 for addresses in self.served.values() if addresses)

    @model_validator(mode="after")
    def _check_snapshots(self) -> Self:
        has_token = self.snapshots.token_file is not None
        if not (has_token or self.snapshots.keys_token_file is not None):
            for address in self.snapshot_listen:
                if isinstance(address, Inet):
                    raise ValueError(  # noqa: TRY004 # the loader reports a ValueError
                        f"snapshot_listen {address} needs snapshots.token_file or "
                        "snapshots.keys_token_file"
                    )
        return self

    @field_validator("default_domain")
    @classmethod
    def _check_domain(cls, text: str) -> str:
        return parse_domain(text) if text else ""

    @model_validator(mode="after")
    def _check_dovecot(self) -> Self:
        for address in self.dovecot_listen:
            if self.dovecot.token_file is None and not _is_local(address):
                raise ValueError(
                    f"{address} of dovecot_listen can be reached from other hosts: set token_file "
                    "in [accounts.dovecot]"
                )
        for url in self.stores.doveadm_urls:
            if url not in self.dovecot.doveadm_url:
                raise ValueError(
                    f"dovecot.doveadm_url has to name {url} of [accounts.stores], too: sessions "
                    "are ended there, and mail of deleted mailboxes is removed"
                )
        for address in self.dict_listen:
            if not isinstance(address, Unix):
                raise ValueError(  # noqa: TRY004 # the loader reports a ValueError
                    "dict_listen takes only unix sockets: write unix:/PATH"
                )
        return self


def _is_local(address: SocketAddress) -> bool:
    """Return whether only this host can connect."""
    if isinstance(address, Unix) or address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False


class AccountsFile(GroundSettings):
    """The part of gatepost.toml that accounts reads: the common settings and `[accounts]`."""

    accounts: AccountsSettings = Field(
        default_factory=AccountsSettings,
        description="The service for domains, mailboxes and aliases.",
    )
