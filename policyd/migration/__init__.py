"""Readers of other policy servers' data, for the import commands alone."""
