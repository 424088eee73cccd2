"""Errors of the datastore. Each message is one sentence for the person who asked.

Their names describe the state that the API reports.
"""

from __future__ import annotations


class DatastoreError(Exception):
    """Base of the errors of the datastore; any other exception that leaves it is a bug."""


class RefusalError(DatastoreError):
    """The datastore refuses the operation; nothing was written.

    `action` and `subject` name the attempt for the audit log; they are set when the error leaves
    the transaction.
    """

    action = ""
    subject = ""


class NoSuchObject(RefusalError):  # noqa: N818
    """There is no such object."""


class Invalid(RefusalError):  # noqa: N818
    """A value is not allowed. `field` names it, `text` is a sentence that says what is allowed."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}" if field else text)
        self.field = field
        self.text = text


class AlreadyThere(RefusalError):  # noqa: N818
    """The object exists, or another one has its name."""


class Conflict(RefusalError):  # noqa: N818
    """The object has changed since the version that the caller saw."""


class DatastoreUnavailable(DatastoreError):  # noqa: N818
    """The database does not answer, or cannot write now; try again later.

    This never means that an object does not exist.
    """
