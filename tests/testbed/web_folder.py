"""Web server for the files of a folder."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.testbed.closing import Closing


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        """Log nothing."""


class WebFolder(Closing):
    """A server on port 80 of an address; it serves what is in the folder at each request."""

    def __init__(self, host: str, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://{host}"
        self._server = ThreadingHTTPServer((host, 80), partial(_Quiet, directory=str(folder)))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the socket."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
