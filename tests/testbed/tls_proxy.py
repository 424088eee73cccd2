"""A proxy that ends TLS and passes the octets on, as one before an HTTP service does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path

from tests.testbed.certificate import self_signed
from tests.testbed.closing import Closing
from tests.testbed.ports import LOOPBACK

TIMEOUT = 30.0


class TlsProxy(Closing):
    """A proxy before `target`, a port of loopback or the path of a unix socket, until `close()`.

    Its certificate is for `localhost`, and is in the file `certificate`.
    """

    def __init__(self, folder: Path, target: int | Path) -> None:
        certificate, key = self_signed("localhost")
        self.certificate = folder / "proxy.pem"
        self.certificate.write_text(certificate)
        (folder / "proxy.key").write_text(key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, folder / "proxy.key")
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections."""
        # a listening socket is woken up by shutdown alone
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(plain,), daemon=True).start()

    def _pass_on(self, plain: socket.socket) -> None:
        plain.settimeout(TIMEOUT)
        try:
            outer = self._context.wrap_socket(plain, server_side=True)
        except OSError:  # the client does not trust the certificate
            plain.close()
            return
        with outer, self._connect() as inner:
            back = threading.Thread(target=_copy, args=(inner, outer), daemon=True)
            back.start()
            _copy(outer, inner)
            back.join(TIMEOUT)

    def _connect(self) -> socket.socket:
        is_path = isinstance(self._target, Path)
        made = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
        made.settimeout(TIMEOUT)
        made.connect(str(self._target) if is_path else (LOOPBACK, self._target))
        return made


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
