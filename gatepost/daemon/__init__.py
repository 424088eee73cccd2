"""The life of a daemon: sockets, privileges, workers, signals, reload, probes and drain.

`starting` does the common start, a `Reloader` rebuilds the daemon's objects when its configuration
changes, and `run_single` or `run_prefork` serves until SIGTERM. A `RequestServer` answers the
requests of a byte protocol.
"""

from gatepost.daemon.acceptor import Acceptor, RareWarnings
from gatepost.daemon.current import Current
from gatepost.daemon.listeners import Listeners
from gatepost.daemon.prefork import run_prefork
from gatepost.daemon.reloader import Reloader
from gatepost.daemon.request_bounds import ConnectionBounds, ServerCounts
from gatepost.daemon.request_server import RequestServer
from gatepost.daemon.single import Served, run_single
from gatepost.daemon.socket_files import SocketFiles
from gatepost.daemon.sockets import listening_socket
from gatepost.daemon.start import Load, Started, starting
from gatepost.daemon.watch import Watch
from gatepost.daemon.workers import Control, Prefork
from gatepost.errors import StartError

__all__ = [
    "Acceptor",
    "ConnectionBounds",
    "Control",
    "Current",
    "Listeners",
    "Load",
    "Prefork",
    "RareWarnings",
    "Reloader",
    "RequestServer",
    "Served",
    "ServerCounts",
    "SocketFiles",
    "StartError",
    "Started",
    "Watch",
    "listening_socket",
    "run_prefork",
    "run_single",
    "starting",
]
