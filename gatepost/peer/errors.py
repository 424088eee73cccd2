"""Errors of the protocols: octets that a peer should not have sent."""

from __future__ import annotations


class PeerError(Exception):
    """A peer is away or broke its protocol; the text says how, in a part of a sentence."""
