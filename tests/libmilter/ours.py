"""A conversation played to our side: `milters.protocol` and `milters.conversation`, no socket."""

from __future__ import annotations

from milters.conversation import queue_id
from milters.protocol.errors import MilterProtocolError
from msgauth.drive import solve
from tests.libmilter.conversation import Conversation, Played, answers
from tests.libmilter.recording import WISHES, Recording, zone
from tests.unit.milters.mail import NOW
from tests.unit.milters.test_conversation import Mta


class Ours:
    """Follows an MTA that has these rules; `error` is why the connection was closed."""

    def __init__(self, conversation: Conversation) -> None:
        self._session = Recording(conversation.rules)
        self._mta = Mta(WISHES[conversation.wishes], self._session)
        self._said = b""
        self.error = ""
        self.has_ended = False
        """True once the connection is closed, in whatever way."""

    @property
    def in_message(self) -> bool:
        """Whether a message has begun that has neither ended nor been given up."""
        return self._mta.conversation.in_message

    def say(self, octets: bytes) -> bytes:
        """Follow the MTA; returns what it is answered."""
        if self.has_ended:
            return b""
        conversation, said = self._mta.conversation, b""
        conversation.receive_data(octets)
        try:
            while (end := conversation.advance()) is not None:
                lookup = self._session.end(queue_id(end), NOW)
                conversation.answer(solve(lookup, zone().resolve).actions)
        except MilterProtocolError as error:
            self.error = str(error)
        said = conversation.take_output()
        self.has_ended = bool(self.error) or conversation.has_ended
        self._said += said
        return said

    def played(self) -> Played:
        """Return all that came of it, the MTA having hung up."""
        self._session.abort()
        return Played(self._session.events, answers(self._said))


def play(conversation: Conversation) -> tuple[Played, str]:
    """Play all of it; returns what came of it, and why we closed the connection, if we did."""
    ours = Ours(conversation)
    ours.say(conversation.octets)
    return ours.played(), ours.error
