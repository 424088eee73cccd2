"""The section `[delivery]` of gatepost.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from delivery.learning_settings import LEARNING_LISTEN, LearningSettings, NightSettings
from delivery.quarantine_settings import QUARANTINE_LISTEN, VirusQuarantineSettings
from gatepost.config import (
    AT_START,
    BackendAddress,
    DrainGrace,
    Duration,
    FreshPath,
    Hostname,
    IdleTimeout,
    MaxConnections,
    MetricsAddress,
    RunAs,
    SecretPath,
    Section,
    ServedAddresses,
    ServerSettings,
    Size,
    WrittenPath,
)
from gatepost.listen import Inet, SocketAddress
from gatepost.quarantine.settings import MAX_CLIENTS
from gatepost.snapshots.settings import AccountsSource
from msgauth.mail_address import MailAddress


def _check_mailbox(text: str) -> str:
    address = MailAddress.parse(text)
    if not address.local or not address.domain or not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} is not the address of a mailbox")
    if any(char in text for char in ' <>"'):
        raise ValueError(f"{text!r} is not the address of a mailbox")
    return text


_PATIENCE = (
    "How long a scanner may be away. Until then mail gets 451 and waits in the queue of Postfix. "
    "Mail that has waited for so long, or arrives after an outage of so long, is delivered with "
    "the mark `Unchecked`. 0: it waits as long as Postfix keeps it."
)


class AccountsForDelivery(AccountsSource):
    """Data of `gatepost accounts` that the proxy works with."""

    preferences: bool = Field(
        default=False,
        json_schema_extra=AT_START,
        description="Use the preferences of mailboxes and domains: checks, threshold, lists of "
        "senders, languages, scores of rules and subject tag.",
    )
    stores: bool = Field(
        default=False,
        json_schema_extra=AT_START,
        description="Deliver to the mail store that accounts has for a mailbox; see "
        "`[delivery.stores]`. Until accounts has sent its data for the first time, mail gets 451.",
    )

    @model_validator(mode="after")
    def _check_use(self) -> Self:
        if self.url is None and (self.preferences or self.stores):
            raise ValueError("preferences and stores need url")
        if self.url is not None and not (self.preferences or self.stores or self.journal):
            raise ValueError("url needs one of preferences, stores and journal")
        return self


class StoresSettings(Section):
    """The mail stores, which take mail by LMTP."""

    default: BackendAddress = Field(
        default=Inet("127.0.0.1", 24),
        description="The store of mailboxes that accounts has no store for.",
    )
    named: dict[str, BackendAddress] = Field(
        default_factory=dict,
        description="Address of each store that accounts names, as in "
        '`named = { shard1 = "inet:24@10.0.0.1" }`.',
    )
    timeout: Duration = Field(
        default=120.0,
        gt=0,
        le=600,
        description="How long a store may take for one step: to accept the connection, to answer, "
        "or to read.",
    )


class SpamSettings(Section):
    """The spam scanner."""

    engine: Literal["spamassassin", "rspamd", "none"] = Field(
        default="spamassassin",
        description="`spamassassin`: spamd, by SPAMC. `rspamd`: the HTTP port of its normal or "
        "controller worker. `none`: nothing is scanned; X-Spam fields of others are still removed.",
    )
    address: BackendAddress = Field(
        default=Inet("127.0.0.1", 783), description="The address of the scanner."
    )
    timeout: Duration = Field(
        default=60.0, gt=0, le=300, description="How long a scan may take, once it has its turn."
    )
    max_scans: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="Scans at the same time; others wait for their turn. More than spamd has "
        "children (`--max-children`) gains nothing.",
    )
    scan_size: Size = Field(
        default=512 << 10,
        ge=1 << 10,
        le=64 << 20,
        description="Octets of a message that are scanned, from its beginning. X-Spam-Status says "
        "`scanned=` if that is not all.",
    )
    share_for: Duration = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="How long the result of a scan counts for further recipients of the same "
        "message, when the MTA sends it once for each of them; 0: not at all.",
    )
    junk_score: float | None = Field(
        default=None,
        description="The score from which mail is marked for Junk, unless the mailbox has its own. "
        "By default the scanner decides: `required_score` of SpamAssassin, the action of Rspamd.",
    )
    unchecked_after: Duration = Field(default=3600.0, description=_PATIENCE)
    users_folder: FreshPath | None = Field(
        default=None,
        description="The folder with data of users that spamd has as "
        "`--virtual-config-dir=FOLDER/%d/%l`. A mailbox that has taught enough (`min_learned`) is "
        "scanned as this user; all others of a message with the same preferences share one scan, "
        "with the data of the site. The proxy writes `user_prefs` here. By default all share one "
        "scan.",
    )
    min_learned: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="With SpamAssassin: the number of messages of each class that a user has to "
        "teach until these data count; before, those of the site do. As `bayes_min_spam_num` and "
        "`bayes_min_ham_num` of SpamAssassin.",
    )
    per_user: bool = Field(
        default=False,
        description="With Rspamd: scan for each mailbox, because it has data of its own "
        "(`per_user` of its classifier). By default all mailboxes of a message share one scan.",
    )
    password_file: SecretPath | None = Field(
        default=None, description="File with the password of Rspamd's controller, if that is asked."
    )

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        if self.users_folder is not None and self.engine != "spamassassin":
            raise ValueError("users_folder is for spamassassin")
        if (self.per_user or self.password_file is not None) and self.engine != "rspamd":
            raise ValueError("per_user and password_file are for rspamd")
        return self


class VirusSettings(Section):
    """The virus scanner, for sites whose milter does not ask it.

    The milter refuses a virus while its sender is connected. Here it is too late for that.
    """

    enabled: bool = Field(default=False, description="Whether messages are handed to clamd.")
    address: BackendAddress = Field(
        default=Inet("127.0.0.1", 3310), description="The address of clamd, such as unix:/PATH."
    )
    quarantine: Annotated[str, AfterValidator(_check_mailbox)] | None = Field(
        default=None,
        description="The mailbox that gets messages with a virus, in place of their recipients, "
        "unless `delivery.quarantine.folder` gets them.",
    )
    timeout: Duration = Field(default=120.0, gt=0, le=300, description="How long a scan may take.")
    max_scans: int = Field(
        default=4, ge=1, le=1000, description="Scans at the same time; others wait for their turn."
    )
    scan_size: Size = Field(
        default=25 << 20,
        ge=1 << 10,
        description="Octets of a message that are scanned, from its beginning; at most "
        "StreamMaxLength of clamd.",
    )
    unchecked_after: Duration = Field(default=0.0, description=_PATIENCE)


class DeliverySettings(ServerSettings):
    """The LMTP proxy between Postfix and the mail stores."""

    listen: ServedAddresses = Field(
        default=(Inet("127.0.0.1", 10024),),
        description="The address or socket on which the proxy listens; name it in "
        "`virtual_transport`. Whoever can connect can deliver mail.",
    )
    user: RunAs = Field(default=None, description="The user to run as when started as root.")
    metrics_listen: MetricsAddress = Inet("127.0.0.1", 9105)
    max_connections: MaxConnections = Field(
        default=100,
        description="Connections open at once, and so messages in progress. A connection beyond "
        "this waits until another one ends; one that is idle for a second is closed for it.",
    )
    idle_timeout: IdleTimeout = Field(
        default=300.0, description="A connection is closed after this time without an octet."
    )
    receive_timeout: Duration = Field(
        default=600.0,
        gt=0,
        description="How long the content of one message may take to arrive.",
    )
    budget: Duration = Field(
        default=540.0,
        gt=0,
        le=3600,
        description="How long scanning and delivery of one message may take. Recipients that have "
        "no answer by then get 451. Keep it below `lmtp_data_done_timeout` of Postfix (600 s): a "
        "message whose answer comes too late is delivered twice.",
    )
    drain_grace: DrainGrace = Field(
        default=60.0,
        description="How long messages in progress may take to finish when the proxy is stopped.",
    )
    max_size: Size = Field(
        default=128 << 20,
        ge=64 << 10,
        description="Octets of the largest message; at least `message_size_limit` of Postfix.",
    )
    max_recipients: int = Field(
        default=1000, ge=1, le=10_000, description="Recipients of one message."
    )
    memory_size: Size = Field(
        default=128 << 10,
        ge=4 << 10,
        le=64 << 20,
        description="Octets of a message that are kept in memory; a larger one is in a file "
        "without a name until it is delivered.",
    )
    spool_folder: WrittenPath = Field(
        default=Path("/var/tmp"),  # noqa: S108  # the files have no name
        description="The folder for these files. A full disk gives 452, and loses nothing.",
    )
    max_deliveries: int = Field(
        default=4,
        ge=1,
        le=100,
        description="Connections to mail stores at the same time, for one message. Recipients with "
        "the same store and the same mark share one.",
    )
    authserv_id: Hostname | None = Field(
        default=None,
        description="The name of our Authentication-Results, as `milters.authserv_id`. By default "
        "`hostname`.",
    )
    accounts: AccountsForDelivery = Field(
        default_factory=AccountsForDelivery, description="Data from `gatepost accounts`."
    )
    stores: StoresSettings = Field(
        default_factory=StoresSettings, description="Where mailboxes are."
    )
    spam: SpamSettings = Field(default_factory=SpamSettings, description="The spam scanner.")
    virus: VirusSettings = Field(default_factory=VirusSettings, description="The virus scanner.")
    quarantine: VirusQuarantineSettings = Field(
        default_factory=VirusQuarantineSettings,
        description="The folder of messages with a virus, from which administrators release them.",
    )
    learning: LearningSettings = Field(
        default_factory=LearningSettings, description="The service that teaches the spam filter."
    )
    night: NightSettings = Field(
        default_factory=NightSettings, description="The job that teaches it at night."
    )

    @property
    def served(self) -> dict[str, tuple[SocketAddress, ...]]:
        """Return the addresses of LMTP, of the service that teaches, and of the quarantine."""
        return {
            **super().served,
            LEARNING_LISTEN: self.learning.listen,
            QUARANTINE_LISTEN: self.quarantine.listen,
        }

    @property
    def all_connections(self) -> int:
        """Return the connections of all messages in progress, to clients, scanners and stores."""
        others = 2 * self.learning.max_connections + 2 * MAX_CLIENTS
        return self.max_connections * (2 + self.max_deliveries) + others

    @property
    def ledgers(self) -> Path | None:
        """Return the folder of the ledgers; None if there is none."""
        if self.spam.engine == "spamassassin":
            return self.spam.users_folder
        return self.learning.ledger_folder

    @model_validator(mode="after")
    def _check_quarantine(self) -> Self:
        folder, mailbox = self.quarantine.folder, self.virus.quarantine
        if self.virus.enabled and folder is None and mailbox is None:
            raise ValueError(
                "quarantine.folder or virus.quarantine has to be set: a virus is never dropped "
                "silently"
            )
        if folder is not None and mailbox is not None:
            raise ValueError("choose one of quarantine.folder and virus.quarantine")
        if self.quarantine.listen and folder is None:
            raise ValueError("quarantine.listen needs quarantine.folder")
        return self

    @model_validator(mode="after")
    def _check_learning(self) -> Self:
        if not self.learning.listen:
            return self
        if self.spam.engine == "none":
            raise ValueError("learning.listen needs a spam scanner")
        if self.ledgers is None:
            key = "spam.users_folder" if self.spam.engine == "spamassassin" else ""
            raise ValueError(f"learning.listen needs {key or 'learning.ledger_folder'}")
        return self
