import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.exchange.mailu import read
from accounts.exchange.notes import Reading, SourceError
from tests.unit.accounts.exchange.reading import (
    HASH,
    alias,
    aliases,
    domains,
    mailboxes,
    said,
    whole,
)
from tests.unit.accounts.exchange.samples import PEM

CRYPT = HASH.removeprefix("{SHA512-CRYPT}")

YAML = f"""\
# written by config-export
domain:
  - name: example.com
    alternatives: [other.example]
    comment: "Main: 'the' one"
    dkim_key: |
      {PEM.strip().replace(chr(10), chr(10) + "      ")}
    max_aliases: -1
    max_users: 0
    max_quota_bytes: 0
    signup_enabled: true
user:
  - email: Post.Master@example.com
    displayed_name: Postmaster
    enable_imap: true
    enable_pop: false
    enabled: yes
    fetches:
      - {{id: 1, host: imap.outside.example, keep: true, password: 'secret', port: 993,
         protocol: imap, tls: true, username: fetch-user, last_check: '2020-12-29T17:09:48'}}
    forward_destination:
      - copy@remote.example
    forward_enabled: true
    forward_keep: true
    global_admin: true
    password: '{CRYPT}'
    quota_bytes: 1000000000
    reply_enabled: true
    spam_enabled: false
    tokens:
      - comment: bound
        ip: 192.168.1.1
        password: '{CRYPT}'
      - comment: phone
        ip: []
        password: '{CRYPT}'
alias:
  - email: info@example.com
    destination: [post.master@example.com, x@outside.example]
    comment: Front
  - email: 'sales-%@example.com'
    wildcard: true
    destination: post.master@example.com
relay:
  - name: relay.example
    smtp: mx.relay.example:2525
"""


def export(text: str | bytes) -> Reading:
    return whole(read("mailu.yml", text.encode() if isinstance(text, str) else text))


def test_a_full_export() -> None:
    """A token that Mailu accepts from one address only is left out, and the note says so.

    An app password has no addresses, and one that works from everywhere would be less than the user
    had asked for.
    """
    reading = export(YAML)
    assert domains(reading) == {
        "example.com": {
            "description": "Main: 'the' one",
            "max_mailboxes": 1,
            "dkim_keys": (
                {
                    "selector": "dkim",
                    "algorithm": "ed25519",
                    "private": {"clear": PEM},
                    "state": "active",
                },
            ),
        },
        "other.example": {"alias_of": "example.com"},
        "relay.example": {"is_relay": True, "transport": "smtp:[mx.relay.example]:2525"},
    }
    (user,) = mailboxes(reading).values()
    assert user.address == "post.master@example.com"
    assert (user.password, user.quota) == (HASH, 1_000_000_000)
    assert (user.forwards, user.keep_copy) == (("copy@remote.example",), True)
    assert user.preferences is not None
    assert not user.preferences.spam_check
    (account,) = user.remote_accounts
    assert (account.host, account.login, account.secret.clear, account.keep) == (
        "imap.outside.example",
        "fetch-user",
        "secret",
        True,
    )
    assert [(one.name, one.password) for one in user.app_passwords] == [("phone", HASH)]
    assert said(reading, "user 1", "'bound'", "bound to 192.168.1.1")
    assert said(reading, "user 1", "POP3 was disabled")
    assert said(reading, "user 1", "vacation reply")
    assert said(reading, "domain 1", "sign-up")
    assert said(reading, "relay.example is a relay domain")
    assert aliases(reading) == {
        "info@example.com": ("post.master@example.com", "x@outside.example"),
        "sales-*@example.com": ("post.master@example.com",),
    }
    assert alias(reading, "info@example.com").description == "Front"
    (administrator,) = reading.document.administrators
    assert (administrator.login, administrator.role) == (
        "Post.Master@example.com".lower(),
        "global",
    )


def test_json_says_the_same() -> None:
    tree = {
        "domain": [{"name": "example.com", "alternatives": ["other.example"]}],
        "user": [
            {"email": "a@example.com", "password": CRYPT, "manager_of": ["example.com"]},
            {"email": "b@example.com", "password": "geheim", "hash_password": True},
            {"email": "c@example.com", "password": "<hidden>", "quota_bytes": 0},
            {"email": "c@example.com", "password": CRYPT},
            {"email": "d@example.com", "password_hash": "$2b$12$...", "hash_scheme": "MD5-CRYPT"},
            {"email": "e@example.com", "enabled": "maybe"},
            {"email": ["f@example.com"]},
        ],
        "alias": [{"email": "a@example.com", "destination": ["a@example.com"]}],
        "config": {"x": 1},
    }
    reading = export(json.dumps(tree))
    found = mailboxes(reading)
    assert list(found) == [f"{one}@example.com" for one in "abcd"]
    assert found["b@example.com"].password == "{PLAIN}geheim"
    assert found["c@example.com"].password is None
    assert found["c@example.com"].quota is None
    # the hash is cut: nobody can log in, and mail still arrives
    assert found["d@example.com"].password is None
    assert said(reading, "user 4", "appears twice")
    assert said(reading, "user 5", "nobody can log in")
    assert said(reading, "user 6", "enabled is neither true nor false")
    assert said(reading, "user 7", "email is not text")
    assert said(reading, "settings of Mailu")
    # Mailu issue 2716: PostfixAdmin's aliases to themselves
    assert not reading.document.aliases
    assert found["a@example.com"].forwards == ()
    (manager,) = reading.document.administrators
    assert (manager.role, manager.domains) == ("domains", ("example.com",))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected an object"),
        (b"- a\n", "expected an object"),
        (b"x: 1\n", "none of the sections"),
        (b"user: [\n", "not valid YAML"),
        (b"user: 'x\n", "not valid YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"user: \0", "not valid YAML"),
        (b"[" * 10_000, "nested more than 20"),
        (b"user: " + b"[" * 10_000, "nested more than 20"),
        (b"- " * 10_000, "nested more than 20"),
        (b'{"user":' * 10_000, "nested more than 20"),
        (b'{"user":' + b"[" * 100 + b"]" * 100 + b"}", "nested more than 20"),
        (b"a: &a [x]\nuser: *a\n", "anchors"),
        (b"user: !!python/object/apply:os.system ['true']\n", "tags"),
        (b"? [a]\n: b\n", "a key is a list"),
        (b"user: 1\n" * 3_000_000, "larger than 16 MiB"),
    ],
    ids=lambda one: one if isinstance(one, str) else ascii(one[:20]),
)
def test_what_is_no_export(data: bytes, says: str) -> None:
    started = time.process_time()
    with pytest.raises(SourceError, match=says):
        read("mailu.yml", data)
    assert time.process_time() - started < 5


def test_sections_that_are_no_lists() -> None:
    reading = export("user: {a: b}\nalias: [1, 2]\ndomain:\n")
    assert said(reading, "user is not a list of objects")
    assert said(reading, "alias is not a list of objects")


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["email", "name", "tokens", "fetches", "password", "destination", "ip"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["domain", "user", "alias", "relay"]), trees, min_size=1))
def test_any_tree_gives_a_document(tree: Any) -> None:
    export(json.dumps(tree))
