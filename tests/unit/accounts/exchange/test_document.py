import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from accounts.exchange.document import (
    LARGEST,
    AliasEntry,
    Document,
    DocumentError,
    MailboxEntry,
    parse,
    render,
    set_fields,
)
from tests.unit.accounts.exchange.samples import EVERYTHING

HEAD = {"format": "gatepost accounts", "version": 1}


def document(**parts: Any) -> bytes:
    return json.dumps(HEAD | parts).encode()


def test_nothing_is_lost_on_the_way_through_a_file() -> None:
    assert parse(render(EVERYTHING)) == EVERYTHING
    # and what is not set stays so: a plan leaves such fields of the datastore alone
    bare = parse(document(mailboxes=[{"address": "a@example.org"}]))
    assert set_fields(parse(render(bare)).mailboxes[0]) == ["address"]


def test_everything_of_the_data_model_is_in_the_sample() -> None:
    text = json.loads(render(EVERYTHING))
    found = {f"{kind}.{key}" for kind in text for one in listed(text[kind]) for key in one}
    expected = {
        f"{kind}.{field}"
        for kind, model in (("mailboxes", MailboxEntry), ("aliases", AliasEntry))
        for field in model.model_fields
    }
    assert expected <= found


def listed(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def test_addresses_are_brought_into_their_one_spelling() -> None:
    read = parse(
        document(
            domains=[{"name": "BÜCHER.example."}],
            mailboxes=[{"address": "Anna@Bücher.Example", "rights": ["@Bücher.example"]}],
            aliases=[{"address": "Sales-*@bücher.example", "targets": ["X@Other.example"]}],
        )
    )
    assert read.domains[0].name == "xn--bcher-kva.example"
    assert read.mailboxes[0].address == "anna@xn--bcher-kva.example"
    assert read.mailboxes[0].rights == ("@xn--bcher-kva.example",)
    # the local part of another host keeps its case
    assert read.aliases[0].targets == ("X@other.example",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "Invalid JSON"),
        (b"\0", "Invalid JSON"),
        (b"\xff\xfe{}", "Invalid JSON"),
        (b'{"a": "\xff"}', "Invalid JSON"),
        (b"[" * 10_000, "recursion limit"),
        (b'{"a":' * 10_000, "recursion limit"),
        (document(x={})[:-3] + b"[" * 10_000, "recursion limit"),
        (b" " * (LARGEST + 1), "larger than 64 MiB"),
        (b"{}", '"format" and "version" are missing'),
        (b'{"format": "other", "version": 1}', '"format" is not'),
        (b'{"format": "gatepost accounts", "version": 2}', "version 2, this program reads 1"),
        (document(version=[[]]), "version [[]]"),
        (document(tokens=[]), "tokens: Extra inputs"),
        (document(mailboxes={}), "mailboxes: Input should be a valid array"),
        (document(mailboxes=[{"address": "a"}]), "it has no @"),
        (document(mailboxes=[{"address": "../a@example.org"}]), "mailboxes.0.address"),
        (document(mailboxes=[{"address": "a@example.org", "quota": -1}]), "0.quota"),
        (document(mailboxes=[{"address": "a@example.org", "quota": 1 << 53}]), "0.quota"),
        (document(mailboxes=[{"address": "a@example.org", "quota": "1"}]), "0.quota"),
        (document(mailboxes=[{"address": "a@example.org", "enabled": 1}]), "0.enabled"),
        (document(mailboxes=[{"address": "a@example.org", "password": "x"}]), "its scheme"),
        (document(mailboxes=[{"address": "a@example.org", "display_name": "a\0"}]), "control"),
        (document(mailboxes=[{"address": "a@example.org"}] * 2), "appears twice"),
        (
            document(
                mailboxes=[{"address": "a@example.org"}],
                aliases=[{"address": "A@example.org", "targets": ["b@example.org"]}],
            ),
            "a@example.org appears twice",
        ),
        (document(aliases=[{"address": "a@example.org", "targets": []}]), "targets"),
        (document(domains=[{"name": "example.org", "transport": "x y"}]), "transport of Postfix"),
    ],
    ids=lambda one: one if isinstance(one, str) else ascii(one[:20]),
)
def test_what_cannot_be_used_gets_a_clear_line(data: bytes, says: str) -> None:
    started = time.process_time()
    with pytest.raises(DocumentError) as caught:
        parse(data, "accounts.json")
    assert says in str(caught.value)
    assert all(line.startswith("accounts.json: ") for line in str(caught.value).splitlines())
    assert time.process_time() - started < 5


def test_a_rule_has_a_depth() -> None:
    deep: Any = {}
    for _ in range(30):
        deep = {"a": [deep]}
    with pytest.raises(DocumentError, match="lists and objects more than 32 deep"):
        parse(
            document(
                mailboxes=[
                    {"address": "a@example.org", "sieve_rules": [{"name": "x", "rule": deep}]}
                ]
            )
        )


def test_messages_and_repr_have_no_secret() -> None:
    secret = "GeheimeSache"
    for field in ({"password": secret}, {"app_passwords": [{"name": "x", "password": secret}]}):
        with pytest.raises(DocumentError) as caught:
            parse(document(mailboxes=[{"address": "a@example.org", **field}]))
        assert secret not in str(caught.value)
    assert "$argon2id$" not in repr(EVERYTHING)
    assert "BEGIN PRIVATE" not in repr(EVERYTHING)
    assert "remote-secret" not in repr(EVERYTHING)


def test_many_problems_are_not_many_lines() -> None:
    with pytest.raises(DocumentError) as caught:
        parse(document(mailboxes=[{"address": "a"}] * 1000))
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1].endswith("and 990 more")


def test_html_and_sql_are_text() -> None:
    text = "<script>alert('x')</script>'; DROP TABLE mailbox; --"
    read = parse(document(mailboxes=[{"address": "a@example.org", "display_name": text}]))
    assert parse(render(read)).mailboxes[0].display_name == text


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_octets_give_a_document_or_an_error(data: bytes) -> None:
    with suppress(DocumentError):
        parse(data)


words = st.text("aä<'\"; ", max_size=20).map(str.strip)
names = st.text("abc123", min_size=1, max_size=5)
addresses = st.builds(lambda local, domain: f"{local}@{domain}.example", names, names)
mailboxes = st.builds(
    lambda **values: MailboxEntry.model_validate(values),
    address=addresses,
    display_name=words,
    quota=st.none() | st.integers(0, 2**53 - 1),
    enabled=st.booleans(),
    forwards=st.lists(addresses, unique=True, max_size=3).map(tuple),
    rights=st.lists(addresses, unique=True, max_size=3).map(tuple),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(mailboxes, max_size=5, unique_by=lambda one: one.address))
def test_any_document_survives_its_file(made: list[MailboxEntry]) -> None:
    whole = Document.model_validate({**HEAD, "mailboxes": tuple(made)})
    assert parse(render(whole)) == whole


def test_models_never_change() -> None:
    with pytest.raises(ValidationError):
        EVERYTHING.mailboxes[0].address = "other@example.org"
