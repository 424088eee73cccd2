"""The command of `make up`, `make down`, `make backup` and `make restore`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.testbed.podman import PodmanError
from tools.steps import Steps
from tools.up.lifecycle import UpError, end, start, told
from tools.up.place import Place, PlaceError
from tools.up.recovery import back_up, restore
from tools.up.system import System


def main() -> int:
    """Start, end, back up or restore the system. Returns 1 with an error message if that fails, and
    130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make up")
    parser.add_argument("--down", action="store_true", help="end it")
    parser.add_argument("--keep", action="store_true", help="keep its data")
    parser.add_argument("--backup", action="store_true", help="back it up")
    parser.add_argument("--restore", action="store_true", help="start it from its last backup")
    parser.add_argument("--folder", type=Path, help="the folder of the backup")
    chosen = parser.parse_args()
    word = next((one for one in ("down", "backup", "restore") if getattr(chosen, one)), "up")
    steps = Steps(sys.stdout)
    try:
        system = System(Place().with_settings())
        if chosen.down:
            end(system, steps, keep=chosen.keep)
        elif chosen.backup:
            steps.say(back_up(system, chosen.folder))
        elif chosen.restore:
            restore(system, steps, chosen.folder and chosen.folder.absolute())
            steps.say("It is up, with the users, passwords and mail of the backup.")
        elif people := start(system, steps):
            sys.stdout.write(told(system, people) + "\n")
        else:
            steps.say("It is up again, with the users and passwords of the last time.")
    except (UpError, PlaceError, PodmanError, OSError) as error:
        sys.stderr.write(f"make {word}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"make {word}: interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
