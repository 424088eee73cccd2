"""Backups of a whole mail system: a folder of parts, each written and checked by its owner."""
