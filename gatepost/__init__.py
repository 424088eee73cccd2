"""Shared ground of the daemons: configuration, DNS, logs, metrics, SMTP replies, daemon life.

`gatepost.cli` is the `gatepost` command without its words: it imports a daemon's commands by name,
when they run. Nothing here imports a daemon otherwise.
"""

from gatepost.version import __version__

__all__ = ["__version__"]
