"""The one family of exceptions of this package."""

from __future__ import annotations

import errno

_NOT_THERE = frozenset(
    (
        *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.EINVAL, errno.EISDIR),  # it is there, and is no file
    )
)


class KeysError(ValueError):
    """Something about keys cannot be used or done; the text is one line that says what to do."""


class NothingWaitsError(KeysError):
    """A domain has no key that could be activated."""


class LastKeyError(KeysError):
    """The last active key of a domain would be retired; the caller may insist."""


class OtherRecordError(KeysError):
    """Another record stands where that of a key is to be; the caller may replace it."""


class StillNeededError(KeysError):
    """Mail under way still needs the record of a key; the caller may insist.

    `still_signs` tells a key that signs from one that was retired a short while ago.
    """

    def __init__(self, text: str, *, still_signs: bool = False) -> None:
        super().__init__(text)
        self.still_signs = still_signs


def is_unreadable(error: BaseException) -> bool:
    """Tell whether `error` is about something that is there and cannot be read now or by us.

    A file that is missing or has the wrong content is not unreadable.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.errno not in _NOT_THERE
        cause = cause.__cause__
    return False
