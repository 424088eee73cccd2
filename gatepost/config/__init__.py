"""The configuration: one gatepost.toml, read into typed, frozen models.

`Section` is the base of every table; `load()` reads file and environment; `ConfigError` lists every
problem with its file, line and key.
"""

from gatepost.config.changes import AT_START, waiting_for_a_start
from gatepost.config.ground import DnsSettings, GroundSettings, LogSettings
from gatepost.config.load import Loaded, load
from gatepost.config.section import Section
from gatepost.config.types import (
    Duration,
    FileMode,
    Hostname,
    ListenAddress,
    ListenAddresses,
    LocalPath,
    Network,
    OwnNetworks,
    SecretFile,
    SecretPath,
    Size,
)
from gatepost.errors import ConfigError, Problem

__all__ = [
    "AT_START",
    "ConfigError",
    "DnsSettings",
    "Duration",
    "FileMode",
    "GroundSettings",
    "Hostname",
    "ListenAddress",
    "ListenAddresses",
    "Loaded",
    "LocalPath",
    "LogSettings",
    "Network",
    "OwnNetworks",
    "Problem",
    "SecretFile",
    "SecretPath",
    "Section",
    "Size",
    "load",
    "waiting_for_a_start",
]
