"""Readers of other milters' configuration, for the import commands alone."""
