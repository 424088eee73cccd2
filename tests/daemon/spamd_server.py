"""A real spamd without network tests, for tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Self

from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.process import Process
from tests.testbed.waiting import wait_until

SPAMD = shutil.which("spamd") or "/usr/sbin/spamd"

_PLUGINS = (
    "AuthRes",
    "BodyEval",
    "Check",
    "HeaderEval",
    "HTMLEval",
    "MIMEEval",
    "RelayEval",
    "WLBLEval",
)
_RULES = """
required_score 5
internal_networks 10/8
trusted_networks 10/8
authres_networks internal
authres_trusted_authserv mx.example.org
header T_DMARC_PASS eval:check_authres_result('dmarc','pass')
header T_DMARC_FAIL eval:check_authres_result('dmarc','fail')
score T_DMARC_PASS -2
score T_DMARC_FAIL 2
header T_HELLO Subject =~ /hello/
score T_HELLO 1
"""
_LEARNING = """
use_bayes 1
bayes_auto_learn 0
bayes_auto_expire 0
bayes_min_ham_num {least}
bayes_min_spam_num {least}
"""


class SpamdServer:
    """spamd with the stock rules, those above, and data of users in `users`.

    With `learns_from`, it learns, and words count after so many messages of each class.
    """

    def __init__(
        self,
        folder: Path,
        plugins: Collection[str] = (),
        rules: str = "use_bayes 0",
        *,
        learns_from: int = 0,
    ) -> None:
        self._learns = bool(learns_from)
        if learns_from:
            plugins, rules = (*plugins, "Bayes"), _LEARNING.format(least=learns_from)
        self.users = folder / "users"
        self._folder = folder
        self.port = free_port()
        configured = folder / "rules"
        for one in (self.users, configured):
            one.mkdir(parents=True)
        loaded = [
            f"loadplugin Mail::SpamAssassin::Plugin::{name}" for name in (*_PLUGINS, *plugins)
        ]
        (configured / "init.pre").write_text("\n".join(loaded) + "\n")
        (configured / "local.cf").write_text(f"{_RULES}{rules}\n")
        (folder / "home").mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder / "home", "nobody")
            # the proxy makes folders here, for the group of spamd
            shutil.chown(self.users, "root", "nogroup")
            self.users.chmod(0o2775)
        self._process: Process | None = None

    @property
    def address(self) -> str:
        return f"inet:{self.port}@{LOOPBACK}"

    def prefer(self, address: str, text: str) -> None:
        """Write the preferences of a user."""
        local, _, domain = address.partition("@")
        folder = self.users / domain / local
        folder.mkdir(parents=True)
        (folder / "user_prefs").write_text(text + "\n")

    def learn(self, address: str, kind: str, *messages: bytes) -> None:
        """Teach the Bayes data of a user, or those of site@site."""
        local, _, domain = address.partition("@")
        folder = self.users / domain / local
        folder.mkdir(parents=True, exist_ok=True)
        command = ["sa-learn", f"--{kind}", f"--siteconfigpath={self._folder / 'rules'}"]
        command += [f"--dbpath={folder / 'bayes'}"]
        for message in messages:
            subprocess.run(command, input=message, check=True, capture_output=True, timeout=60)
        for one in (folder, *folder.iterdir()):
            one.chmod(0o777 if one.is_dir() else 0o666)

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "spamd.log"
        before = log.stat().st_size if log.exists() else 0
        command = [
            *(SPAMD, "--local", "--nouser-config", "--max-children=2", "--min-children=1"),
            *("--listen", f"{LOOPBACK}:{self.port}", "--syslog=stderr"),
            f"--siteconfigpath={self._folder / 'rules'}",
            f"--virtual-config-dir={self.users}/%d/%l",
            f"--helper-home-dir={self._folder / 'home'}",
            f"--pidfile={self._folder / 'home' / 'spamd.pid'}",
        ]
        if self._learns:
            command.append("--allow-tell")
        if os.geteuid() == 0:
            command += ["--username=nobody", "--groupname=nogroup"]
        self._process = Process(command, log, env={"LANG": "C.UTF-8"})
        self._process.wait_until(
            lambda: b"server started on" in log.read_bytes()[before:], "spamd to be ready"
        )

    def pause(self) -> None:
        """Stop all its processes for now: connections are accepted and nothing answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            process = self._process
            process.kill()
            wait_until(lambda: not process.running, "the end of spamd")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
