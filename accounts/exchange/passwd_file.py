"""Dovecot's passwd-file: `user:password:uid:gid:gecos:home:shell:extra_fields`."""

from __future__ import annotations

from typing import Any

from accounts.exchange.gathering import Gathering
from accounts.exchange.hashes import plain_text
from accounts.exchange.lines import Line, plain_lines
from accounts.exchange.notes import SourcePlace
from accounts.exchange.sizes import parse_quota_rule, parse_size

_IGNORED = frozenset({"userdb_uid", "userdb_gid", "userdb_home", "user", "password"})


def read_passwd_file(gathering: Gathering, file: str, data: bytes, separator: str = ":") -> int:
    """Add the mailboxes of a passwd-file; return how many.

    docker-mailserver separates the fields with `|` and has the extra fields as the third.
    """
    count = homes = 0
    for line in plain_lines(file, data, gathering.left_out):
        fields = line.text.split(separator, 7 if separator == ":" else 2)
        if len(fields) < 2:
            gathering.note("left out", "expected a user and a password", line.place)
            continue
        extra = fields[7] if len(fields) > 7 else ""
        if separator == "|":
            extra = fields[2] if len(fields) > 2 else ""
        homes += len(fields) > 5 and bool(fields[5].strip())
        count += _mailbox(gathering, line, fields, extra)
    if homes:
        text = f"the file names home folders ({homes}): copy the mail in them yourself"
        gathering.note("decide", text, SourcePlace(file))
    return count


def _mailbox(gathering: Gathering, line: Line, fields: list[str], extra: str) -> bool:
    # a password in clear text may end with a blank
    stored = fields[1] if plain_text(fields[1]) is not None else fields[1].strip()
    values: dict[str, Any] = {"password": stored}
    if len(fields) > 4 and fields[4].strip():
        values["display_name"] = fields[4].strip()
    texts = [text for word in extra.split() if (text := _extra(word, values))]
    held = gathering.mailboxes.get(fields[0].strip().lower())
    if held is not None and held.place.file != line.place.file and not stored:
        address: str | None = fields[0].strip().lower()
        del values["password"]
        held.fields.update(values)
    else:
        address = gathering.mailbox(fields[0], line.place, **values)
    if address is None:
        return False
    for text in texts:
        gathering.note("changed", f"mailbox {address}: {text}", line.place)
    return True


def _extra(word: str, values: dict[str, Any]) -> str | None:
    """Import one extra field; return a text if it cannot be imported."""
    name, _, value = word.partition("=")
    try:
        if name in ("userdb_quota_rule", "quota_rule"):
            values["quota"] = parse_quota_rule(value)
            return None
        if name == "userdb_quota_storage_size":
            values["quota"] = parse_size(value)
            return None
    except ValueError as error:
        return f"{name}: {error}"
    if name == "nologin" and value.lower() not in ("n", "no"):
        values["may_login"] = values["may_send"] = False
        return None
    if name == "allow_nets":
        values["may_login"] = values["may_send"] = False
        return "limiting logins to some networks is not supported: its login is disabled"
    return None if name in _IGNORED else f"{name} is not imported"
