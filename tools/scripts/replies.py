"""Writes docs/reference/replies.md from the reason ids that the daemons know."""

from __future__ import annotations

from pathlib import Path

from milters.reasons import FRAGILE
from milters.reasons import reasons as milter_reasons
from policyd.reasons import REASONS as POLICY_REASONS

ROOT = Path(__file__).parents[2]


def page() -> str:
    """Return the page in Markdown."""
    lines = [
        "# Replies",
        "",
        "Written by `make docs` from the code. A refusal ends with its reason id in brackets:",
        "`450 4.2.0 … Greylisted, please try again in 300 seconds [greylist-new]`. The same id",
        "stands in the log line, beside the queue id, and in the metrics. Which of them refuse,",
        "defer or only tag is up to the [configuration](configuration.md); a limit or the check",
        "`compromised` may also hold mail, which is no refusal. The codes (RFC 5321, RFC 3463)",
        "are what the client sees: none is one that Postfix rewrites. The reasons of the last",
        "table refuse nothing: they are in the log (`fragile`) and in the metrics alone.",
        "",
    ]
    for heading, known in (
        ("Policy server, at RCPT TO", POLICY_REASONS),
        ("Milter, at the end of a message", milter_reasons()),
    ):
        lines += [f"## {heading}", "", "| reason id | codes | what it means |", "|---|---|---|"]
        lines += [
            f"| `{name}{'NAME' if name.endswith('-') else ''}` | {', '.join(meaning.codes)} "
            f"| {meaning.text} |"
            for name, meaning in known.items()
        ]
        lines.append("")
    lines += ["## Milter, of mail that it took and signed", "", "| reason id | what it means |"]
    lines += ["|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in FRAGILE.items())]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    (ROOT / "docs/reference/replies.md").write_text(page(), encoding="utf-8")
