"""What the project's targets need of the machine, and how to see whether it is there."""

from __future__ import annotations

import importlib.util
import shutil
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Also the folders of the system administrator, which PATH of other users often lacks."""

_LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib")


@dataclass(frozen=True)
class Need:
    """One thing that has to be there.

    `packages` are the Debian packages that bring it, any of them; the first that the release has
    is installed.
    """

    name: str
    packages: tuple[str, ...]
    is_there: Callable[[], bool]


def _program(*names: str) -> Callable[[], bool]:
    return lambda: any(
        shutil.which(name) or shutil.which(name, path=_PATH) is not None for name in names
    )


def _header(path: str) -> Callable[[], bool]:
    folders = ("/usr/include", "/usr/local/include")
    return lambda: any((Path(folder) / path).exists() for folder in folders)


def _library(name: str) -> Callable[[], bool]:
    patterns = (name, f"*/{name}")
    return lambda: any(
        next(Path(folder).glob(pattern), None) is not None
        for folder in _LIBRARY_FOLDERS
        for pattern in patterns
    )


def _shared(name: str) -> Callable[[], bool]:
    return lambda: (Path("/usr/share") / name).exists()


def _virtual_environments() -> bool:
    # Debian splits ensurepip off into python3-venv
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


def _python_header() -> bool:
    return (Path(sysconfig.get_paths()["include"]) / "Python.h").exists()


VENV = Need("Python's venv", ("python3-venv",), _virtual_environments)
COMPILER = Need("a C compiler", ("gcc",), _program("gcc", "cc"))
PYTHON_HEADER = Need("Python's C header", ("python3-dev",), _python_header)
LIBC_HEADER = Need("the C library's headers", ("libc6-dev",), _header("stdlib.h"))
LIBMILTER = Need("libmilter", ("libmilter-dev",), _header("libmilter/mfapi.h"))
POSTFIX = Need("Postfix", ("postfix",), _program("postconf"))
SMTP_SOURCE = Need("smtp-source", ("postfix",), _program("smtp-source"))
SWAKS = Need("swaks", ("swaks",), _program("swaks"))
OPENDKIM_TOOLS = Need("opendkim-testmsg", ("opendkim-tools",), _program("opendkim-testmsg"))
OPENDKIM = Need("opendkim", ("opendkim",), _program("opendkim"))
RESOLV_WRAPPER = Need("resolv_wrapper", ("libresolv-wrapper",), _library("libresolv_wrapper.so*"))
VALKEY = Need(
    "Valkey or Redis", ("valkey-server", "redis-server"), _program("valkey-server", "redis-server")
)

UNSHARE = Need("unshare", ("util-linux",), _program("unshare"))
IP = Need("ip", ("iproute2",), _program("ip"))
OPENDMARC = Need("opendmarc", ("opendmarc",), _program("opendmarc"))
PUBLIC_SUFFIXES = Need("the public suffix list", ("publicsuffix",), _shared("publicsuffix"))
RSPAMD = Need("rspamd", ("rspamd",), _program("rspamd"))
POLICYD_SPF = Need("policyd-spf", ("postfix-policyd-spf-python",), _program("policyd-spf"))
POSTGREY = Need("postgrey", ("postgrey",), _program("postgrey"))
SQLGREY = Need("sqlgrey", ("sqlgrey",), _program("sqlgrey"))
PERL_SQLITE = Need("SQLite for Perl", ("libdbd-sqlite3-perl",), _shared("doc/libdbd-sqlite3-perl"))

PODMAN = Need("podman", ("podman",), _program("podman"))

_BUILD = (VENV,)
_ORACLE = (COMPILER, LIBC_HEADER, PYTHON_HEADER, LIBMILTER)
"""What pip compiles pymilter with."""
_LOAD = (COMPILER, LIBC_HEADER)
"""The benchmarks' load generators are in C."""
_NETWORK = (UNSHARE, IP)
_POLICY_PEERS = (POLICYD_SPF, POSTGREY, SQLGREY, PERL_SQLITE)
_PEERS = (
    *(OPENDKIM, OPENDMARC, PUBLIC_SUFFIXES, RSPAMD, *_POLICY_PEERS, PODMAN),
    *(PYTHON_HEADER, LIBMILTER),  # dkimpy-milter builds pymilter
)
_MAIL = (POSTFIX, SWAKS, OPENDKIM_TOOLS, RESOLV_WRAPPER)


@dataclass(frozen=True)
class Purpose:
    """What one target needs: things of the machine, and groups of Python packages."""

    needs: tuple[Need, ...]
    groups: tuple[str, ...]
    wishes: tuple[Need, ...] = ()
    """What it does without, less well, where the release has no such package."""


PURPOSES = {
    "install": Purpose(_BUILD, ("unit", "lint")),
    "demo": Purpose(_BUILD + _MAIL, ("testbed",)),
    "test": Purpose((*_BUILD, *_ORACLE, *_MAIL, OPENDKIM, VALKEY), ("test", "lint")),
    "fuzz": Purpose((*_BUILD, *_ORACLE), ("test",)),
    "stack": Purpose((*_BUILD, IP, SWAKS, SMTP_SOURCE, PODMAN), ("unit", "lint")),
    "chart": Purpose(_BUILD, ("unit", "lint", "chart")),
    "bench": Purpose((*_BUILD, *_LOAD, *_NETWORK, POSTFIX, VALKEY), ("testbed",), _PEERS),
}
"""By the word that ``--for`` takes. Groups are those of [dependency-groups] in pyproject.toml."""


def missing(needs: Sequence[Need]) -> list[Need]:
    """Those that are not there."""
    return [need for need in needs if not need.is_there()]
