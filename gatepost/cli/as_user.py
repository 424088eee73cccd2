"""Work as another user, in a child process, so that this process keeps its own user."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterable
from typing import TypeAlias

from gatepost.cli.service import Account
from gatepost.errors import StartError

KeyRemarks: TypeAlias = list[tuple[str, str]]
"""Keys of the configuration, each with a sentence."""

MAX_ANSWER = 16 << 20
"""Maximum octets read from a child."""


def run_as(account: Account, work: Callable[[], Iterable[tuple[str, str]]]) -> KeyRemarks:
    """Return what `work` finds as `account`, with all its groups.

    Raises `StartError` if this user cannot become `account`, or if the child fails.
    """
    if account.is_me:
        return list(work())
    if os.geteuid() != 0:
        raise StartError(f"only root can check files as {account}")
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        _be_child(account, work, sender)
    os.close(sender)
    with open(receiver, "rb") as pipe:
        answer = pipe.read(MAX_ANSWER)
    os.waitpid(child, 0)
    try:
        found = json.loads(answer)
    except ValueError:
        raise StartError(f"checking files as {account} failed") from None
    if isinstance(found, str):
        raise StartError(f"checking files as {account} failed: {found}")
    return [(str(key), str(text)) for key, text in found]


def me() -> str:
    """Name this user, as the sentences about files do."""
    return f"uid {os.geteuid()}"


def _be_child(account: Account, work: Callable[[], Iterable[tuple[str, str]]], sender: int) -> None:
    answer = b""
    try:
        os.setgroups(sorted(account.groups))
        os.setgid(account.gid)
        os.setuid(account.uid)
        answer = json.dumps(list(work())).encode()
    except BaseException:
        # after any error, the child must not continue as a second copy of the command
        answer = json.dumps(traceback.format_exc().strip().splitlines()[-1]).encode()
    finally:
        try:
            with open(sender, "wb") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
