"""A document in which every field is set."""

from __future__ import annotations

from accounts.exchange.document import Document
from accounts.sieve import parse_rule

HASH = (
    "{ARGON2ID}$argon2id$v=19$m=8192,t=2,p=1$ABEiM0RVZneImaq7zN3u/w"
    "$NJ5pEOCoEGN9K9cOdmS5q7vQ86yMBvK935B+jkCF4TA"
)
HASH6 = (
    "{SHA512-CRYPT}$6$saltsaltsaltsalt$4lgy5j.OYngSS5SLC4rZiU5QpxTj7pxKkbem7/3lWgKoUSjzk0gd7KhXYw9"
    "PBRfK/zrnyTovgi9WVf7so/NXz/"
)
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJpHyqZ8nCUhvDVVSbBB0fLAUUbBjIDmRnEgYO2WLVMx\n"
    "-----END PRIVATE KEY-----\n"
)

EVERYTHING = Document.model_validate(
    {
        "format": "gatepost accounts",
        "version": 1,
        "written": 1_700_000_000,
        "domains": (
            {
                "name": "example.org",
                "description": 'Main; it\'s "ours" <b>',
                "alias_of": None,
                "catch_all": "anna@example.org",
                "enabled": True,
                "max_mailboxes": 10,
                "max_aliases": 20,
                "max_quota": 5 << 30,
                "default_quota": 1 << 30,
                "transport": None,
                "is_relay": False,
                "disposable_aliases": 5,
                "named_aliases": 2,
                "named_alias_pattern": "{name}-*",
                "created": 1_600_000_000,
                "changed": 1_600_000_001,
                "dkim_keys": (
                    {
                        "selector": "s2026",
                        "algorithm": "ed25519",
                        "private": {"clear": PEM},
                        "public_record": "v=DKIM1; k=ed25519; p=abc",
                        "state": "active",
                        "created": 1_600_000_000,
                        "activated": 1_600_000_100,
                        "retired": None,
                    },
                    {
                        "selector": "s2025",
                        "algorithm": "rsa",
                        "private": {"sealed": "AQIDBA=="},
                        "public_record": "v=DKIM1; p=def",
                        "state": "retired",
                        "created": 1_500_000_000,
                        "activated": 1_500_000_100,
                        "retired": 1_600_000_000,
                    },
                ),
                "preferences": {
                    "spam_junk_score": 6.0,
                    "languages": ("all",),
                    "subject_tag": "",
                    "rule_scores": {"MISSING_MID": 1.25},
                },
                "allowed_senders": ("@partner.example",),
                "blocked_senders": ("bad@spam.example", "@worse.example"),
            },
            {"name": "example.net", "alias_of": "example.org"},
            {"name": "relay.example", "is_relay": True, "transport": "smtp:[192.0.2.7]:25"},
        ),
        "mailboxes": (
            {
                "address": "anna@example.org",
                "display_name": "Änna 'A' <Example>",
                "password": HASH,
                "quota": 1 << 30,
                "enabled": True,
                "may_login": True,
                "may_send": True,
                "may_receive": True,
                "keep_copy": True,
                "store": "store-1",
                "home": "example.org/anna-0123456789abcdef",
                "forwards": ("copy@outside.example",),
                "rights": ("info@example.org", "@relay.example"),
                "app_passwords": (
                    {
                        "name": "phone",
                        "password": HASH6,
                        "protocols": ("imap", "smtp"),
                        "expires": 2_000_000_000,
                        "created": 1_600_000_000,
                        "last_used": 1_600_000_500,
                        "last_client": "192.0.2.1",
                    },
                ),
                "sieve_rules": (
                    {
                        "name": "Lists",
                        "enabled": False,
                        "rule": parse_rule(
                            {
                                "name": "Lists",
                                "conditions": [
                                    {
                                        "kind": "header",
                                        "names": ["List-Id"],
                                        "match": "contains",
                                        "values": ["x"],
                                    }
                                ],
                                "actions": [{"kind": "fileinto", "mailbox": "Lists"}],
                            }
                        ).body(),
                    },
                ),
                "preferences": {
                    "greylist": False,
                    "spam_check": True,
                    "spam_junk_score": 4.5,
                    "spam_reject_score": 15.0,
                    "virus_check": False,
                    "languages": ("de", "zh.big5"),
                    "subject_tag": "[Müll]",
                    "rule_scores": {"BAYES_99": 6.5, "HTML_MESSAGE": 0.0},
                },
                "allowed_senders": ("friend@outside.example",),
                "blocked_senders": ("@spam.example",),
                "remote_accounts": (
                    {
                        "protocol": "imap",
                        "host": "imap.outside.example",
                        "port": 993,
                        "tls": "implicit",
                        "login": "anna.old",
                        "secret": {"clear": "remote-secret"},
                        "folder": "INBOX",
                        "destination": "Old",
                        "interval": 300,
                        "keep": True,
                        "enabled": True,
                        "created": 1_600_000_000,
                        "changed": 1_600_000_001,
                    },
                ),
                "created": 1_600_000_000,
                "changed": 1_600_000_001,
                "password_changed": 1_600_000_000,
                "last_login": 1_650_000_000,
            },
            {"address": "bob@example.org", "password": None, "may_login": False},
        ),
        "aliases": (
            {
                "address": "info@example.org",
                "targets": ("anna@example.org", "bob@example.org"),
                "enabled": True,
                "expires": 2_000_000_000,
                "members_may_send": True,
                "description": "Front desk",
                "created": 1_600_000_000,
                "changed": 1_600_000_001,
            },
            {"address": "sales-*@example.org", "targets": ("info@example.org",)},
            {
                "address": "tavo.kelu.riso42@example.org",
                "targets": ("anna@example.org",),
                "members_may_send": True,
                "personal": "disposable",
                "enabled": False,
                "is_locked": True,
            },
        ),
        "administrators": (
            {
                "login": "root@example.org",
                "password": HASH,
                "role": "global",
                "domains": (),
                "enabled": True,
                "created": 1_600_000_000,
                "changed": 1_600_000_001,
            },
            {"login": "bob", "password": HASH6, "role": "domains", "domains": ("example.net",)},
        ),
        "undecided": ("bob@example.org: look at this",),
    }
)
