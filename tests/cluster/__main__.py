"""``python -m tests.cluster``: play the scenes on a cluster, one after the other.

The exit status is 0 if all succeeded, 1 if not, and 2 without a cluster.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import kind
from tests.cluster.commands import CommandError, Commands, PrintedCommands, RealCommands
from tests.cluster.ledger import SenderError
from tests.cluster.options import OptionError, Options, read
from tests.cluster.scenes import Scene, scenes
from tests.cluster.site import Site
from tests.cluster.values import FILES, merged
from tests.cluster.values import read as read_values

NEEDS = """\
make cluster: there is no cluster. Either install kind (with podman), or set KUBECONFIG to the file
of a cluster that may be used for tests. It needs helm and kubectl here, and there DNS and a default
class of storage. Its nodes must have the images: see docs/kubernetes.md. ARGS=--dry-run prints the
commands of all scenes without a cluster."""


def play(commands: Commands, options: Options, chosen: Sequence[Scene]) -> list[str]:
    """Play scenes, each in a namespace of its own; return the names of those that failed."""
    failed = []
    for scene in chosen:
        commands.tell(f"{scene.name}: {scene.about}")
        began = time.monotonic()
        site = None
        try:
            values = merged(read_values(scene.values), scene.change)
            site = Site(commands, options, scene.name, values)
            site.open()
            scene.play(site)
        except (CommandError, SenderError) as error:
            failed.append(scene.name)
            commands.tell(f"  FAILED: {error}")
            if site is not None:
                commands.tell(site.state())
        finally:
            if site is not None:
                site.close()
        if not commands.is_dry:
            commands.tell(f"  {time.monotonic() - began:.0f} s")
    return failed


def main(words: Sequence[str]) -> int:
    """Read the command line, play, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    known = {scene.name: scene for scene in scenes(FILES)}
    parser.add_argument("scene", nargs="*", help="names of scenes; by default all")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    parser.add_argument("--list", action="store_true", help="print the names of the scenes")
    parser.add_argument("--save", type=Path, help="write the images into this archive, and end")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.scene) - known.keys():
        parser.error(f"there is no scene {sorted(unknown)[0]}; --list names them")
    chosen = [known[name] for name in arguments.scene] or list(known.values())
    commands: Commands = PrintedCommands() if arguments.dry_run else RealCommands()
    if arguments.list:
        for scene in known.values():
            commands.tell(f"{scene.name:32} {scene.about}")
        return 0
    if arguments.save:
        kind.save(arguments.save)
        return 0
    with contextlib.ExitStack() as opened:
        environment = dict(os.environ)
        if arguments.dry_run:
            environment.setdefault("KUBECONFIG", "KUBECONFIG")
        elif not environment.get("KUBECONFIG"):
            if not kind.is_here():
                sys.stderr.write(NEEDS + "\n")
                return 2
            environment["KUBECONFIG"] = str(opened.enter_context(kind.cluster(commands)))
        try:
            options = read(environment)
        except OptionError as error:
            sys.stderr.write(f"make cluster: {error}\n")
            return 2
        failed = play(commands, options, chosen)
    commands.tell(f"{len(chosen) - len(failed)} of {len(chosen)} scenes succeeded")
    if failed:
        commands.tell(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
