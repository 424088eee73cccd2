"""Overview in the words of a visitor: names, and what needs attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from accounts.directory.key_worries import KeyWorry
from accounts.journal.tally import MailOutcome

Gettext = Callable[[str], str]


class Fault(NamedTuple):
    """A sentence about what needs attention. `said` is in the words of a daemon; `path` leads to
    where it can be mended."""

    text: str
    said: str = ""
    path: str = ""


def outcomes(_: Gettext) -> dict[str, str]:
    """Return the names of outcomes."""
    return {
        MailOutcome.ACCEPTED: _("Accepted into the queue"),
        MailOutcome.DELIVERED: _("Delivered to mailboxes"),
        MailOutcome.SENT: _("Sent to other servers"),
        MailOutcome.JUNK: _("Delivered as spam"),
        MailOutcome.QUARANTINED: _("Held, or in quarantine"),
        MailOutcome.GREYLISTED: _("Delayed by the greylist"),
        MailOutcome.RETURNED: _("Let through by the greylist after a delay"),
        MailOutcome.POSTPONED: _("Told to come later"),
        MailOutcome.REFUSED: _("Refused"),
        MailOutcome.REMOVED: _("Discarded or sent elsewhere by a rule"),
    }


def services(_: Gettext) -> dict[str, str]:
    """Return the names of the daemons."""
    return {
        "milters": _("Milter"),
        "policyd": _("Policy server"),
        "delivery": _("Delivery"),
        "accounts": _("Accounts"),
        "postfix": _("Postfix"),
    }


def places(_: Gettext) -> dict[str, str]:
    """Return the names of what takes space."""
    return {"datastore": _("Datastore"), "journal": _("Record of mail")}


def faults(overview: dict[str, Any], _: Gettext) -> list[Fault]:
    """Return what needs attention, the worst first."""
    found = []
    named = services(_)
    for one in overview["daemons"] or ():
        who = f"{named[one['component']]} ({one['instance']})"
        if one["is_silent"]:
            found.append(Fault(_("%s has not reported for a while.") % who))
        found += [Fault(_("%s reports a problem:") % who, line) for line in one["problems"]]
        found += [Fault(_("%s works, but:") % who, line) for line in one["remarks"]]
        if (queue := one["queue"]) is not None and queue["is_old"]:
            hours = (overview["at"] - queue["oldest"]) // 3600
            text = _("Mail has waited in the queue of %(host)s for %(hours)d hours.")
            found.append(Fault(text % {"host": one["instance"], "hours": hours}))
    where = places(_)
    found += [
        Fault(_("The disk is almost full: %s.") % where[one["name"]])
        for one in overview["disks"] or ()
        if one["is_low"]
    ]
    for key in overview["keys"]:
        path = f"/domains/{key['domain']}/keys"
        found.append(Fault(_worry(key, _), path=path))
    found += [
        Fault(
            _("DNS records of %s are wrong or missing.") % one["domain"],
            path=f"/domains/{one['domain']}/dns",
        )
        for one in overview["domains"]["wrong"]
    ]
    return found


def _worry(key: dict[str, Any], _: Gettext) -> str:
    texts = {
        KeyWorry.MISSING: _("%(domain)s has no DKIM key that signs."),
        KeyWorry.WAITING: _("A DKIM key of %(domain)s waits to be activated: %(selector)s."),
        KeyWorry.OLD: _("A DKIM key of %(domain)s has signed for more than a year: %(selector)s."),
    }
    return str(texts[KeyWorry(key["worry"])] % key)
