"""Settings of the section `[accounts.autoconfig]`: the servers that are announced to mail
programs."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, Self, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from accounts.address import AccountAddressError, parse_domain
from gatepost.config import SecretPath, Section

MAX_NAME = 100
"""Characters of the name of the service."""
MAX_URL = 300
"""Characters of the address of webmail."""


class MailServer(NamedTuple):
    """A host, as its certificate names it, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def _parse_server(value: Any) -> MailServer:
    if isinstance(value, MailServer):
        return value
    host, _, port = str(value).rpartition(":")
    if not (
        host and port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
    ):
        raise ValueError(f'{value!r} is not a server: write "mail.example.org:993"')
    try:
        return MailServer(parse_domain(host), int(port))
    except AccountAddressError:
        raise ValueError(
            f"{value!r} is not a server: programs need a host name, which is in the certificate"
        ) from None


ServerAddress: TypeAlias = Annotated[
    MailServer, BeforeValidator(_parse_server), PlainSerializer(str, return_type=str)
]

INCOMING = ("imaps", "imap", "pop3s", "pop3")
"""Keys of the servers for reading mail, in order of recommendation."""
OUTGOING = ("submissions", "submission")
"""Keys of the servers for sending mail, in order of recommendation."""
IMPLICIT_TLS = ("imaps", "pop3s", "submissions")
"""Keys of servers with implicit TLS; the others use STARTTLS (RFC 8314 section 3)."""


class AutoconfigSettings(Section):
    """The servers that autoconfig announces to mail programs. Without any, nothing is served."""

    imaps: ServerAddress | None = Field(
        default=None,
        description='The IMAP server with TLS from the start, as `"mail.example.org:993"`. The '
        "names of these keys are those of the SRV records (RFC 6186, RFC 8314).",
    )
    imap: ServerAddress | None = Field(
        default=None, description="The IMAP server with STARTTLS, port 143."
    )
    pop3s: ServerAddress | None = Field(
        default=None, description="The POP3 server with TLS from the start, port 995."
    )
    pop3: ServerAddress | None = Field(
        default=None, description="The POP3 server with STARTTLS, port 110."
    )
    submissions: ServerAddress | None = Field(
        default=None, description="The submission server with TLS from the start, port 465."
    )
    submission: ServerAddress | None = Field(
        default=None, description="The submission server with STARTTLS, port 587."
    )
    sieve: ServerAddress | None = Field(
        default=None,
        description="The ManageSieve server, port 4190. Only SRV records announce it (RFC 5804).",
    )
    web_host: str = Field(
        default="",
        max_length=253,
        description="The host of the web server that passes requests for `autoconfig` and "
        "`autodiscover` on to `http_listen`. `gatepost domain check` expects records for it.",
    )
    name: str = Field(
        default="",
        max_length=MAX_NAME,
        description="The name of the service that programs show; if empty, they show the domain.",
    )
    webmail: str = Field(
        default="",
        max_length=MAX_URL,
        pattern=r"^(https://[!#-;=?-~]+)?$",
        description="The address of webmail, which some programs show.",
    )
    profile_key_file: SecretPath | None = Field(
        default=None,
        description="A PEM file with a private key, its certificate, and the intermediate "
        "certificates. It signs profiles for Apple's devices; without it, devices "
        "show them as unsigned.",
    )

    @property
    def is_offered(self) -> bool:
        """Return whether any server is configured."""
        return bool(self.incoming)

    @property
    def incoming(self) -> tuple[tuple[str, MailServer], ...]:
        """Return the servers for reading mail, each with its key, the best first."""
        return self._servers(INCOMING)

    @property
    def outgoing(self) -> tuple[tuple[str, MailServer], ...]:
        """Return the servers for sending mail, each with its key, the best first."""
        return self._servers(OUTGOING)

    @property
    def services(self) -> dict[str, MailServer]:
        """Return all servers by the names of their SRV records, that of autodiscover included."""
        found = dict(self._servers((*INCOMING, *OUTGOING, "sieve")))
        if self.web_host and self.is_offered:
            found["autodiscover"] = MailServer(self.web_host, 443)
        return found

    def _servers(self, keys: tuple[str, ...]) -> tuple[tuple[str, MailServer], ...]:
        found = ((key, getattr(self, key)) for key in keys)
        return tuple((key, server) for key, server in found if server is not None)

    @field_validator("web_host")
    @classmethod
    def _check_host(cls, text: str) -> str:
        return parse_domain(text) if text else ""

    @field_validator("name")
    @classmethod
    def _check_name(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("a name is one line of printable characters")
        return text

    @model_validator(mode="after")
    def _check_both(self) -> Self:
        if bool(self.incoming) != bool(self.outgoing):
            raise ValueError(
                "programs need both: one of imaps, imap, pop3s and pop3, and one of submissions "
                "and submission"
            )
        return self
