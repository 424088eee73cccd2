"""The export document: everything of the datastore but tokens and the audit log, as versioned JSON.

Objects refer to each other by name, never by id. A field that is missing is not known to the
source: a plan then leaves the datastore's value alone, and a new object gets the default.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from accounts.exchange.kinds import (
    MOST_TARGETS,
    AliasAddress,
    DisplayName,
    DomainName,
    Hash,
    HomePath,
    Interval,
    LanguageCodes,
    LoginName,
    MailboxAddress,
    Name,
    NamePattern,
    OctetCount,
    PersonalCount,
    Prose,
    ProtocolName,
    RuleJson,
    RuleScores,
    ScoreNumber,
    SelectorText,
    Sender,
    StoreName,
    SubjectTag,
    Target,
    TimeNumber,
    Transport,
    WholeNumber,
    Words,
    base64_text,
    shallow,
)
from accounts.sieve import RuleError, parse_rule

VERSION: Final = 1

LARGEST: Final = 64 << 20
"""Octets of a document, unless another number is given: about 100,000 mailboxes. A document takes
some 20 times as much memory while it is imported."""

_SHOWN_PROBLEMS: Final = 10
_PROTOCOLS: Final = ("imap", "pop3", "smtp", "sieve")


class DocumentError(ValueError):
    """A document cannot be used; the message has a line for each of the first problems."""


class DocumentPart(BaseModel):
    """Base of all parts: they never change, and unknown keys and other types are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Secret(DocumentPart):
    """A secret: in clear text, or as the datastore has encrypted it.

    `sealed` (base64) can be used only where the same key file is. Without both, the secret was
    left out.
    """

    clear: Annotated[str, StringConstraints(max_length=65_536)] | None = Field(None, repr=False)
    sealed: (
        Annotated[str, StringConstraints(max_length=65_536), AfterValidator(base64_text)] | None
    ) = Field(None, repr=False)

    @model_validator(mode="after")
    def _one_form(self) -> Secret:
        if self.clear is not None and self.sealed is not None:
            raise ValueError("a secret has to be either clear or sealed")
        return self


class DkimKeyEntry(DocumentPart):
    """A signing key; `private` in clear text is PKCS #8 in PEM."""

    selector: SelectorText
    algorithm: Literal["rsa", "ed25519"]
    private: Secret
    public_record: Prose = ""
    state: Literal["new", "active", "retired"] = "new"
    created: TimeNumber = None
    activated: TimeNumber = None
    retired: TimeNumber = None


class DomainPreferencesEntry(DocumentPart):
    """Preferences about spam that the mailboxes of a domain have, unless they say otherwise."""

    spam_junk_score: ScoreNumber = None
    languages: LanguageCodes = ()
    subject_tag: SubjectTag | None = None
    rule_scores: RuleScores = Field(default_factory=dict)


class DomainEntry(DocumentPart):
    """A domain; with `alias_of`, each of its addresses stands for the same one in that domain."""

    name: DomainName
    description: Words = ""
    alias_of: DomainName | None = None
    catch_all: Target | None = None
    enabled: bool = True
    max_mailboxes: WholeNumber | None = None
    max_aliases: WholeNumber | None = None
    max_quota: OctetCount | None = None
    default_quota: OctetCount | None = None
    transport: Transport | None = None
    is_relay: bool = False
    disposable_aliases: PersonalCount = 20
    named_aliases: PersonalCount = 0
    named_alias_pattern: NamePattern | None = None
    created: TimeNumber = None
    changed: TimeNumber = None
    dkim_keys: tuple[DkimKeyEntry, ...] = ()
    preferences: DomainPreferencesEntry | None = None
    allowed_senders: tuple[Sender, ...] = ()
    blocked_senders: tuple[Sender, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> DomainEntry:
        _no_twice("allowed_senders", self.allowed_senders)
        _no_twice("blocked_senders", self.blocked_senders)
        return self


class AppPasswordEntry(DocumentPart):
    """A second password of a mailbox, for some protocols."""

    name: Name
    password: Hash = Field(repr=False)
    protocols: tuple[ProtocolName, ...] = _PROTOCOLS
    expires: TimeNumber = None
    created: TimeNumber = None
    last_used: TimeNumber = None
    last_client: Words | None = None


def _as_stored(rule: RuleJson) -> RuleJson:
    """Return a rule with all that it leaves out, as the datastore has it; or as it is, if it cannot
    be read: then it is refused when it is written."""
    if not isinstance(rule, dict) or not rule.keys().isdisjoint(("name", "enabled")):
        return rule
    try:
        return parse_rule({**rule, "name": "rule"}).body()
    except RuleError:
        return rule


class SieveRuleEntry(DocumentPart):
    """A filter as people make it in a form. The order of the rules is that of the list."""

    name: Name
    enabled: bool = True
    rule: Annotated[RuleJson, AfterValidator(shallow), AfterValidator(_as_stored)]


class PreferencesEntry(DocumentPart):
    """How mail for a mailbox is checked."""

    greylist: bool = True
    spam_check: bool = True
    spam_junk_score: ScoreNumber = None
    spam_reject_score: ScoreNumber = None
    virus_check: bool = True
    languages: LanguageCodes = ()
    subject_tag: SubjectTag | None = None
    rule_scores: RuleScores = Field(default_factory=dict)


class RemoteAccountEntry(DocumentPart):
    """A mailbox elsewhere that mail is fetched from. `interval` is in seconds."""

    protocol: Literal["imap", "pop3"]
    host: Name
    port: Annotated[int, Field(ge=1, le=65535)]
    tls: Literal["implicit", "starttls"]
    login: Name
    secret: Secret
    folder: Name = "INBOX"
    destination: Name | None = None
    interval: Interval = 600
    keep: bool = True
    enabled: bool = True
    created: TimeNumber = None
    changed: TimeNumber = None

    @property
    def key(self) -> str:
        """Return the name of the account within its mailbox."""
        return f"{self.protocol} {self.login} at {self.host}"


class MailboxEntry(DocumentPart):
    """A mailbox with all that belongs to it. Without a password nobody can log in.

    A password in clear text (`{PLAIN}`) is hashed when it is imported.
    """

    address: MailboxAddress
    display_name: DisplayName = ""
    password: Hash | None = Field(None, repr=False)
    quota: OctetCount | None = None
    enabled: bool = True
    may_login: bool = True
    may_send: bool = True
    may_receive: bool = True
    keep_copy: bool = True
    store: StoreName | None = None
    home: HomePath | None = None
    forwards: Annotated[tuple[Target, ...], Field(max_length=MOST_TARGETS)] = ()
    rights: tuple[Sender, ...] = ()
    app_passwords: tuple[AppPasswordEntry, ...] = ()
    sieve_rules: tuple[SieveRuleEntry, ...] = ()
    preferences: PreferencesEntry | None = None
    allowed_senders: tuple[Sender, ...] = ()
    blocked_senders: tuple[Sender, ...] = ()
    remote_accounts: tuple[RemoteAccountEntry, ...] = ()
    created: TimeNumber = None
    changed: TimeNumber = None
    password_changed: TimeNumber = None
    last_login: TimeNumber = None

    @model_validator(mode="after")
    def _once(self) -> MailboxEntry:
        _no_twice("forwards", self.forwards)
        _no_twice("rights", self.rights)
        _no_twice("app_passwords", (one.name for one in self.app_passwords))
        _no_twice("sieve_rules", (one.name for one in self.sieve_rules))
        _no_twice("allowed_senders", self.allowed_senders)
        _no_twice("blocked_senders", self.blocked_senders)
        _no_twice("remote_accounts", (one.key for one in self.remote_accounts))
        return self


class AliasEntry(DocumentPart):
    """An address that leads to others. A `*` in the local part stands for any text."""

    address: AliasAddress
    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=MOST_TARGETS)]
    enabled: bool = True
    expires: TimeNumber = None
    members_may_send: bool = False
    description: Words = ""
    personal: Literal["named", "disposable"] | None = None
    is_locked: bool = False
    created: TimeNumber = None
    changed: TimeNumber = None

    @model_validator(mode="after")
    def _once(self) -> AliasEntry:
        _no_twice("targets", self.targets)
        return self


class AdministratorEntry(DocumentPart):
    """A person who may change domains; one with the role `domains` only those of the list."""

    login: LoginName
    password: Hash | None = Field(None, repr=False)
    role: Literal["global", "domains"]
    domains: tuple[DomainName, ...] = ()
    enabled: bool = True
    created: TimeNumber = None
    changed: TimeNumber = None

    @model_validator(mode="after")
    def _once(self) -> AdministratorEntry:
        _no_twice("domains", self.domains)
        return self


class Document(DocumentPart):
    """A whole export. `undecided` is text for people; it is not imported."""

    format: Literal["gatepost accounts"] = "gatepost accounts"
    version: Literal[1] = 1
    written: TimeNumber = None
    domains: tuple[DomainEntry, ...] = ()
    mailboxes: tuple[MailboxEntry, ...] = ()
    aliases: tuple[AliasEntry, ...] = ()
    administrators: tuple[AdministratorEntry, ...] = ()
    undecided: tuple[Prose, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> Document:
        _no_twice("domains", (one.name for one in self.domains))
        names = [one.address for one in self.mailboxes]
        names += [one.address for one in self.aliases]
        _no_twice("mailboxes and aliases", names)
        _no_twice("administrators", (one.login for one in self.administrators))
        return self


def _no_twice(field: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{field}: {name} appears twice")
        seen.add(name)


class _Head(BaseModel):
    model_config = ConfigDict(extra="ignore")
    format: str = ""
    version: JsonValue = None


def parse(data: bytes, file: str = "document", largest: int = LARGEST) -> Document:
    """Parse the document in `data`.

    Raises `DocumentError` for more than `largest` octets, for text that is no JSON or nested more
    than about 200 deep, for another version, and for values that a field does not allow. The
    message has no value that may be secret.
    """
    if len(data) > largest:
        raise DocumentError(f"{file}: the document is larger than {largest >> 20} MiB")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        document = Document.model_validate_json(data)
    except ValidationError as error:
        raise DocumentError(_explain(file, data, error)) from None
    if not {"format", "version"} <= document.model_fields_set:
        raise DocumentError(f'{file}: not an export: "format" and "version" are missing')
    return document


def _explain(file: str, data: bytes, error: ValidationError) -> str:
    try:
        head = _Head.model_validate_json(data)
    except ValidationError:
        head = _Head(format="gatepost accounts", version=VERSION)
    if head.format != "gatepost accounts":
        return f'{file}: not an export: "format" is not "gatepost accounts"'
    if head.version != VERSION:
        shown = str(head.version)[:20]
        return f"{file}: the document has version {shown}, this program reads {VERSION}"
    return "\n".join(f"{file}: {line}" for line in problems(error))


def problems(error: ValidationError) -> list[str]:
    """Return a line for each of the first problems, without the values."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    lines = []
    for one in found[:_SHOWN_PROBLEMS]:
        where = ".".join(str(part) for part in one["loc"])
        text = one["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {text}" if where else text)
    if len(found) > _SHOWN_PROBLEMS:
        lines.append(f"and {len(found) - _SHOWN_PROBLEMS} more")
    return lines


def render(document: Document) -> bytes:
    """Return the document as JSON in UTF-8, with exactly the fields that are set."""
    headed = document.model_copy(update={"format": document.format, "version": document.version})
    return headed.model_dump_json(indent=1, exclude_unset=True).encode() + b"\n"


def set_fields(one: BaseModel) -> Sequence[str]:
    """Return the names of the fields that the source knew, in the order of the model."""
    return [name for name in type(one).model_fields if name in one.model_fields_set]
