"""Comparison of mail programs' readings of From with ours, to find ways around DMARC.

It generates fields from a seed, many of them hostile, and compares our author with the addresses
from Python's `email`, Dovecot's ENVELOPE, Perl's Email::Address::XS and Mail::Address, and
nodemailer's addressparser. It needs the Debian packages dovecot-imapd, libemail-address-xs-perl and
libmailtools-perl, and nodemailer in a folder::

    npm install --prefix /tmp/from nodemailer
    PYTHONPATH=. .venv/bin/python tools/scripts/from_differential.py --npm /tmp/from --count 100000

The exit status is 1 if a program reads a field as from another domain. --record writes the answers
for a sample, which `make test` uses.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from msgauth.dmarc import find_author
from tests.testbed.from_readers import dovecot, programs, python_email
from tests.testbed.from_readers.compare import Kind, differences
from tests.testbed.from_readers.fields import HOSTILE, generate
from tests.testbed.from_readers.ordinary import ORDINARY, SLOPPY
from tests.testbed.from_readers.sample import Choice, Sample

BATCH = 10_000
SAMPLE = 1_500
LIVE = ("python",)
"""Readers that a test can run itself, so that their answers need not be recorded."""


def main() -> int:
    """Compare the number of fields given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--npm", type=Path, required=True, help="the folder with nodemailer")
    parser.add_argument("--record", type=Path, help="write a sample of the answers to this file")
    parser.add_argument("--show", type=int, default=40, help="maximum of printed differences")
    options = parser.parse_args()
    readers: dict[str, Callable[[Sequence[bytes]], list[list[str]]]] = {
        "python": python_email.read,
        "dovecot": dovecot.read,
        "email-address-xs": partial(programs.read_perl, module="Email::Address::XS"),
        "mail-address": partial(programs.read_perl, module="Mail::Address"),
        "nodemailer": partial(programs.read_nodemailer, folder=options.npm),
    }
    choice = Choice((text.encode() for text in (*ORDINARY, *SLOPPY, *HOSTILE)), SAMPLE)
    counts: Counter[str] = Counter()
    fields = generate(options.count, options.seed)
    while batch := list(islice(fields, BATCH)):
        replies = {name: read(batch) for name, read in readers.items()}
        for number, field in enumerate(batch):
            answers = {name: reply[number] for name, reply in replies.items()}
            author = find_author([field])
            counts["permerror" if author.problem else "author"] += 1
            choice.offer(field, {k: v for k, v in answers.items() if k not in LIVE})
            for one in {found.kind: found for found in differences(author, answers)}.values():
                counts[one.kind] += 1
                if counts[one.kind] <= options.show:
                    print(f"{one.kind:8} {one.reader:16} {one.shown!r} of {field!r}")
                    print(f"{'':8} ours: {' '.join(author.addresses)}")
    total = counts["author"] + counts["permerror"]
    print(f"{total} fields, {counts['author']} with one author, {counts['permerror']} permerror")
    for kind in Kind:
        print(f"{counts[kind]:6} {kind}")
    for name, forms in (("ordinary", ORDINARY), ("sloppy", SLOPPY)):
        bad = [form for form in forms if find_author([form.encode()]).problem]
        print(f"{len(bad)} of {len(forms)} {name} forms are permerror")
        for form in bad:
            print(f"{'':8} {form!r}: {find_author([form.encode()]).problem}")
    if options.record:
        Sample(_about(options), choice.chosen).write(options.record)
    return 1 if counts[Kind.DOMAIN] else 0


def _about(options: argparse.Namespace) -> list[str]:
    return [
        "What mail programs show of From fields. Written by tools/scripts/from_differential.py",
        f"--count {options.count} --seed {options.seed} --record FILE. Asked:",
        ", ".join((dovecot.version(), *programs.versions(options.npm))),
        "A program without a list shows nothing. Octets above 127 are written as Latin-1.",
    ]


if __name__ == "__main__":
    sys.exit(main())
