"""A Debian 13 under systemd in a container, for docs/debian.md."""
