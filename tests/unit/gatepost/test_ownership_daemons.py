"""One table of owners, asked by both daemons and by a second reading of the rules."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.ownership import read_rights
from milters.ownership import FromOwnership, FromOwnershipSettings
from msgauth.dmarc import find_author
from policyd.checks.ownership import OwnershipCheck
from policyd.settings import OwnershipSettings
from tests.unit.policyd.requests import request

# few names, so that tables, logins and senders meet
LOCALS = st.sampled_from(
    ["info", "INFO", "owner-x", "x-request", "-x", "+x", "a b", "a.b", 'q"t', "b\\s"]
)
EXTENSIONS = st.sampled_from(["", "+x", "-y", "+x-y", "+", "=z"])
CANONICAL = {
    "example.org": "example.org",
    "Example.ORG": "example.org",
    "bücher.example": "xn--bcher-kva.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
}
DOMAINS = st.sampled_from(sorted(CANONICAL))
LOGINS = st.sampled_from(["alice", "ALICE", "bob", "info@example.org", "info@bücher.example", "*"])
MAILBOXES = st.tuples(st.builds(str.__add__, LOCALS, EXTENSIONS), DOMAINS)
LINES = st.tuples(
    st.one_of(
        st.builds("@{}".format, DOMAINS),
        st.builds(
            "{}@{}".format, st.sampled_from(["info", "info+x", "owner", "x", "-x", "a.b"]), DOMAINS
        ),
    ),
    st.lists(LOGINS, min_size=1, max_size=3),
).map(lambda line: f"{line[0]} {', '.join(line[1])}")
TABLES: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    owners=st.lists(LINES, max_size=6),
    recipient_delimiter=st.sampled_from(["", "+", "-", "+-", "=+"]),
    login_owns_itself=st.booleans(),
)


def canonical(address: str) -> str:
    """Return a login, a sender or ``@domain`` as it is compared."""
    local, at, domain = address.rpartition("@")
    return f"{local.lower()}@{CANONICAL[domain]}" if at else address.lower()


def without_extension(local: str, delimiters: str) -> str:
    """Return the local part as split_addr of Postfix leaves it."""
    if "-" in delimiters and (
        local.startswith("owner-") or (len(local) > 8 and local.endswith("-request"))
    ):
        return local
    at = next((n for n, character in enumerate(local) if character in delimiters), 0)
    return local[:at] or local


def by_the_rules(table: dict[str, Any], login: str, local: str, domain: str) -> bool:
    """Answer by docs/ownership.md, with a walk through the lines for each question."""
    login, own = canonical(login), canonical(f"{local}@{domain}")
    plain = without_extension(local.lower(), table["recipient_delimiter"])
    keys = [own, f"{plain}@{CANONICAL[domain]}", f"@{CANONICAL[domain]}"]
    if table["login_owns_itself"] and login in keys[:2]:
        return True
    lines = [line.split(" ", 1) for line in table["owners"]]
    parsed = [(canonical(key), [canonical(one) for one in who.split(", ")]) for key, who in lines]
    named = {one for _, who in parsed for one in who if one != "*"}
    for key in keys:
        if owners := {one for found, who in parsed if found == key for one in who}:
            return login in owners or ("*" in owners and login not in named)
    return False


def quoted(local: str) -> str:
    """Return a local part as a header field has to write it."""
    if re.fullmatch(r"[\w+=.-]+", local):
        return local
    return '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'


def by_milter(table: dict[str, Any], login: str, froms: list[tuple[str, str]]) -> bool:
    section = FromOwnershipSettings.model_validate({"enforce": True, **table})
    field = ", ".join(f"Somebody <{quoted(local)}@{domain}>" for local, domain in froms)
    author = find_author([field.encode()])
    assert not author.problem
    assert {one.domain for one in author.mailboxes} == {CANONICAL[domain] for _, domain in froms}
    return FromOwnership(section).allows(login, author.mailboxes)


def by_policyd(table: dict[str, Any], login: str, local: str, domain: str) -> bool:
    section = OwnershipSettings.model_validate({"enabled": True, **table})
    check = OwnershipCheck(section, read_rights(section), "mx")
    # Postfix sends the address without its quotes
    asked = request(sasl_username=login, sender=f"{local}@{domain}")
    result = asyncio.run(check.check(asked))
    assert result is not None
    return result.finding == "owned"


@given(TABLES, LOGINS, MAILBOXES)
@settings(max_examples=400, deadline=None)
def test_both_daemons_answer_by_the_rules(
    table: dict[str, Any], login: str, mailbox: tuple[str, str]
) -> None:
    expected = by_the_rules(table, login, *mailbox)
    assert by_policyd(table, login, *mailbox) is expected
    assert by_milter(table, login, [mailbox]) is expected


@given(TABLES, LOGINS, st.lists(MAILBOXES, min_size=2, max_size=4, unique=True))
@settings(max_examples=200, deadline=None)
def test_several_authors_need_what_each_of_them_needs(
    table: dict[str, Any], login: str, mailboxes: list[tuple[str, str]]
) -> None:
    each = [by_milter(table, login, [mailbox]) for mailbox in mailboxes]
    assert by_milter(table, login, mailboxes) is all(each)
