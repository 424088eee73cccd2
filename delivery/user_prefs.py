"""File `user_prefs`, from which spamd reads the settings of one user.

It has only settings that are safe for a user: languages and scores of rules. Rules are not among
them, because a regular expression of one user can keep spamd busy for hours.
"""

from __future__ import annotations

import hashlib
from typing import Final

from delivery.preferences import ScanWishes
from delivery.user import SITE, SpamUser
from gatepost.filter_preferences import ANY_LANGUAGE

MARK: Final = b"# Gatepost writes this file from the preferences in accounts.\n"
"""The first line; a file without it is the administrator's."""

SHARED_PREFIX: Final = "prefs-"
"""Beginning of the names of users that stand for all mailboxes with the same preferences."""

_SCRIPTS: Final = {
    "ja": "ja",
    "ko": "ko",
    "th": "th",
    **dict.fromkeys(("be", "bg", "ru", "sr", "uk"), "ru"),
    **dict.fromkeys(("zh", "zh.big5", "zh.gb2312"), "zh"),
}
"""Character sets beyond those of Europe that a language needs, as `ok_locales` calls them."""

_READ_ONLY: Final = ("bayes_auto_learn 0", "bayes_auto_expire 0", "bayes_journal_max_size 0")
"""Settings with which a scan changes nothing in the Bayes data of the site but a journal."""


def prefs_text(wishes: ScanWishes, *, is_shared: bool = False) -> bytes:
    """Return the content of the file, whose values were validated when they were read."""
    lines = []
    if wishes.languages == (ANY_LANGUAGE,):
        lines += ["ok_languages all", "ok_locales all"]
    elif wishes.languages:
        scripts = {_SCRIPTS[one] for one in wishes.languages if one in _SCRIPTS}
        lines.append(f"ok_languages {' '.join(wishes.languages)}")
        lines.append(f"ok_locales {' '.join(['en', *sorted(scripts)])}")
    lines += [f"score {rule} {score:.3f}" for rule, score in wishes.rule_scores]
    if is_shared:
        lines += _READ_ONLY
    return MARK + "".join(f"{line}\n" for line in lines).encode("ascii")


def shared_user(text: bytes) -> SpamUser:
    """Return the user that stands for all mailboxes with this text and without data of their own.

    The name is one of `SITE`'s domain, so no mailbox has it.
    """
    return SpamUser(SHARED_PREFIX + hashlib.sha256(text).hexdigest()[:32], SITE.domain)


def is_ours(text: bytes) -> bool:
    """Return whether a file may be replaced: we wrote it, or it sets nothing."""
    lines = text.splitlines()
    return text.startswith(MARK) or all(line.strip()[:1] in (b"", b"#") for line in lines)
