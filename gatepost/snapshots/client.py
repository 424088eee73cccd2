"""Client of accounts: a request for a snapshot, which waits until it has changed."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from gatepost.listen import Unix
from gatepost.listen import parse as parse_listen
from gatepost.snapshots.form import (
    GENERATION_FIELD,
    LINEAGE_FIELD,
    MAX_GENERATION,
    MAX_SIZE,
    MEDIA_TYPE,
    is_lineage,
)
from gatepost.snapshots.settings import AccountsSource

CONNECT_TIMEOUT = 10.0
SPARE = 15.0
"""Time limit in seconds for an answer to begin, on top of the wait, and for each part to arrive."""
TRANSFER_TIMEOUT = 120.0
"""Time limit in seconds for a whole snapshot."""
_PART = 65536
_MAX_TOKEN = 512


class FetchError(Exception):
    """There is no usable answer; `why` is the label of the metric."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


class Fetched(NamedTuple):
    """An answer: the snapshot, or None when it has not changed.

    `generation` and `lineage` are those of the data behind the answer.
    """

    data: bytes | None
    generation: int
    lineage: str


class SnapshotClient:
    """Client with one connection to accounts, opened when needed. Use it in one thread."""

    def __init__(
        self, source: AccountsSource, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._monotonic = monotonic
        self._connection: http.client.HTTPConnection | None = None

    def fetch(self, name: str, tag: str, wait: float) -> Fetched:
        """Wait up to `wait` seconds for a snapshot with another tag; raises `FetchError`."""
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "gzip"}
        if tag:
            headers["If-None-Match"] = f'"{tag}"'
        token = read_token(self._source)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            return self._ask(f"/snapshots/v1/{name}?wait={wait:g}", headers, wait)
        except FetchError:
            self.close()
            raise
        except ssl.SSLError as error:
            self.close()
            raise FetchError("away", f"TLS: {error.reason or error}") from None
        except (OSError, http.client.HTTPException, zlib.error) as error:
            self.close()
            raise FetchError("away", f"{type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _ask(self, target: str, headers: dict[str, str], wait: float) -> Fetched:
        connection = self._connection
        if connection is None:
            connection = self._connection = open_connection(self._source)
            connection.timeout = CONNECT_TIMEOUT
            connection.connect()
        # http.client drops the socket of a last answer, even before its end
        opened: socket.socket = connection.sock
        opened.settimeout(wait + SPARE)
        connection.request("GET", path_of(self._source) + target, headers=headers)
        response = connection.getresponse()
        opened.settimeout(SPARE)
        try:
            fetched = self._take(response)
        except BaseException:
            response.close()
            raise
        if response.will_close:
            self.close()
        return fetched

    def _take(self, response: http.client.HTTPResponse) -> Fetched:
        if response.status == HTTPStatus.NOT_MODIFIED:
            response.read()
            return Fetched(None, *_data_of(response))
        if response.status != HTTPStatus.OK:
            raise _refusal(response)
        if response.getheader("Content-Type") != MEDIA_TYPE:
            raise FetchError("invalid", "the answer is not a snapshot: is this address right?")
        told = _data_of(response)
        return Fetched(self._read(response), *told)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        encoding = response.getheader("Content-Encoding", "identity")
        if encoding not in ("gzip", "identity"):
            raise FetchError("invalid", f"the answer has the encoding {encoding[:40]!a}")
        unpack = zlib.decompressobj(31) if encoding == "gzip" else None
        data, end = bytearray(), self._monotonic() + TRANSFER_TIMEOUT
        while part := response.read1(_PART):
            # a highly compressed part must not fill the memory
            data += part if unpack is None else unpack.decompress(part, MAX_SIZE + 1 - len(data))
            if len(data) > MAX_SIZE or (unpack is not None and unpack.unconsumed_tail):
                raise FetchError("invalid", f"the answer has more than {MAX_SIZE} octets")
            if self._monotonic() > end:
                raise FetchError("away", f"the answer took more than {TRANSFER_TIMEOUT:g} s")
        # `read1` does not report a premature end
        if response.length or (unpack is not None and not unpack.eof):
            raise FetchError("away", "the answer broke off")
        return bytes(data)


def read_token(source: AccountsSource) -> str:
    """Return the token for accounts, empty without one; raises `FetchError`."""
    file = source.token_file
    if file is None:
        return ""
    try:
        token = file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise FetchError("refused", f"cannot read the token: {error}") from None
    if not token.isprintable() or " " in token or len(token) > _MAX_TOKEN:
        raise FetchError("refused", f"{file} has more than one token")
    return token


def path_of(source: AccountsSource) -> str:
    """Return the path in the URL of accounts, which comes before that of a request."""
    url = source.url or ""
    return urlsplit(url).path.rstrip("/") if "//" in url else ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def open_connection(source: AccountsSource) -> http.client.HTTPConnection:
    """Return a connection to accounts, which is not open yet."""
    url = source.url or ""
    if url.startswith("unix:"):
        address = parse_listen(url)
        if isinstance(address, Unix):
            return _UnixConnection(str(address.path))
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(
            cafile=None if source.ca_file is None else str(source.ca_file)
        )
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context)
    return http.client.HTTPConnection(parts.hostname or "", parts.port)


def _data_of(response: http.client.HTTPResponse) -> tuple[int, str]:
    """Return the generation and the lineage that an answer names."""
    text = response.getheader(GENERATION_FIELD, "")
    lineage = response.getheader(LINEAGE_FIELD, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 20) or not is_lineage(
        lineage
    ):  # digits of 2**63
        raise FetchError("invalid", "the answer does not name the generation of its data")
    return min(int(text), MAX_GENERATION), lineage


def _refusal(response: http.client.HTTPResponse) -> FetchError:
    status = response.status
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return FetchError("refused", f"accounts refuses it with {status}: the token is not right")
    return FetchError("away", f"accounts answers with {status}")
