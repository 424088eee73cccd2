"""A whole mail system in containers on this machine: `make up` and `make down`."""
