"""Reader of docker-mailserver's configuration folder."""

from __future__ import annotations

from typing import Literal, TypeAlias

from accounts.exchange.dkim_tables import read_key_table
from accounts.exchange.fetchmail import read_fetchmailrc
from accounts.exchange.files import SourceFiles
from accounts.exchange.gathering import Gathering
from accounts.exchange.lines import plain_lines
from accounts.exchange.notes import Reading, Script, SourceError, SourcePlace
from accounts.exchange.passwd_file import read_passwd_file
from accounts.exchange.postfix_tables import read_entries, read_virtual
from accounts.exchange.settling import finish
from accounts.exchange.sizes import parse_size

_Restriction: TypeAlias = Literal["may_send", "may_receive"]

_READ = {
    "postfix-accounts.cf": "accounts",
    "postfix-virtual.cf": "virtual",
    "postfix-regexp.cf": "regexp",
    "dovecot-quotas.cf": "quotas",
    "postfix-send-access.cf": "may_send",
    "postfix-receive-access.cf": "may_receive",
    "fetchmail.cf": "fetchmail",
}
"""The files that are read, in this order: mailboxes come before what belongs to them."""

_NOT_READ = {
    "dovecot-masters.cf": "master users, who can open every mailbox, are not imported",
    "postfix-relaymap.cf": "set relay hosts in Postfix",
    "postfix-sasl-password.cf": "set passwords of relay hosts in Postfix",
    "postfix-aliases.cf": "set aliases of local users in Postfix (/etc/aliases)",
    "whitelist_clients.local": "import clients that skip greylisting with gatepost import postgrey",
    "whitelist_recipients": "import recipients that skip greylisting with gatepost import postgrey",
    "dovecot.sieve": "set a Sieve script for everybody in Dovecot",
    "before.dovecot.sieve": "set a Sieve script for everybody in Dovecot",
    "after.dovecot.sieve": "set a Sieve script for everybody in Dovecot",
    "ldap-users.cf": "accounts in LDAP are not imported",
}


def read(files: SourceFiles, *, origin: str | None = None) -> Reading:
    """Return the accounts of the folder that is mounted as /tmp/docker-mailserver.

    Of two lines with one key the last counts, as in the texthash tables of docker-mailserver.
    Raises `SourceError` if none of its files is there.
    """
    by_name: dict[str, tuple[str, bytes]] = {}
    for name, data in sorted(files.content.items(), key=lambda file: file[0].count("/")):
        by_name.setdefault(name.rpartition("/")[2], (name, data))  # not the copy in a subfolder
    if not any(name in by_name for name in _READ):
        raise SourceError("there is neither postfix-accounts.cf nor postfix-virtual.cf")
    gathering = Gathering(next(iter(files.content)), origin)
    for name, role in _READ.items():
        if name in by_name:
            _read_one(gathering, role, *by_name[name])
    for name, data in files.content.items():
        last = name.rpartition("/")[2]
        if last in _NOT_READ:
            gathering.note("left out", _NOT_READ[last], SourcePlace(name))
        elif last.endswith(".dovecot.sieve"):
            _script(gathering, name, last.removesuffix(".dovecot.sieve"), data)
        elif last.startswith("getmail-"):
            text = "accounts of getmail are not imported: add them as remote accounts"
            gathering.note("left out", text, SourcePlace(name))
        elif last == "KeyTable":
            read_key_table(gathering, name, data, files)
    return finish(gathering, "last")


def _read_one(gathering: Gathering, role: str, name: str, data: bytes) -> None:
    match role:
        case "accounts":
            read_passwd_file(gathering, name, data, "|")
        case "virtual":
            read_virtual(gathering, name, data)
        case "regexp":
            for line in plain_lines(name, data, gathering.left_out):
                text = "a regular expression cannot be imported: use aliases with * instead"
                gathering.note("left out", text, line.place)
        case "quotas":
            _quotas(gathering, name, data)
        case "may_send" | "may_receive":
            _restrictions(gathering, name, data, role)
        case "fetchmail":
            read_fetchmailrc(gathering, name, data)


def _quotas(gathering: Gathering, name: str, data: bytes) -> None:
    for line in plain_lines(name, data, gathering.left_out):
        address, _, size = line.text.strip().rpartition(":")
        mailbox = gathering.own_address(address, line.place, "quota")
        if mailbox is None:
            continue
        held = gathering.mailboxes.get(mailbox)
        if held is None:
            gathering.note("left out", f"quota of {mailbox}: there is no such mailbox", line.place)
            continue
        try:
            held.fields["quota"] = parse_size(size)
        except ValueError as error:
            gathering.note("left out", f"quota of {mailbox}: {error}", line.place)


def _restrictions(gathering: Gathering, name: str, data: bytes, right: _Restriction) -> None:
    for entry in read_entries(gathering, name, data):
        held = gathering.mailboxes.get(entry.key.lower())
        if held is None:
            gathering.note(
                "left out", f"{right}: there is no mailbox {entry.key[:100]}", entry.place
            )
        elif entry.value.split()[0].upper() == "REJECT":
            held.fields[right] = False
        else:
            gathering.note(
                "left out", f"{right} of {entry.key[:100]}: only REJECT is supported", entry.place
            )


def _script(gathering: Gathering, name: str, mailbox: str, data: bytes) -> None:
    place = SourcePlace(name)
    address = gathering.own_address(mailbox, place, "Sieve script")
    if address is not None:
        text = data.decode("utf-8", "replace")
        gathering.add_script(Script(address, "dovecot", True, text), place)
