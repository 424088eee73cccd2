"""The Valkey of the image, as its `run` and `probe` start and ask it, without a container."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.testbed.process import Process
from tests.testbed.waiting import wait_until

IMAGE = Path(__file__).resolve().parents[2] / "images" / "valkey"
KEEP = 6
"""Seconds for which the old password stays valid."""


class ValkeyImage:
    """`run` with its files in a directory; it takes the image's port, so there is one at a time.

    Debian 12 has redis-server, which takes the same settings and commands, for valkey-server.
    """

    url = "valkey://127.0.0.1:6379/0"

    def __init__(self, directory: Path, password: str) -> None:
        self._directory = directory
        programs = directory / "bin"
        programs.mkdir(parents=True)
        for name in ("server", "cli"):
            found = shutil.which(f"valkey-{name}") or shutil.which(f"redis-{name}")
            if found is None:
                raise LookupError(f"neither valkey-{name} nor redis-{name} is installed")
            (programs / f"valkey-{name}").symlink_to(found)
        self.password_file = directory / "password"
        self.write(password)
        settings = (IMAGE / "valkey.conf").read_text()
        settings = settings.replace("dir /var/lib/valkey", f"dir {directory}")
        (directory / "valkey.settings").write_text(settings)
        self._env = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "GATE_WATCH_INTERVAL": "1",
            "VALKEY_OLD_PASSWORD_SECONDS": str(KEEP),
            "VALKEY_PASSWORD_FILE": str(self.password_file),
            "VALKEY_RUN": str(directory),
            "VALKEY_SETTINGS": str(directory / "valkey.settings"),
        }
        self._process: Process | None = None

    def write(self, password: str) -> None:
        """Replace the password, as the kubelet replaces the file of a Secret."""
        draft = self.password_file.with_suffix(".draft")
        draft.write_text(f"{password}\n")
        draft.chmod(0o440)
        draft.rename(self.password_file)

    def probe(self) -> bool:
        """Return whether the image's probe succeeds."""
        env = {**os.environ, **self._env}
        return subprocess.run([IMAGE / "probe"], env=env, capture_output=True).returncode == 0

    def takes(self, password: str) -> bool:
        """Return whether a client with this password is let in."""
        program = self._directory / "bin" / "valkey-cli"
        done = subprocess.run(
            [program, "-h", "127.0.0.1"],
            input=f"AUTH {password}\nPING\n",
            capture_output=True,
            text=True,
        )
        return done.stdout.split() == ["OK", "PONG"]

    @property
    def log(self) -> str:
        return (self._directory / "run.log").read_text()

    def stop(self) -> int:
        """End it with SIGTERM; return the exit status."""
        assert self._process is not None
        return self._process.stop()

    def __enter__(self) -> Self:
        self._process = Process([IMAGE / "run"], self._directory / "run.log", env=self._env)
        try:
            self._process.wait_until(self.probe, "Valkey to answer its probe")
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()

    def wait_until_takes(self, password: str) -> None:
        wait_until(lambda: self.takes(password), "Valkey to take the password")

    def wait_until_refuses(self, password: str) -> None:
        wait_until(lambda: not self.takes(password), "Valkey to refuse the password")
