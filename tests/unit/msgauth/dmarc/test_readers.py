"""Mail programs that read From: none shows another domain than the one that DMARC is asked about.

`tests/vectors/from-readers.json` has what they show of a sample, made by
``tools/scripts/from_differential.py --record``, and says how. Python's `email` is asked here,
whichever release it is.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from msgauth.dmarc import find_author
from tests.testbed.from_readers import python_email
from tests.testbed.from_readers.compare import Kind, differences
from tests.testbed.from_readers.fields import HOSTILE, generate
from tests.testbed.from_readers.ordinary import ORDINARY, SLOPPY
from tests.testbed.from_readers.sample import Sample

SAMPLE = Sample.read(Path(__file__).parents[3] / "vectors" / "from-readers.json")


def test_no_program_shows_another_author_in_the_sample() -> None:
    wrong = []
    for field, recorded in SAMPLE.answers.items():
        answers = {"python": python_email.read([field])[0], **recorded}
        author = find_author([field])
        found = [d for d in differences(author, answers) if d.kind is not Kind.BROKEN]
        wrong += [(field, author.addresses, difference) for difference in found]
    assert wrong == []


def test_the_sample_tells_something() -> None:
    fields = SAMPLE.answers
    assert len(fields) >= 1_000
    for text in (*ORDINARY, *SLOPPY, *HOSTILE):
        assert text.encode() in fields
    readers = Counter(reader for answers in fields.values() for reader in answers)
    assert set(readers) == {"dovecot", "email-address-xs", "mail-address", "nodemailer"}
    assert min(readers.values()) > 500
    # in many fields the programs disagree about the domain, and in many they do not
    clear = [field for field in fields if not find_author([field]).problem]
    assert 300 < len(clear) < len(fields) - 300


def test_python_shows_no_other_author_in_generated_fields() -> None:
    fields = list(generate(4_000, seed=9))
    for field, shown in zip(fields, python_email.read(fields), strict=True):
        author = find_author([field])
        found = [d for d in differences(author, {"python": shown}) if d.kind is not Kind.BROKEN]
        assert found == [], (field, author.addresses)


@pytest.mark.parametrize("text", [*ORDINARY, *SLOPPY])
def test_ordinary_mail_has_one_author(text: str) -> None:
    author = find_author([text.encode()])
    assert (author.domains, author.problem) == (("example.org",), "")
    assert author.addresses[0].endswith("@example.org")
