"""The life of a daemon: sockets, privileges, workers, signals, reload, drain."""

from gatepost.daemon.open_files import allow_open_files
from gatepost.daemon.prefork import Control, Prefork
from gatepost.daemon.privileges import drop_privileges
from gatepost.daemon.reload import Current
from gatepost.daemon.socket_files import SocketFiles
from gatepost.daemon.sockets import (
    explain,
    listening_socket,
    metrics_server,
    remove_stale_socket,
    set_socket_access,
)
from gatepost.daemon.watch import Watch
from gatepost.errors import StartError

__all__ = [
    "Control",
    "Current",
    "Prefork",
    "SocketFiles",
    "StartError",
    "Watch",
    "allow_open_files",
    "drop_privileges",
    "explain",
    "listening_socket",
    "metrics_server",
    "remove_stale_socket",
    "set_socket_access",
]
