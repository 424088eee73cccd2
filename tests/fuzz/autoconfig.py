"""Questions of Outlook: changed documents, and the answers to those that can be read."""

from __future__ import annotations

from random import Random

from accounts.address import AccountAddressError, parse_mailbox_address
from accounts.autoconfig.outlook import MAX_TEXT, QuestionError, parse_question, settings_answer
from accounts.autoconfig.settings import AutoconfigSettings
from tests.fuzz.mutate import mutate
from tests.fuzz.target import Target
from tests.unit.accounts.autoconfig.offered import ALL, question, without_namespaces

_SETTINGS = AutoconfigSettings.model_validate(ALL)
_QUESTIONS = (
    question("anna@example.org"),
    question("a&amp;b@example.org", schema="x"),
    question("<![CDATA[anna@example.org]]>", before="<!-- a comment -->"),
    question("&a;", before='<!DOCTYPE x [<!ENTITY a "b">]>'),
    question("anna@example.org").decode().replace("utf-8", "utf-16").encode("utf-16"),
)


def make(random: Random) -> bytes:
    """Draw a question."""
    return mutate(random.choice(_QUESTIONS), random)


def check(octets: bytes) -> None:
    """Check that a question is read or refused, and that an answer to it is a document."""
    try:
        asked = parse_question(octets)
    except QuestionError:
        return
    assert max(len(asked.address), len(asked.schema)) <= MAX_TEXT
    try:
        address = str(parse_mailbox_address(asked.address))
    except AccountAddressError:
        return
    root = without_namespaces(settings_answer(_SETTINGS, address))
    assert root.findtext("Response/Account/Protocol/LoginName") == address


TARGET = Target("autoconfig", 20_000, make, check)
