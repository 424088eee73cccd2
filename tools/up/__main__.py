"""The command of `make up` and `make down`."""

from __future__ import annotations

import argparse
import sys

from tests.testbed.podman import PodmanError
from tools.steps import Steps
from tools.up.lifecycle import UpError, end, start, told
from tools.up.place import PlaceError
from tools.up.system import System


def main() -> int:
    """Start or end the system. Returns 1 with an error message if that fails, and 130 after
    Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make up")
    parser.add_argument("--down", action="store_true", help="end it")
    parser.add_argument("--keep", action="store_true", help="keep its data")
    chosen = parser.parse_args()
    word = "down" if chosen.down else "up"
    steps = Steps(sys.stdout)
    try:
        system = System()
        if chosen.down:
            end(system, steps, keep=chosen.keep)
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
