"""yescrypt, the scheme of passwords in Debian's /etc/shadow, as the system's libcrypt checks it.

No Python library has it. Where libcrypt.so.1 is missing, the scheme is one that is not supported.
"""

from __future__ import annotations

import ctypes
import errno
import hmac
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from accounts.password_settings import MAX_MEMORY
from accounts.passwords.errors import BadHash, Busy, CostlyHash, UnknownScheme

_LIBRARY: Final = "libcrypt.so.1"
_DATA: Final = 32768
"""Octets of `struct crypt_data` (crypt(3))."""
_ALPHABET: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij"
"""The characters that stand for a whole number by themselves, 0 to 47."""
# the form that crypt_gensalt(3) writes: flags j, then cost and block size, 1 each
_FORM = re.compile(
    r"\$g?y\$j([./0-9A-Za-j])([./0-9A-Za-j])\$[./0-9A-Za-z]{0,86}\$[./0-9A-Za-z]{43}"
)


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
        library.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        library.crypt_r.restype = ctypes.c_char_p
    except (OSError, AttributeError):
        return None
    return library


@dataclass(frozen=True, slots=True)
class Yescrypt:
    """A hash of yescrypt, or of the variant with GOST R 34.11-2012."""

    scheme: str
    stored: str = field(repr=False)
    slow: bool = True

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the password has the stored hash; raises `Busy` when memory is short."""
        library = _library()
        if library is None:
            raise UnknownScheme(f"{self.scheme}: yescrypt needs {_LIBRARY}")
        stored = self.stored.encode()
        data = ctypes.create_string_buffer(_DATA)
        ctypes.set_errno(0)
        # the call releases the interpreter lock, and the result is in `data`
        made: bytes | None = library.crypt_r(password, stored, data)
        if made is None or made.startswith(b"*"):
            if ctypes.get_errno() == errno.ENOMEM:
                raise Busy("there is no memory to check a password")
            raise BadHash(f"{self.scheme}: {_LIBRARY} does not read this hash")
        return hmac.compare_digest(stored, made)


def read_yescrypt(scheme: str, text: str) -> Yescrypt:
    """Read `$y$j9T$salt$hash` or `$gy$...`; raises `BadHash`, `CostlyHash` or `UnknownScheme`."""
    if _library() is None:
        raise UnknownScheme(f"{scheme}: yescrypt needs {_LIBRARY}")
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadHash(f"{scheme}: not of the form $y$j9T$salt$hash")
    cost, size = (_ALPHABET.index(match[i]) + 1 for i in (1, 2))
    # 128 octets times block size times 2 to the cost
    if size << cost > MAX_MEMORY * 8:
        raise CostlyHash(f"{scheme}: more than {MAX_MEMORY >> 10} MiB")
    return Yescrypt(scheme, text)
