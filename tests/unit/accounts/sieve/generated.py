"""Rules for hypothesis: of every kind, and with text that was made to break out of a string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from accounts.sieve import MailRule, RuleError, compile_rules, parse_rule


@dataclass(frozen=True)
class Row:
    """A rule as the datastore holds it."""

    name: str
    enabled: bool
    rule: Any


def rows(*rules: MailRule) -> list[Row]:
    return [Row(rule.name, rule.enabled, rule.body()) for rule in rules]


_PIECES = st.sampled_from(
    ['"', "\\", '\\"', '"; discard; #', "*/", "/*", "text:", "${subject}", "${hex: 22}", ".", "'"]
)
_LINE = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")) | st.sampled_from('"\\;{}*?.#[]'),
    min_size=1,
    max_size=20,
) | st.lists(_PIECES, min_size=1, max_size=5).map("".join)
_MESSAGE = (
    st.lists(
        _LINE | st.sampled_from(["", ".", "..", ".\n;", "text:", ";discard;", ".\r\n;\r\nstop;"]),
        min_size=1,
        max_size=6,
    )
    .flatmap(
        lambda lines: st.sampled_from(["\n", "\r\n", "\r", "\n\n"]).map(lambda e: e.join(lines))
    )
    .filter(lambda text: bool(text.strip()))
)
_NAME = st.from_regex(r"\A[!-9;-~]{1,20}\Z") | st.sampled_from(["Subject", "List-Id", "X-Y"])
_MAILBOX = st.sampled_from(
    ["INBOX", "Junk", "Lists/Postfix users", 'a"b', "Entwürfe", "語/😀", "&AOk-", "a'b;c{d}"]
) | st.text(st.characters(categories=("L", "N", "S")), min_size=1, max_size=10)
_ADDRESS = st.sampled_from(
    [
        "a@example.org",
        "a.b+c@sub.example.org",
        "o'brien@example.org",
        "{x}/y#z@xn--bcher-kva.example",
    ]
)
_VALUES = st.lists(_LINE, min_size=1, max_size=4)
_MATCH = st.sampled_from(["is", "contains", "starts", "ends", "matches"])
_PART = st.sampled_from(["all", "localpart", "domain", "user", "detail"])
_ZONE = st.sampled_from([None, "+0100", "-0330", "+0000"])
_DAYS = st.sampled_from(
    [
        {"since": "2026-12-01"},
        {"until": "2030-01-01"},
        {"since": "2026-02-28", "until": "2027-03-01"},
    ]
)


def _kind(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), **fields})


_NEGATE = st.booleans()
_CONDITIONS = st.one_of(
    _kind("header", names=st.lists(_NAME, min_size=1, max_size=3), match=_MATCH, values=_VALUES,
          negate=_NEGATE),
    _kind("exists", names=st.lists(_NAME, min_size=1, max_size=3), negate=_NEGATE),
    _kind("address", names=st.just(["from", "reply-to"]) | st.just(["resent-to"]), part=_PART,
          match=_MATCH, values=_VALUES, negate=_NEGATE),
    _kind("envelope", name=st.sampled_from(["from", "to"]), part=_PART, match=_MATCH,
          values=_VALUES, negate=_NEGATE),
    _kind("size", compare=st.sampled_from(["over", "under"]), octets=st.integers(0, 2**31 - 1),
          negate=_NEGATE),
    _kind("body", values=_VALUES, negate=_NEGATE),
    _kind("spam", negate=_NEGATE),
    st.builds(lambda days, zone, negate: {"kind": "date", "zone": zone, "negate": negate, **days},
              _DAYS | st.just({"weekdays": [0, 6]}), _ZONE, _NEGATE),
)  # fmt: skip
_STORING = st.one_of(
    _kind("fileinto", mailbox=_MAILBOX, copy=st.booleans(), create=st.booleans()),
    _kind("redirect", address=_ADDRESS, copy=st.booleans()),
    _kind("mark_read"),
    _kind("add_flags", flags=st.sampled_from([["\\Flagged"], ["\\Seen", "$Work_1", "a.b-c"]])),
    st.builds(lambda base, days: {**base, **days},
              _kind("vacation", text=_MESSAGE, subject=st.none() | _LINE, days=st.integers(1, 30),
                    addresses=st.lists(_ADDRESS, max_size=3, unique=True), zone=_ZONE),
              st.just({}) | _DAYS),
    _kind("stop"),
    _kind("discard"),
    _kind("keep"),
)  # fmt: skip
_ACTIONS = st.lists(_STORING, min_size=1, max_size=5) | st.lists(
    _kind("reject", text=_MESSAGE), min_size=1, max_size=1
)


def _rule(
    name: str, match: str, conditions: list[Any], actions: list[Any], enabled: bool
) -> MailRule | None:
    data = {
        "name": name,
        "enabled": enabled,
        "match": match if conditions else "always",
        "conditions": conditions,
        "actions": actions,
    }
    try:
        return parse_rule(data)
    except RuleError:
        return None


_RULE = st.builds(
    _rule,
    _LINE,
    st.sampled_from(["any", "all"]),
    st.lists(_CONDITIONS, max_size=4),
    _ACTIONS,
    st.sampled_from([True, True, True, False]),
)


def _compiles(rules: list[MailRule]) -> bool:
    try:
        compile_rules(rules)
    except RuleError:
        return False
    return True


rule_lists = (
    st.lists(_RULE, max_size=5)
    .map(lambda rules: [rule for rule in rules if rule is not None])
    .filter(_compiles)
)
"""Lists of rules that go together."""
