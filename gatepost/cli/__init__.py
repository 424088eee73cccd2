"""The `gatepost` command: the names of the commands of all packages, and their common parts."""
