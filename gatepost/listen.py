"""Addresses on which daemons listen and to which clients connect, in the notations of Postfix and
opendkim.

``inet:PORT`` (all addresses), ``inet:PORT@HOST`` (opendkim's form), ``inet:HOST:PORT`` (Postfix's
form, so that the value can be copied from main.cf), ``inet:[2001:db8::1]:PORT``, and
``unix:/path/of/socket``, also written ``local:``.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")
_UNIX_PATH_MAX = 107  # sockaddr_un.sun_path of Linux, less the final NUL


class ListenError(ValueError):
    """The text is not a listen address; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Inet:
    """A TCP address; `host` is empty for every address of the machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"inet:{self.port}@{self.host}" if self.host else f"inet:{self.port}"

    @property
    def postfix(self) -> str:
        """As main.cf writes it."""
        host = self.host or "127.0.0.1"
        return f"inet:[{host}]:{self.port}" if ":" in host else f"inet:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    """A unix-domain socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"

    @property
    def postfix(self) -> str:
        """As main.cf writes it."""
        return str(self)


SocketAddress = Inet | Unix


def parse(text: str) -> SocketAddress:
    """Read a listen address; raises `ListenError`."""
    scheme, colon, rest = text.strip().partition(":")
    if scheme in ("unix", "local") and colon:
        return _unix(rest)
    if scheme in ("inet", "inet6") and rest:
        if "@" in rest:
            port, _, host = rest.partition("@")
        elif ":" in rest:
            host, _, port = rest.rpartition(":")
        else:
            host, port = "", rest
        return Inet(_host(host.removeprefix("[").removesuffix("]")), _port(port))
    raise ListenError(
        f"{text!r} is not an address to listen on: write inet:PORT, inet:PORT@HOST or unix:/PATH"
    )


def _unix(path: str) -> Unix:
    if not path.startswith("/"):
        raise ListenError(f"the path of a unix socket must be absolute: unix:/PATH, not {path!r}")
    try:
        size = len(os.fsencode(path))
    except UnicodeEncodeError:
        raise ListenError(f"{path!r} is not a valid path of a unix socket") from None
    if size > _UNIX_PATH_MAX:
        raise ListenError(f"the path of a unix socket has at most {_UNIX_PATH_MAX} bytes: {path}")
    return Unix(Path(path))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise ListenError(f"{text!r} is not a port: write a number from 1 to 65535")
    return int(text)


def _host(text: str) -> str:
    if text in ("", "*"):
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not _HOST.match(text):
            raise ListenError(f"{text!r} is neither an address nor a host name") from None
        return text
