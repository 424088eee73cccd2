"""File with a sample of From fields and the answers of mail programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from msgauth.dmarc import find_author

Answers: TypeAlias = Mapping[str, Sequence[str]]
"""The addresses that each reader shows, by the reader's name."""

ALIKE = 2
"""Maximum number of fields in a sample with the same answers from us and from all readers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Fields and answers, and how they were created."""

    about: Sequence[str]
    answers: Mapping[bytes, Answers]

    def write(self, path: Path) -> None:
        """Write the sample, one field per line, with non-ASCII octets escaped as Latin-1."""
        lines = [
            json.dumps({"from": field.decode("latin-1"), **_sorted(answers)})
            for field, answers in self.answers.items()
        ]
        about = ",\n  ".join(json.dumps(line) for line in self.about)
        text = f'{{"about": [\n  {about}\n],\n"fields": [\n' + ",\n".join(lines) + "\n]}\n"
        path.write_text(text, encoding="ascii")

    @classmethod
    def read(cls, path: Path) -> Sample:
        """Read a file that `write` created."""
        loaded = json.loads(path.read_text(encoding="ascii"))
        answers = {entry.pop("from").encode("latin-1"): entry for entry in loaded["fields"]}
        return cls(loaded["about"], answers)


class Choice:
    """Chooses fields that differ in how they are read, half of them with an author."""

    def __init__(self, always: Iterable[bytes], limit: int) -> None:
        self._always = set(always)
        self._left = {True: limit // 2, False: limit // 2}
        self._alike: Counter[object] = Counter()
        self.chosen: dict[bytes, Answers] = {}

    def offer(self, field: bytes, answers: Answers) -> None:
        """Take the field when it is one of those to take always, or unlike those chosen."""
        author = find_author([field])
        likeness = (
            author.domains,
            author.problem.partition(":")[0],
            tuple(_domains(shown) for shown in answers.values()),
        )
        self._alike[likeness] += 1
        clear = not author.problem
        if field in self._always or (self._alike[likeness] <= ALIKE and self._left[clear] > 0):
            self._left[clear] -= 1
            self.chosen[field] = answers


def _domains(shown: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({address.rpartition("@")[2].lower() for address in shown}))


def _sorted(answers: Answers) -> dict[str, list[str]]:
    return {reader: sorted(set(shown)) for reader, shown in answers.items() if shown}
