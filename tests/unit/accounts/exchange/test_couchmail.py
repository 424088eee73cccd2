import json
from typing import Any

import pytest

from accounts.exchange.couchmail import read
from accounts.exchange.notes import Reading, SourceError
from tests.unit.accounts.exchange.reading import HASH, aliases, mailboxes, said, whole

ID = "6f1c0c3e-0000-4000-8000-000000000001"
DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "domain.example"},
    {"_id": "User@domain.example", "password": HASH, "sieve": {"default": ID, "other": "gone"}},
    {"_id": "org.couchdb.user:new@domain.example", "dovecot_password": HASH, "password": "x"},
    {"_id": "alias-info@domain.example", "target": "user@domain.example"},
    {"_id": "alias-team@domain.example", "target": ["user@domain.example", "new@domain.example"]},
    {"_id": ID, "script": "keep;"},
    {"_id": "_design/auth", "x": 1},
    {"_id": "invite-abc"},
    {"_id": "dead@domain.example", "_deleted": True},
    {"_id": "empty@domain.example"},
    {"_id": "empty@domain.example"},
    {"_id": 5.5},
    {"x": 1},
    {"_id": "typed@domain.example", "password": ["x"]},
]


def documents(tree: Any) -> Reading:
    return whole(read("docs.json", json.dumps(tree).encode()))


@pytest.mark.parametrize(
    "form",
    [
        lambda listed: listed,
        lambda listed: {"rows": [{"id": one.get("_id"), "doc": one} for one in listed]},
        lambda listed: {"docs": listed},
    ],
    ids=["list", "_all_docs", "_bulk_docs"],
)
def test_documents(form: Any) -> None:
    reading = documents(form(DOCUMENTS))
    found = mailboxes(reading)
    assert set(found) == {f"{one}@domain.example" for one in ("user", "new", "empty")}
    assert found["user@domain.example"].password == HASH
    assert found["new@domain.example"].password == HASH
    assert found["empty@domain.example"].password is None
    assert aliases(reading) == {
        "info@domain.example": ("user@domain.example",),
        "team@domain.example": ("user@domain.example", "new@domain.example"),
    }
    (script,) = reading.scripts
    assert (script.mailbox, script.name, script.active, script.text) == (
        "user@domain.example",
        "default",
        True,
        "keep;",
    )
    assert said(reading, "document 2", "'other'", "its document is missing")
    assert said(reading, "document 8", "invitations")
    assert said(reading, "document 10", "nobody can log in")
    assert said(reading, "document 11", "another document has the same _id")
    assert said(reading, "document 14", "password is not text")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"1", b"[1]", b"\xff", b"\0", b"[" * 10_000, b'{"rows": 1}']
)
def test_what_is_no_list_of_documents(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"docs\.json"):
        read("docs.json", data)
