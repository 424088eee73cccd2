"""The configuration: one gatepost.toml, read into typed, frozen models.

`Section` is the base of every table; `load()` reads file and environment; `ConfigError` lists every
problem with its file, line and key.
"""

from gatepost.config.changes import (
    AT_START,
    files_read_at_start,
    keys_at_start,
    waiting_for_a_start,
)
from gatepost.config.ground import DnsSettings, GroundSettings, LogSettings
from gatepost.config.load import Loaded, load
from gatepost.config.section import Section
from gatepost.config.server import (
    DrainGrace,
    IdleTimeout,
    MaxConnections,
    MetricsAddress,
    MoreAddresses,
    RunAs,
    ServedAddresses,
    ServerSettings,
    SocketMode,
)
from gatepost.config.types import (
    BackendAddress,
    BasePath,
    Duration,
    FreshPath,
    FreshSecretPath,
    Hostname,
    ListenAddress,
    ListenAddresses,
    Network,
    OwnNetworks,
    SecretFile,
    SecretPath,
    Size,
    WatchedPath,
    WrittenPath,
)
from gatepost.config.watched import Unwatched, Watched, watched_paths
from gatepost.errors import ConfigError

__all__ = [
    "AT_START",
    "BackendAddress",
    "BasePath",
    "ConfigError",
    "DnsSettings",
    "DrainGrace",
    "Duration",
    "FreshPath",
    "FreshSecretPath",
    "GroundSettings",
    "Hostname",
    "IdleTimeout",
    "ListenAddress",
    "ListenAddresses",
    "Loaded",
    "LogSettings",
    "MaxConnections",
    "MetricsAddress",
    "MoreAddresses",
    "Network",
    "OwnNetworks",
    "RunAs",
    "SecretFile",
    "SecretPath",
    "Section",
    "ServedAddresses",
    "ServerSettings",
    "Size",
    "SocketMode",
    "Unwatched",
    "Watched",
    "WatchedPath",
    "WrittenPath",
    "files_read_at_start",
    "keys_at_start",
    "load",
    "waiting_for_a_start",
    "watched_paths",
]
