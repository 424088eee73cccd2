"""systemd drop-in that runs the milter as opendkim's user, with its keys and its socket folder."""

from __future__ import annotations

from pathlib import Path

from gatepost import listen
from milters.migration.opendkim.configuration import OpendkimConfiguration

UNIT = "gatepost-milters.service"
PATH = Path("/etc/systemd/system") / f"{UNIT}.d" / "opendkim.conf"

_RUN = (Path("/run"), Path("/var/run"))


def drop_in(conf: OpendkimConfiguration) -> str:
    """Return the text of the drop-in; empty if opendkim.conf has no `UserID`.

    The drop-in adds the group of Gatepost's own unit, which may read gatepost.toml. systemd creates
    a folder in /run at each start; any other folder is made writable.
    """
    user, _, group = conf.value("UserID").partition(":")
    if not _is_word(user) or (group and not _is_word(group)):
        return ""
    lines = [
        "# Made by gatepost import opendkim: the keys and the folder of the socket are opendkim's.",
        "[Service]",
        f"User={user}",
        f"Group={group or user}",
        "SupplementaryGroups=gatepost",
    ]
    folder = _socket_folder(conf.value("Socket"))
    if folder is not None:
        above = next((run for run in _RUN if folder != run and folder.is_relative_to(run)), None)
        if above is not None:
            lines += [
                f"RuntimeDirectory={folder.relative_to(above)}",
                # Postfix is in the group of the folder, as with opendkim
                "RuntimeDirectoryMode=0750",
            ]
        else:
            lines.append(f"ReadWritePaths={folder}")
    return "\n".join(lines) + "\n"


def _is_word(name: str) -> bool:
    return bool(name) and name.isascii() and name.replace("-", "").replace("_", "").isalnum()


def _socket_folder(socket: str) -> Path | None:
    """Return the folder of a unix socket; None for TCP, and for a path that a unit cannot name."""
    try:
        address = listen.parse(socket if ":" in socket else f"local:{socket}")
    except listen.ListenError:
        return None
    if not isinstance(address, listen.Unix):
        return None
    folder = address.path.parent
    text = str(folder)
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(" \"'\\%;")
    return folder if is_plain and ".." not in folder.parts else None
