"""Notes: sentences about what was done, shown once on the page behind it.

The URL has the word of a note, never its text: nobody can make a page say something else.
"""

from __future__ import annotations

from collections.abc import Callable


def sentence(word: str, gettext: Callable[[str], str]) -> str:
    """Return the note with a word; empty if there is none."""
    _ = gettext
    return {
        "added": _("It was added."),
        "changed": _("The changes are saved."),
        "removed": _("It was removed."),
        "released": _("The mail was released."),
        "imported": _("The table is imported."),
        "restored": _("The mailbox is back."),
        "purging": _("The mail is removed as soon as possible."),
        "forgotten": _("The records are forgotten."),
        "forgotten-in-part": _("Not all policy servers answered: some records may still be there."),
        "moved": _("The order was changed."),
        "password": _("The password was changed. All other sessions have ended."),
        "ended": _("The session has ended."),
        "others-ended": _("All other sessions have ended."),
        "logged-out": _("You are logged out."),
        "activated": _("The key is active: mail is signed with it as soon as DNS has its record."),
        "retired": _("The key is retired: no mail is signed with it any more."),
        "factor-added": _("The second factor was added."),
        "factor-removed": _("The second factor was removed."),
        "factors-reset": _("The second factors were removed. All sessions of the account ended."),
    }.get(word, "")
