"""Quarantine of the proxy: a folder of messages with a virus."""
