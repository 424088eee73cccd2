"""Readers of other milters' configuration, used only by the import commands."""
