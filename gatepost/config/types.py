"""Types of values in gatepost.toml, with the forms in which they may be written.

An invalid value raises `ValueError` with a sentence that says what is allowed; the loader prepends
file, line and key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo

from gatepost import listen
from gatepost.config.networks import require_own
from gatepost.config.watched import Unwatched, Watched
from gatepost.files import open_regular
from msgauth.domain import DomainError, to_alabels

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?\Z", re.IGNORECASE)
_FACTOR = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

SECRET_MAX = 65536
"""Maximum bytes of a secret file: no key, password or token is longer."""


def parse_duration(value: Any) -> float:
    """Parse seconds from a number, or from text such as ``"90s"``, ``"5m"``, ``"1h30m"``, ``"2d"``.

    "10 min", as commands print it for people, is the same as "10m".
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and value.strip():
        text = value.strip()
        if re.fullmatch(r"\d+(?:\.\d+)?", text):
            seconds = float(text)
        elif "".join(n + unit for n, unit in _PART.findall(text)) == text.replace(" ", ""):
            seconds = sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))
        else:
            raise ValueError(f'{value!r} is not a duration: write seconds, or "90s", "5m", "2d"')
    else:
        raise ValueError(f'{value!r} is not a duration: write seconds, or "90s", "5m", "2d"')
    if not 0 <= seconds < 10 * 366 * 86400:  # also refuses nan and inf
        raise ValueError(f"{value!r} is not a duration between 0 and ten years")
    return seconds


def print_duration(seconds: float) -> str:
    """Return the shortest form that `parse_duration` reads back as the same number of seconds."""
    for unit in ("w", "d", "h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds / _SECONDS[unit])}{unit}"
    return f"{seconds:g}s"


def parse_size(value: Any) -> int:
    """Parse bytes from a whole number, or from text such as ``"64K"``, ``"10M"``, ``"1G"``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.match(value.strip())):
        return int(match[1]) * _FACTOR[match[2].upper()]
    raise ValueError(f'{value!r} is not a size: write bytes, or "64K", "10M", "1G"')


def _print_size(size: int) -> str:
    for unit in ("G", "M", "K"):
        if size and size % _FACTOR[unit] == 0:
            return f"{size // _FACTOR[unit]}{unit}"
    return str(size)


def parse_network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Parse a network, or a single address, with a slash or without; host bits must be zero."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(str(value).strip())
    except ValueError as error:
        raise ValueError(
            f"{value!r} is not a network: {error}; write 192.0.2.0/24 or 2001:db8::/32"
        ) from None


def parse_mode(value: Any) -> int:
    """Parse the mode of a file from an octal text such as ``"0660"``, or from a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        mode = value
    elif isinstance(value, str) and value and set(value) <= set("01234567"):
        mode = int(value, 8)
    else:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f'{value!r} is not a file mode: write "0660"')
    return mode


def _parse_listen(value: Any) -> listen.SocketAddress:
    if isinstance(value, listen.Inet | listen.Unix):
        return value
    return listen.parse(str(value))


def _check_target(address: listen.SocketAddress) -> listen.SocketAddress:
    if isinstance(address, listen.Inet) and not address.host:
        raise ValueError(f"{address} has no host to connect to: write inet:PORT@HOST")
    return address


def _parse_listens(value: Any) -> tuple[listen.SocketAddress, ...]:
    """Parse one address, or a list of them."""
    several = value if isinstance(value, list | tuple) else [value]
    addresses = tuple(map(_parse_listen, several))
    if len(set(addresses)) != len(addresses):
        raise ValueError("an address is listed twice")
    return addresses


def _print_listens(addresses: tuple[listen.SocketAddress, ...]) -> str | list[str]:
    return str(addresses[0]) if len(addresses) == 1 else list(map(str, addresses))


class SecretFile:
    """A file with a secret; the secret itself is never in the configuration.

    `read()` returns the content without the final newline. The file is read when it is needed, so
    that a reload sees a rotated secret.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes:
        """Read the secret; raises `OSError`, or `ValueError` if others may read it."""
        with open_regular(self.path) as file:
            mode = os.fstat(file.fileno()).st_mode
            # Kubernetes mounts a Secret group-readable for a pod with an fsGroup
            if mode & (stat.S_IROTH | stat.S_IWOTH):
                raise ValueError(
                    f"{self.path} is accessible to everybody (mode {stat.S_IMODE(mode):04o}): "
                    f"chmod o-rwx {self.path}"
                )
            secret = file.read(SECRET_MAX + 1)
        if len(secret) > SECRET_MAX:
            raise ValueError(f"{self.path} is larger than {SECRET_MAX} bytes")
        if not secret.strip():
            raise ValueError(f"{self.path} is empty")
        return secret.rstrip(b"\r\n")

    def read_text(self, encoding: str = "utf-8") -> str:
        """Read the secret as text, like `read`; `ValueError` also if it is not text."""
        try:
            return self.read().decode(encoding)
        except UnicodeDecodeError:
            raise ValueError(f"{self.path} is not {encoding.upper()} text") from None

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"SecretFile({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretFile) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)


def _parse_path(value: Any, info: ValidationInfo) -> Path:
    """Parse a path; a relative one is relative to the folder of the configuration file."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{value!r} is not the path of a file or folder")
    directory = (info.context or {}).get("directory")
    return directory / value if isinstance(directory, Path) else Path(value)


def _parse_secret_file(value: Any, info: ValidationInfo) -> SecretFile:
    return value if isinstance(value, SecretFile) else SecretFile(_parse_path(value, info))


def parse_hostname(value: Any) -> str:
    """Parse a host or domain name into A-labels, lower-case, without the final dot."""
    try:
        return to_alabels(str(value).strip())
    except DomainError as error:
        raise ValueError(str(error)) from None


ListenAddress: TypeAlias = Annotated[
    listen.Inet | listen.Unix, BeforeValidator(_parse_listen), PlainSerializer(str)
]
BackendAddress: TypeAlias = Annotated[ListenAddress, AfterValidator(_check_target)]
"""Address of another server."""
ListenAddresses: TypeAlias = Annotated[
    tuple[listen.Inet | listen.Unix, ...],
    BeforeValidator(_parse_listens),
    PlainSerializer(_print_listens),
]
Duration: TypeAlias = Annotated[
    float, BeforeValidator(parse_duration), PlainSerializer(print_duration)
]
Size: TypeAlias = Annotated[int, BeforeValidator(parse_size), PlainSerializer(_print_size)]
Network: TypeAlias = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    BeforeValidator(parse_network),
    PlainSerializer(str),
]
OwnNetworks: TypeAlias = Annotated[tuple[Network, ...], AfterValidator(require_own)]
"""Somebody's own networks: a list that covers nearly the whole Internet is refused."""
FileMode: TypeAlias = Annotated[
    int, BeforeValidator(parse_mode), PlainSerializer(lambda mode: f"{mode:04o}")
]
Hostname: TypeAlias = Annotated[str, AfterValidator(parse_hostname)]
WatchedPath: TypeAlias = Annotated[Path, BeforeValidator(_parse_path), Watched(Path)]
"""A file or folder that is read again when it changes."""
WrittenPath: TypeAlias = Annotated[
    Path, BeforeValidator(_parse_path), Unwatched("the daemon writes it")
]
BasePath: TypeAlias = Annotated[
    Path, BeforeValidator(_parse_path), Unwatched("base folder of other names")
]
"""A base folder for relative names; the files themselves are watched."""
SecretPath: TypeAlias = Annotated[
    SecretFile,
    BeforeValidator(_parse_secret_file),
    PlainSerializer(str),
    Watched(lambda secret: secret.path),
]
FreshPath: TypeAlias = Annotated[
    Path, BeforeValidator(_parse_path), Unwatched("it is read at each use")
]
"""A file that is read at each use, so that no change of it has to be seen."""
FreshSecretPath: TypeAlias = Annotated[
    SecretFile,
    BeforeValidator(_parse_secret_file),
    PlainSerializer(str),
    Unwatched("it is read at each use"),
]
