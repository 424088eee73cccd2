"""Reader of couchmail's documents, as a JSON list or as CouchDB's `_all_docs` returns them."""

from __future__ import annotations

import re
from typing import Any

from accounts.exchange.gathering import Gathering
from accounts.exchange.notes import Reading, Script, SourceError, SourcePlace
from accounts.exchange.objects import Fields, WrongTypeError
from accounts.exchange.settling import finish
from accounts.exchange.trees import read_json

_SCRIPT_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_USER = "org.couchdb.user:"


def read(file: str, data: bytes) -> Reading:
    """Return the accounts of the documents; the `_id` of each says what it is.

    A domain, an address (also `org.couchdb.user:ADDRESS`), `alias-ADDRESS`, or the random id of a
    Sieve script. Raises `SourceError` for text that is no list of documents.
    """
    gathering = Gathering(file)
    documents = {}
    for number, fields in enumerate(_documents(file, read_json(file, data)), 1):
        fields.place = SourcePlace(f"{file}, document {number}")
        try:
            name = fields.text("_id", "id")
        except WrongTypeError as error:
            gathering.note("left out", str(error), fields.place)
            continue
        if name in documents:
            gathering.note("left out", "another document has the same _id", fields.place)
        else:
            documents[name] = fields
    users = {}
    for name, fields in documents.items():
        try:
            address = _one(gathering, name, fields)
        except WrongTypeError as error:
            gathering.note("left out", str(error), fields.place)
            continue
        if address is not None:
            users[address] = fields
    for address, fields in users.items():
        _scripts(gathering, address, fields, documents)
    return finish(gathering)


def _documents(file: str, tree: Any) -> list[Fields]:
    """Return the documents; rows of `_all_docs` have them in `doc`, bulk files in `docs`."""
    if isinstance(tree, dict):
        tree = tree.get("rows", tree.get("docs"))
    if not isinstance(tree, list) or not all(isinstance(one, dict) for one in tree):
        raise SourceError(f"{file}: expected a list of documents")
    place = SourcePlace(file)
    rows = [one["doc"] if isinstance(one.get("doc"), dict) else one for one in tree]
    return [Fields(one, place) for one in rows]


def _one(gathering: Gathering, name: str, fields: Fields) -> str | None:
    """Import one document; return its address if it is a mailbox."""
    if name.startswith(("_design/", "_local/")) or _SCRIPT_ID.fullmatch(name):
        return None
    if fields.flag("_deleted", default=False):
        return None
    if name.startswith("invite-"):
        gathering.note("left out", "invitations are not imported", fields.place)
    elif name.startswith("alias-"):
        targets = fields.texts("target")
        gathering.route(name.removeprefix("alias-"), targets, fields.place)
    elif "@" in name:
        stored = fields.text("dovecot_password", "password")
        return gathering.mailbox(name.removeprefix(_USER), fields.place, password=stored)
    elif name.startswith(_USER):
        gathering.note("left out", f"user {name[:100]!r} has no address", fields.place)
    else:
        gathering.domain(name, fields.place)
    return None


def _scripts(
    gathering: Gathering, address: str, fields: Fields, documents: dict[str, Fields]
) -> None:
    scripts = fields.values.get("sieve")
    if scripts is None:
        return
    if not isinstance(scripts, dict) or not all(isinstance(one, str) for one in scripts.values()):
        gathering.note("left out", f"sieve of {address} is not a list of scripts", fields.place)
        return
    active = fields.values.get("sieve_active", "default")
    for name, identity in scripts.items():
        found = documents.get(identity)
        text = found.values.get("script") if found is not None else None
        if isinstance(text, str):
            gathering.add_script(Script(address, name, name == active, text), fields.place)
        else:
            text = f"Sieve script {name[:100]!r} of {address}: its document is missing"
            gathering.note("left out", text, fields.place)
