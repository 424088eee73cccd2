"""Errors in the data that an MTA sends."""

from __future__ import annotations


class MilterProtocolError(Exception):
    """The MTA violated the milter protocol, so the stream is out of step.

    The connection must be closed: the MTA then defers the current message. The text describes the
    error, without content of the message.
    """
