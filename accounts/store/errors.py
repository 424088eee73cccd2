"""The errors of the datastore. Each message is one sentence for the person who asked.

Their names say what is the case, as a reader of the API has it.
"""

from __future__ import annotations


class DatastoreError(Exception):
    """The family; any other exception that leaves the datastore is a mistake of ours."""


class RefusalError(DatastoreError):
    """The datastore does not do it, and nothing was written.

    `action` and `subject` say what was tried, for the audit log; they are set on the way out.
    """

    action = ""
    subject = ""


class NoSuchObject(RefusalError):  # noqa: N818
    """There is no such object."""


class Invalid(RefusalError):  # noqa: N818
    """A value is not allowed: `field` names it, `text` says in a sentence what is."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}" if field else text)
        self.field = field
        self.text = text


class AlreadyThere(RefusalError):  # noqa: N818
    """There is such an object, or another that has its name."""


class Conflict(RefusalError):  # noqa: N818
    """The object was changed since the version that the change is made from."""


class DatastoreUnavailable(DatastoreError):  # noqa: N818
    """The database does not answer, or cannot write now: try again later.

    Never a reason to say that something is unknown.
    """
