"""Mail stores for the nightly training: who has a mailbox, and its mail."""

from __future__ import annotations

import http.client
import json
from typing import Any, Final

from delivery.learning_settings import NightSettings
from delivery.night.mail_reader import MailReader
from gatepost.doveadm import ask_doveadm, is_pattern
from gatepost.errors import StartError
from gatepost.listen import Inet

TIMEOUT: Final = 60.0
"""Seconds for an answer of doveadm."""
MAX_ANSWER: Final = 256 << 20
"""Octets of an answer: the names of all mailboxes."""


class MailStoreAccess:
    """The mail stores of one configuration, with the key that opens them."""

    def __init__(self, settings: NightSettings) -> None:
        if settings.key_file is None:
            raise StartError("delivery.night.key_file is not set: nobody's mail can be read")
        try:
            self._key = settings.key_file.read()
        except (OSError, ValueError) as error:
            raise StartError(f"delivery.night.key_file: {error}") from None
        self._settings = settings

    def users(self) -> list[str]:
        """Return all mailboxes; raises `StartError`."""
        answer = self._ask(self._settings.doveadm_url, "user", {"userMask": ["*"]})
        return read_users(answer)

    def open(self, user: str, store: str) -> MailReader:
        """Return a session with the mail of a user; raises `MailReaderError`, `StartError`."""
        address = self._settings.named.get(store) if store else self._settings.imap
        if not isinstance(address, Inet):
            raise StartError(f"delivery.night.named has no store {store!a}")
        return MailReader(address, user, self._settings.master_user, self._key)

    def move_to_junk(self, user: str, store: str, uid: int) -> None:
        """Move a message from INBOX to Junk; raises `StartError`.

        By doveadm, which runs no Sieve: a move by IMAP would be a lesson.
        """
        if is_pattern(user):
            raise StartError(f"doveadm takes {user} for the names of several users")
        url = self._settings.named_doveadm.get(store) if store else self._settings.doveadm_url
        if url is None:
            raise StartError(f"delivery.night.named_doveadm has no store {store!a}")
        query = ["mailbox", "INBOX", "uid", str(uid)]
        self._ask(url, "move", {"user": user, "destinationMailbox": "Junk", "query": query})

    def _ask(self, url: str, command: str, parameters: dict[str, Any]) -> Any:
        body = json.dumps([[command, parameters, "1"]]).encode()
        try:
            octets = ask_doveadm(url, self._key, body, timeout=TIMEOUT, max_answer=MAX_ANSWER)
            ((kind, payload, _),) = json.loads(octets)
        except (OSError, http.client.HTTPException) as error:
            raise StartError(f"doveadm at {url} does not answer: {error}") from None
        except (ValueError, TypeError, RecursionError):
            raise StartError(f"doveadm {command}: cannot parse the answer") from None
        if kind != "doveadmResponse":
            code = payload.get("exitCode") if isinstance(payload, dict) else "?"
            raise StartError(f"doveadm {command} fails (exit code {code}): see the log of Dovecot")
        return payload


def read_users(answer: Any) -> list[str]:
    """Return the users in an answer of doveadm; raises `StartError` for another answer.

    Dovecot 2.4 has them in an object, as `userList`, 2.3 in a list.
    """
    names = answer
    if isinstance(names, list) and names and isinstance(names[0], dict):
        names = names[0]
    if isinstance(names, dict):
        names = names.get("userList")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StartError(f"doveadm does not list the users: {str(answer)[:100]}")
    return sorted(set(names))
