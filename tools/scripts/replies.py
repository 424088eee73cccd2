"""Generator of docs/reference/replies.md from the reason ids of the daemons."""

from __future__ import annotations

from pathlib import Path

from delivery.reasons import REASONS as DELIVERY_REASONS
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
        "is in the log line, next to the queue id, and in the metrics. The",
        "[configuration](configuration.md) sets which of them refuse, defer or only tag; a",
        "limit or the check `compromised` may also hold mail, which is no refusal. The client",
        "sees the codes (RFC 5321, RFC 3463) unchanged, because Postfix rewrites none of them.",
        "The reasons in the last table refuse no mail: they are only in the log (`fragile`) and",
        "the metrics.",
        "",
    ]
    for heading, known in (
        ("Policy server, at RCPT TO", POLICY_REASONS),
        ("Milter, at the end of a message", milter_reasons()),
        ("LMTP proxy, for each recipient; Postfix is the client", DELIVERY_REASONS),
    ):
        lines += [f"## {heading}", "", "| reason id | codes | meaning |", "|---|---|---|"]
        lines += [
            f"| `{name}{'NAME' if name.endswith('-') else ''}` | {', '.join(meaning.codes)} "
            f"| {meaning.text} |"
            for name, meaning in known.items()
        ]
        lines.append("")
    lines += ["## Milter, for mail that it accepted and signed", "", "| reason id | meaning |"]
    lines += ["|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in FRAGILE.items())]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    (ROOT / "docs/reference/replies.md").write_text(page(), encoding="utf-8")
