"""Real Perl as the judge of regular expressions, as postgrey uses them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

_PROGRAM = r"""
    $SIG{__WARN__} = sub { };
    my @subjects = map { pack 'H*', $_ } split / /, <STDIN>, -1;
    chomp(my $last = pop @subjects);
    while (my $line = <STDIN>) {
        chomp $line;
        my $pattern = pack 'H*', $line;
        my $regex = eval { qr{$pattern}i };
        print defined $regex ? join('', map { $_ =~ $regex ? 1 : 0 } @subjects) : '-', "\n";
    }
"""


def judge(patterns: Sequence[str], subjects: Sequence[str]) -> list[list[bool] | None]:
    """Return for each pattern whether each subject matches; None for what Perl does not compile."""
    lines = [" ".join(subject.encode().hex() for subject in subjects) + " "]
    lines += [pattern.encode().hex() for pattern in patterns]
    done = subprocess.run(
        ["perl", "-e", _PROGRAM],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    answers = done.stdout.split("\n")[:-1]
    assert len(answers) == len(patterns)
    return [None if one == "-" else [bit == "1" for bit in one] for one in answers]
