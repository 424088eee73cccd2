"""Errors of the protocols, from `gatepost.peer`."""

from gatepost.peer.errors import PeerError

__all__ = ["PeerError"]
