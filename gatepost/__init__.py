"""Foundation of the daemons: configuration, DNS, logs, metrics, SMTP replies, daemon life.

`gatepost.cli` is the dispatcher of the `gatepost` command: it imports a daemon's commands by name,
when they run. Nothing else here imports a daemon.
"""

from gatepost.version import __version__

__all__ = ["__version__"]
