"""Authenticated Received Chain: verifies and seals (RFC 8617)."""
