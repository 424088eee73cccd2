"""Interface of the protocols with one answer, from `gatepost.peer`."""

from gatepost.peer.answer_reader import AnswerReader

__all__ = ["AnswerReader"]
