"""The `gatepost` command: names of commands, which their packages have, and what these share."""
