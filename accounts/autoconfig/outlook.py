"""Autodiscover of Outlook: its request and the answers, in plain old XML.

[MS-OXDSCLI] sections 2.2.3 (request) and 2.2.4 (response), for servers of IMAP, POP3 and SMTP.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import Enum
from xml.parsers import expat

from accounts.autoconfig.markup import document, element
from accounts.autoconfig.settings import IMPLICIT_TLS, AutoconfigSettings, MailServer

MEDIA_TYPE = "text/xml"
MAX_REQUEST = 16_384
"""Octets of a request; Outlook's have about 400."""
MAX_DEPTH = 20
"""Levels of elements in a request; Outlook's have three."""
MAX_TEXT = 1024
"""Characters of a value in a request."""

_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_SETTINGS = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_TYPES = {
    "imaps": "IMAP",
    "imap": "IMAP",
    "pop3s": "POP3",
    "pop3": "POP3",
    "submissions": "SMTP",
    "submission": "SMTP",
}


class Refusal(Enum):
    """Reason for an answer without settings: its code and its sentence."""

    ADDRESS = (500, "The email address cannot be found.")
    REQUEST = (600, "Invalid Request")
    SCHEMA = (601, "The requested schema version is not supported.")


class QuestionError(ValueError):
    """The octets are not a request of Outlook."""


@dataclass(frozen=True, slots=True)
class OutlookQuestion:
    """A request of Outlook: the address, and the accepted form of the answer."""

    address: str
    schema: str

    @property
    def is_for_us(self) -> bool:
        """Return whether the answer may have the supported form; if none is named, it may."""
        return self.schema in ("", _SETTINGS)


def parse_question(octets: bytes) -> OutlookQuestion:
    """Parse a request; raises `QuestionError`.

    A document type is refused, because its entities could grow without bound or name files.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.ProcessingInstructionHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    if len(octets) > MAX_REQUEST:
        raise QuestionError(f"It has more than {MAX_REQUEST} octets.")
    try:
        parser.Parse(octets, True)  # expat takes no keyword
    except (expat.ExpatError, ValueError, LookupError) as error:
        # LookupError: an encoding that Python does not know
        raise QuestionError(f"It is not XML that can be read here: {error}") from None
    if "Request" not in reader.seen:
        raise QuestionError("It has no element Request.")
    return OutlookQuestion(reader.values["EMailAddress"], reader.values["AcceptableResponseSchema"])


class _Reader:
    """Handler of parser events that collects the two values of a request."""

    def __init__(self) -> None:
        self.values = {"EMailAddress": "", "AcceptableResponseSchema": ""}
        self.seen: set[str] = set()
        self._open: list[str] = []

    def refuse(self, *_: object) -> None:
        raise QuestionError("It has a document type or an instruction.")

    def start(self, name: str, _: object) -> None:
        # clients use several namespaces; the name follows it
        local = name.rpartition(" ")[2]
        self._open.append(local)
        if len(self._open) > MAX_DEPTH:
            raise QuestionError(f"It has more than {MAX_DEPTH} levels.")
        if local in self.values and local in self.seen:
            raise QuestionError(f"It has {local} twice.")
        if local in self.values or local == "Request":
            self.seen.add(local)

    def end(self, _: str) -> None:
        name = self._open.pop()
        if name in self.values:
            self.values[name] = self.values[name].strip()

    def text(self, text: str) -> None:
        name = self._open[-1]
        if name in self.values:
            self.values[name] += text
            if len(self.values[name]) > MAX_TEXT:
                raise QuestionError(f"{name} has more than {MAX_TEXT} characters.")


def settings_answer(settings: AutoconfigSettings, address: str) -> bytes:
    """Return the answer with the servers; the login is the address of the request."""
    protocols: dict[str, str] = {}
    for key, server in (*settings.incoming, *settings.outgoing):
        # Outlook uses the first one of each type
        protocols.setdefault(_TYPES[key], _protocol(key, server, address))
    account = element(
        "Account",
        [element("AccountType", "email"), element("Action", "settings"), *protocols.values()],
    )
    user = element("User", [element("DisplayName", settings.name or address)])
    return _answer(element("Response", [user, account], xmlns=_SETTINGS))


def refusal_answer(refusal: Refusal, now: datetime.datetime) -> bytes:
    """Return an answer without settings."""
    code, message = refusal.value
    error = element(
        "Error",
        [
            element("ErrorCode", str(code)),
            element("Message", message),
            element("DebugData"),
        ],
        Time=f"{now:%H:%M:%S.%f}",
        Id="0",
    )
    return _answer(element("Response", [error]))


def _answer(response: str) -> bytes:
    return document(element("Autodiscover", [response], xmlns=_RESPONSE))


def _protocol(key: str, server: MailServer, address: str) -> str:
    parts = [
        element("Type", _TYPES[key]),
        element("Server", server.host),
        element("Port", str(server.port)),
        element("DomainRequired", "off"),
        element("LoginName", address),
        element("SPA", "off"),
        # Programs that know Encryption ignore SSL. Others must not conclude that there is no TLS.
        element("SSL", "on"),
        element("Encryption", "SSL" if key in IMPLICIT_TLS else "TLS"),
        element("AuthRequired", "on"),
    ]
    if _TYPES[key] == "SMTP":
        parts += [element("UsePOPAuth", "off"), element("SMTPLast", "off")]
    return element("Protocol", parts)
