"""Readers of From that are separate programs: two Perl modules and nodemailer."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent


def read_perl(fields: Sequence[bytes], module: str) -> list[list[str]]:
    """Return the addresses that `module` shows (``Email::Address::XS`` or ``Mail::Address``).

    The Debian packages are libemail-address-xs-perl and libmailtools-perl.
    """
    return _ask(["perl", str(HERE / "addresses.pl"), module], fields, "latin-1")


def read_nodemailer(fields: Sequence[bytes], folder: Path) -> list[list[str]]:
    """Return the addresses that nodemailer's addressparser shows; npm installed it in `folder`."""
    module = str(folder / "node_modules" / "nodemailer")
    return _ask(["node", str(HERE / "addresses.cjs"), module], fields, "utf-8")


def versions(folder: Path) -> list[str]:
    """Return the versions of the Perl modules and of nodemailer."""
    found = []
    for module in ("Email::Address::XS", "Mail::Address"):
        script = f"use {module}; print ${module}::VERSION"
        run = subprocess.run(["perl", "-e", script], capture_output=True, check=True, text=True)
        found.append(f"{module} {run.stdout}")
    package = json.loads((folder / "node_modules/nodemailer/package.json").read_text())
    return [*found, f"nodemailer {package['version']}"]


def _ask(command: list[str], fields: Sequence[bytes], encoding: str) -> list[list[str]]:
    # some programs unfold the field before they parse it, others do not
    questions = [field.strip(b" \r\n") for field in fields]
    unfolded = [_unfolded(question) for question in questions]
    folded = [question for question in questions if b"\r\n" in question]
    lines = b"".join(base64.b64encode(text) + b"\n" for text in (*unfolded, *folded))
    run = subprocess.run(command, input=lines, capture_output=True, check=True)
    answers = [_shown(line, encoding) for line in run.stdout.splitlines()]
    if len(answers) != len(unfolded) + len(folded):
        raise RuntimeError(f"{command[0]} answered {len(answers)} questions of {len(fields)}")
    with_folds = iter(answers[len(fields) :])
    return [
        answer + (next(with_folds) if b"\r\n" in question else [])
        for question, answer in zip(questions, answers, strict=False)
    ]


def _unfolded(field: bytes) -> bytes:
    # RFC 5322 section 2.2.3
    return field.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")


def _shown(line: bytes, encoding: str) -> list[str]:
    return [
        shown.encode(encoding).decode("utf-8", "replace")
        for shown in json.loads(line)
        if shown.rpartition("@")[2]
    ]
