"""States of mail in the words of a visitor, with advice for who cannot reach the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from accounts.journal.mail_state import MailState


class StateWords(NamedTuple):
    """A state as a heading, and what the owner of a mailbox can do."""

    heading: str
    advice: str


def words_of(state: str, gettext: Callable[[str], str]) -> StateWords:
    """Return the words for a state of the journal."""
    return _words(gettext)[MailState(state)]


def _words(_: Callable[[str], str]) -> dict[MailState, StateWords]:
    later = _("The sender's server tries again by itself.")
    about_a_rule = _("Ask your administrator about this rule.")
    return {
        MailState.DELIVERED: StateWords(
            _("Delivered"),
            _(
                "If it is not in the inbox, a filter of the mailbox has moved it, forwarded it or "
                "removed it."
            ),
        ),
        MailState.JUNK: StateWords(
            _("Delivered to Junk"),
            _(
                "Look in Junk. If it is no spam, move it to the inbox, and allow the sender on the "
                "page Spam."
            ),
        ),
        MailState.SENT: StateWords(
            _("Handed to another server"),
            _(
                "If it does not arrive, the recipient should look in Junk, or ask the "
                "administrator of that server."
            ),
        ),
        MailState.QUARANTINED: StateWords(
            _("Not delivered because of a virus"),
            _("If you expect this mail, ask your administrator to look at it."),
        ),
        MailState.QUEUED: StateWords(
            _("Waiting in our queue"), _("The next attempt comes by itself.")
        ),
        MailState.BOUNCED: StateWords(
            _("Not delivered"), _("The sender gets a bounce, which says why.")
        ),
        MailState.HELD: StateWords(_("Held"), _("Your administrator can release it.")),
        MailState.ACCEPTED: StateWords(
            _("Accepted"),
            _(
                "It is under way, or went to another server. If it does not arrive, give your "
                "administrator the queue id."
            ),
        ),
        MailState.GREYLISTED: StateWords(_("Delayed"), later),
        MailState.POSTPONED: StateWords(_("Not accepted yet"), later),
        MailState.REFUSED: StateWords(
            _("Refused"),
            _(
                "The sender was told why. If the mail is genuine, give your administrator the time "
                "and the reason."
            ),
        ),
        MailState.DISCARDED: StateWords(_("Discarded by a rule"), about_a_rule),
        MailState.FORWARDED: StateWords(_("Sent elsewhere by a rule"), about_a_rule),
        MailState.UNFINISHED: StateWords(
            _("Not received"),
            _(
                "The sender's server was refused, or went away before it sent the mail. The sender "
                "finds the reason in a bounce."
            ),
        ),
    }
