"""Server that starts a program for each connection, as Postfix's spawn(8) does.

python -m tools.bench.spawn SOCKET PROGRAM [ARGUMENT …]
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path


def main(path: str, *command: str) -> None:
    """Serve until killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended programs are not waited for
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    Path(path).chmod(0o666)
    listener.listen(64)
    children = []
    while True:
        connection, _ = listener.accept()
        children.append(
            subprocess.Popen(command, stdin=connection.fileno(), stdout=connection.fileno())
        )
        connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
