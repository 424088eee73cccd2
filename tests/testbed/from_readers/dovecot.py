"""Reader of From by Dovecot's IMAP ENVELOPE, through `doveadm`.

The fields become messages of one mbox, and `doveadm fetch` prints the ENVELOPE that an IMAP client
would get. The Debian package is dovecot-imapd.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_CONFIG = """\
protocols =
mail_location = mbox:{folder}/home:INBOX={folder}/mbox:INDEX=MEMORY
base_dir = {folder}/run
mail_uid = {uid}
mail_gid = {gid}
log_path = /dev/stderr
ssl = no
stats_writer_socket_path =
first_valid_uid = 0
"""
_NOBODY = 65534
# the words that stand in for a part that is missing or cannot be read
_MISSING = ("", "MISSING_DOMAIN", "SYNTAX_ERROR")
_ITEM = re.compile(rb'[\t\n ]*(?:(\()|(\))|NIL|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n)', re.DOTALL)


def read(fields: Sequence[bytes]) -> list[list[str]]:
    """Return the From addresses in each ENVELOPE. The fields have no line ends except folds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "mbox").open("wb") as mbox:
            for number, field in enumerate(fields):
                value = field.strip(b" \r\n").replace(b"\r\n", b"\n")
                mbox.write(b"From x Thu Nov 26 10:00:00 2026\nFrom: %b\n" % value)
                mbox.write(b"Subject: %d\n\nx\n\n" % number)
        user = _NOBODY if os.geteuid() == 0 else os.geteuid()
        (folder / "home").mkdir()
        config = _CONFIG.format(folder=folder, uid=user, gid=os.getegid() or _NOBODY)
        (folder / "dovecot.conf").write_text(config)
        if os.geteuid() == 0:
            for path in (folder, folder / "home", folder / "mbox"):
                os.chown(path, user, _NOBODY)
        options = ("-o", f"mail_home={folder}/home", "-f", "flow", "fetch", "imap.envelope", "all")
        run = subprocess.run(
            ["doveadm", "-c", str(folder / "dovecot.conf"), *options],
            capture_output=True,
            check=False,
            cwd=folder,
            env={**os.environ, "USER": "nobody"},
        )
    envelopes = list(_envelopes(run.stdout))
    if [envelope[1] for envelope in envelopes] != [b"%d" % n for n in range(len(fields))]:
        raise RuntimeError(f"doveadm: {len(envelopes)} envelopes, {run.stderr[-300:]!r}")
    return [_shown(envelope[2]) for envelope in envelopes]


def version() -> str:
    """Return the version of Dovecot."""
    run = subprocess.run(["dovecot", "--version"], capture_output=True, check=True, text=True)
    return f"Dovecot {run.stdout.split()[0]}"


def _envelopes(output: bytes) -> Iterator[list[Any]]:
    for line in output.split(b"imap.envelope=")[1:]:
        envelope = _parse(line)
        yield envelope


def _parse(text: bytes) -> list[Any]:
    stack: list[list[Any]] = [[]]
    position = 0
    while match := _ITEM.match(text, position):
        position = match.end()
        if match[1]:
            stack.append([])
        elif match[2]:
            done = stack.pop()
            stack[-1].append(done)
        elif match[4]:
            stack[-1].append(text[position : position + int(match[4])])
            position += int(match[4])
        else:
            string = match[3]
            stack[-1].append(None if string is None else re.sub(rb"\\(.)", rb"\1", string))
    return stack[0]


def _shown(addresses: list[list[bytes | None]] | None) -> list[str]:
    shown = []
    for _, _, local, domain in addresses or ():
        name = (domain or b"").decode("utf-8", "replace")
        if name not in _MISSING:
            mailbox = (local or b"").decode("utf-8", "replace").removeprefix("MISSING_MAILBOX")
            shown.append(f"{mailbox}@{name}")
    return shown
