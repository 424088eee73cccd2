"""The life of a daemon: sockets, privileges, workers, signals, reload, drain."""

from gatepost.daemon.acceptor import Acceptor
from gatepost.daemon.open_files import allow_open_files
from gatepost.daemon.owner import as_owner_of
from gatepost.daemon.prefork import Control, Prefork
from gatepost.daemon.privileges import drop_privileges
from gatepost.daemon.reload import Current
from gatepost.daemon.socket_files import SocketFiles
from gatepost.daemon.sockets import (
    explain,
    listening_socket,
    metrics_server,
)
from gatepost.daemon.watch import Watch
from gatepost.errors import StartError

__all__ = [
    "Acceptor",
    "Control",
    "Current",
    "Prefork",
    "SocketFiles",
    "StartError",
    "Watch",
    "allow_open_files",
    "as_owner_of",
    "drop_privileges",
    "explain",
    "listening_socket",
    "metrics_server",
]
