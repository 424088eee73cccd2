"""Times after which a Postfix of the tests tries again what was deferred."""

from __future__ import annotations

from typing import Final

QUICK_RETRIES: Final = {
    "queue_run_delay": "1s",
    "minimal_backoff_time": "4s",
    "maximal_backoff_time": "5s",
}
"""Parameters of main.cf.

`minimal_backoff_time` must be longer than two seconds. Postfix takes a message from the deferred
queue a second early, so with 1 s a queue run that is under way takes it at once. It may still be
locked by the process that tried to deliver it. Then Postfix logs "skipped, still being delivered",
puts the message into the incoming queue for a minute, and looks there when other mail arrives, or
every five minutes. The message is not lost, but no test waits for so long.
"""

QUICK_RETRIES_CF: Final = "".join(f"{name} = {value}\n" for name, value in QUICK_RETRIES.items())
"""The same as lines of main.cf."""
