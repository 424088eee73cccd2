"""Connections to other servers that are asked one thing, such as a scanner, on the event loop."""
