"""Shared ground of the daemons: configuration, DNS, logs, metrics, SMTP replies, daemon life.

`gatepost.cli` on top of it is the `gatepost` command. Nothing else here imports a daemon.
"""

from gatepost.version import __version__

__all__ = ["__version__"]
