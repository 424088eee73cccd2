"""The family of exceptions of this package."""

from __future__ import annotations

import errno

_NOT_THERE = frozenset(
    (
        *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.EINVAL, errno.EISDIR),  # it exists and is not a file
    )
)


class KeysError(ValueError):
    """A key is unusable or an operation is refused; the text is one line that says what to do."""


class NothingWaitsError(KeysError):
    """A domain has no key to activate."""


class LastKeyError(KeysError):
    """The last active key of a domain would be retired; the caller may force it."""


class OtherRecordError(KeysError):
    """Another record exists at the name of a key; the caller may replace it."""


class StillNeededError(KeysError):
    """Mail in transit still needs the record of a key; the caller may force the step.

    `still_signs` distinguishes a key that signs from one that was retired recently.
    """

    def __init__(self, text: str, *, still_signs: bool = False) -> None:
        super().__init__(text)
        self.still_signs = still_signs


def is_unreadable(error: BaseException) -> bool:
    """Return whether `error` is about something that exists but cannot be read now or by this user.

    A file that is missing or has the wrong content is not unreadable.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.errno not in _NOT_THERE
        cause = cause.__cause__
    return False
