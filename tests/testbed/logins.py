"""Authentication service for Postfix that speaks Dovecot's protocol.

The test supplies names and passwords. The protocol is Dovecot's "Authentication Protocol" version
1.1, which smtpd(8) speaks with ``smtpd_sasl_type = dovecot``: lines of words separated by tabs. The
service offers only PLAIN, which swaks and every mail client support.
"""

from __future__ import annotations

import base64
import binascii
import socketserver
from collections.abc import Mapping

from tests.testbed.closing import StreamServer
from tests.testbed.ports import LOOPBACK

_GREETING = "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t{:032x}\nDONE\n"

_LINE_MAX = 8192
"""Maximum octets of a line from Postfix, the same as in Dovecot."""


class LoginServer(StreamServer):
    """A server for `logins` (name to password) in a thread, from construction to `close()`."""

    def __init__(self, logins: Mapping[str, str], host: str = LOOPBACK) -> None:
        self.logins = dict(logins)
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(_GREETING.format(0).encode())
                while line := self.rfile.readline(_LINE_MAX):
                    if reply := answer(outer.logins, line.decode("latin-1").rstrip("\n")):
                        self.wfile.write(reply.encode() + b"\n")

        super().__init__(Handler, host)


def answer(logins: Mapping[str, str], line: str) -> str:
    """Return the answer to one line from Postfix; empty if the line needs none."""
    command, _, rest = line.partition("\t")
    number, _, parameters = rest.partition("\t")
    if command == "AUTH":
        _, is_complete, response = parameters.partition("resp=")
        if not is_complete:  # the client sends it after a challenge, which is empty
            return f"CONT\t{number}\t"
    elif command == "CONT":
        response = parameters
    else:  # VERSION and CPID introduce the client
        return ""
    try:
        # RFC 4616 section 2: [authzid] NUL authcid NUL passwd
        _, name, password = base64.b64decode(response, validate=True).decode().split("\0")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return f"FAIL\t{number}\treason=not a PLAIN response"
    if logins.get(name) == password:
        return f"OK\t{number}\tuser={name}"
    return f"FAIL\t{number}\tuser={name}"
