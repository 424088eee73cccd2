"""Readers of other policy servers' data, used only by the import commands."""
