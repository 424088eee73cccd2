"""The `gatepost` command: the composition root that joins daemons, configuration and ground."""
