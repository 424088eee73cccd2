"""What is wrong with what an MTA sends."""

from __future__ import annotations


class ProtocolError(Exception):
    """The MTA sent what the milter protocol does not allow, and cannot be followed any further.

    The connection has to be closed: the MTA then defers what it had in hand. The text says what is
    wrong, and shows nothing of the message.
    """
