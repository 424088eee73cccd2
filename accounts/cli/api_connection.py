"""Connection of a command to the API: HTTP or HTTPS to a host, or HTTP over a unix socket."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from accounts.api_settings import ApiSettings
from accounts.cli.deadline import Deadline
from gatepost.errors import StartError


class ApiConnection(http.client.HTTPConnection):
    """Connection for one request at a time; each request opens it again.

    `deadline` is that of the current request.
    """

    def __init__(self, settings: ApiSettings) -> None:
        assert settings.url is not None  # noqa: S101
        self._timeout = settings.timeout
        self._trust: ssl.SSLContext | None = None
        self._socket: str | None = None
        self.deadline = Deadline(settings.timeout)
        if settings.url.startswith("unix:"):
            self._socket = settings.url.removeprefix("unix:")
            super().__init__("localhost")
            return
        url = urlsplit(settings.url)
        if url.scheme == "https":
            self._trust = _trust(settings.ca_file)
            self.default_port = 443
        super().__init__(url.hostname or "", url.port or self.default_port)

    def connect(self) -> None:
        """Connect, and begin the time of a request; raises `OSError`."""
        self.deadline = Deadline(self._timeout)
        self.response_class = self.deadline.response  # type: ignore[assignment]
        if self._socket is not None:
            self.sock = self._connected(socket.AF_UNIX, self._socket)
            return
        self.sock = self._connected_to_host()
        if self._trust is not None:
            self.deadline.limit(self.sock)
            self.sock = self._trust.wrap_socket(self.sock, server_hostname=self.host)

    def post(self, path: str, octets: bytes, headers: Mapping[str, str]) -> None:
        """Send a request; raises `OSError`. The answer is that of `getresponse`."""
        self.deadline.limit(self.sock)
        length = {"Content-Length": str(len(octets))}
        self.request("POST", path, self.deadline.pieces(self.sock, octets), {**headers, **length})

    def _connected_to_host(self) -> socket.socket:
        """Return a socket that is connected to the first address of the host that accepts it."""
        failure: OSError | None = None
        for family, _, _, _, address in socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        ):
            try:
                return self._connected(family, address)
            except OSError as error:
                failure = failure or error
        raise failure or OSError("the name of the host has no address")

    def _connected(self, family: int, address: object) -> socket.socket:
        made = socket.socket(family)
        try:
            self.deadline.limit(made)
            made.connect(address)  # type: ignore[arg-type]
        except OSError:
            made.close()
            raise
        return made


def _trust(file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if file is None else str(file))
    except (OSError, ssl.SSLError) as error:
        reason = "it has no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise StartError(f"cannot read the certificates in {file}: {reason}") from None
