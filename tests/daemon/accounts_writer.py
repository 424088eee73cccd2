"""``python -m tests.daemon.accounts_writer URL NAME COUNT``: a process that writes all the time.

Each transaction adds a mailbox and an alias of it. When it is kept, its number goes to standard
output on a line of its own; a database that is away is asked again, and "away" is written once.
"""

from __future__ import annotations

import asyncio
import sys

from accounts.directory import aliases, mailboxes
from accounts.store.database import Database
from accounts.store.errors import AlreadyThere, DatastoreUnavailable
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write


async def main(url: str, name: str, count: int) -> None:
    async with Database.open(DatabaseSettings(url=url)) as database:
        for number in range(count):

            def work(write: Write) -> None:
                box = f"{name}{number}@example.org"  # noqa: B023
                mailboxes.add(write, box)
                aliases.add(write, f"alias-{box}", targets=[box])

            while True:
                try:
                    await database.write(Actor(name), work)
                except AlreadyThere:  # kept, and the answer was lost
                    break
                except DatastoreUnavailable as error:
                    sys.stdout.write(f"away: {error}\n")
                    sys.stdout.flush()
                    await asyncio.sleep(0.05)
                else:
                    break
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
