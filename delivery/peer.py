"""Connection to a scanner or a store, from `gatepost.peer`."""

from gatepost.peer.connection import PeerConnection, ask, connect

__all__ = ["PeerConnection", "ask", "connect"]
