"""Milters of the benchmarks, each configured for its best performance.

They do not log each message, do not validate DNSSEC, and sign like Gatepost: RSA-2048,
relaxed/relaxed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.testbed.ports import LOOPBACK, free_port
from tools.bench.build import BUILT
from tools.bench.mail import ED25519_SELECTOR, SELECTOR, Keys, domain
from tools.bench.namespace import NAMESERVER
from tools.bench.server import Server, answers

HOSTNAME = "mail.gateway.example"
"""The authserv-id of all servers."""

PEERS_VENV = BUILT / "peers"
"""What pip installs of the peers: they have versions of their own of what we use too."""


class OpenDkim(Server):
    """opendkim, which signs mail from loopback and verifies all other mail."""

    name = "opendkim"

    def __init__(self, folder: Path, keys: Keys, *, over: str = "unix") -> None:
        super().__init__(folder, over=over)
        self._keys = keys

    def start(self) -> None:
        """Start it in the foreground."""
        config = self.write(
            "opendkim.conf",
            f"Socket {self.listen('local')}\nMode sv\nSyslog no\nUMask 0\n"
            f"Canonicalization relaxed/relaxed\nDomain {domain(0)}\nSelector {SELECTOR}\n"
            f"KeyFile {self._keys.rsa_file}\nInternalHosts {LOOPBACK}\nOversignHeaders From\n"
            f"AuthservID {HOSTNAME}\nNameservers {NAMESERVER}\nPidFile {self.folder}/pid\n"
            "RequireSafeKeys no\n",
        )
        self.run("opendkim", "-f", "-x", config)


class OpenDmarc(Server):
    """opendmarc after opendkim and policyd-spf, whose results it reads from the header."""

    name = "opendmarc"

    def start(self) -> None:
        """Start it in the foreground."""
        config = self.write(
            "opendmarc.conf",
            f"Socket local:{self.socket}\nSyslog false\nUMask 0\nAuthservID {HOSTNAME}\n"
            f"TrustedAuthservIDs {HOSTNAME}\nSPFSelfValidate false\n"
            "PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat\n",
        )
        self.run("opendmarc", "-f", "-c", config)


class Rspamd(Server):
    """rspamd with only the modules that sign and verify.

    `processes` is the number of its proxies, which speak the milter protocol and here also do the
    work; by default one for each core. A fresh installation has one.
    """

    name = "rspamd"

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        *,
        verify: bool = False,
        over: str = "unix",
        processes: int | None = None,
    ) -> None:
        super().__init__(folder, over=over)
        if processes:
            self.name = f"rspamd, {processes} process"
        self._keys = keys
        self._verify = verify
        self._processes = processes or os.cpu_count()

    def start(self) -> None:
        """Start it in the foreground."""
        where = f"{LOOPBACK}:{self.port}" if self.port else f"{self.socket} mode=0666"
        verify = _RSPAMD_VERIFY if self._verify else ""
        signing = "" if self._verify else _RSPAMD_SIGN.format(domain=domain(0), keys=self._keys)
        config = self.write(
            "rspamd.conf",
            _RSPAMD.format(
                folder=self.folder, where=where, nameserver=NAMESERVER, workers=self._processes
            )
            + verify
            + signing,
        )
        self.run("rspamd", "-f", "-i", "-c", config)


_RSPAMD = """
options {{
    pidfile = "{folder}/pid"; filters = "dkim"; cache_file = "{folder}/cache";
    dns {{ nameserver = ["{nameserver}"]; timeout = 1s; retransmits = 5; }}
    tempdir = "{folder}"; url_tld = "/usr/share/rspamd/effective_tld_names.dat";
    control_socket = "{folder}/control mode=0600"; history_rows = 1;
    history_file = "{folder}/history"; dynamic_conf = "{folder}/dynamic"; words_decay = 600;
    local_addrs = ["127.0.0.0/8"];
}}
logging {{ type = "file"; filename = "{folder}/log"; level = "error"; }}
worker "rspamd_proxy" {{
    bind_socket = "{where}"; milter = yes; timeout = 120s; count = {workers};
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
actions {{ reject = 1500; add_header = 600; greylist = null; }}
"""
_RSPAMD_SIGN = """
modules {{ path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }}
dkim_signing {{
    enabled = true; sign_local = true; sign_authenticated = true; use_domain = "header";
    allow_hdrfrom_mismatch = true; allow_username_mismatch = true;
    domain {{ {domain} {{ path = "{keys.rsa_file}"; selector = "s1"; }} }}
}}
"""
_RSPAMD_VERIFY = """
modules {
    path = "/usr/share/rspamd/plugins/spf.lua"; path = "/usr/share/rspamd/plugins/dmarc.lua";
    path = "/usr/share/rspamd/plugins/arc.lua";
    path = "/usr/share/rspamd/plugins/milter_headers.lua";
}
dkim { enabled = true; check_local = false; }
spf { enabled = true; }
dmarc { enabled = true; reporting { enabled = false; } }
arc { enabled = true; check_local = false; }
milter_headers { use = ["authentication-results"]; }
"""


class DkimpyMilter(Server):
    """dkimpy-milter from PyPI, which signs or verifies."""

    name = "dkimpy-milter"

    def __init__(
        self, folder: Path, keys: Keys, *, verify: bool = False, over: str = "unix"
    ) -> None:
        super().__init__(folder, over=over)
        self._keys = keys
        # with both modes it would sign mail from outside too, where From is its domain
        self._mode = "v" if verify else "s"

    def start(self) -> None:
        """Start it in the foreground."""
        (self.folder / "pid").unlink(missing_ok=True)
        config = self.write(
            "dkimpy-milter.conf",
            f"Socket {self.listen('local')}\nMode {self._mode}\nSyslog no\nUMask 0\n"
            f"Canonicalization relaxed/relaxed\nDomain {domain(0)}\nSelector {SELECTOR}\n"
            f"KeyFile {self._keys.rsa_file}\nInternalHosts {LOOPBACK}\n"
            f"UserID root\nPidFile {self.folder}/pid\n",
        )
        self.run(PEERS_VENV / "bin" / "dkimpy-milter", config)


class Gatepost(Server):
    """``gatepost milters`` with default settings, except for `settings`.

    With `ed25519` every message gets a second signature, Gatepost's default for a domain with both
    keys.
    """

    name = "gatepost"

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        *,
        ed25519: bool = False,
        settings: str = "",
        name: str = "gatepost",
        over: str = "unix",
    ) -> None:
        super().__init__(folder, over=over)
        self.name = name
        self._keys = keys
        self._ed25519 = ed25519
        self._settings = settings
        self._metrics = free_port()

    def start(self) -> None:
        """Start it as an administrator would, with its log in a file."""
        files = {SELECTOR: self._keys.rsa_file}
        if self._ed25519:
            files[ED25519_SELECTOR] = self._keys.ed25519_file
        entries = "".join(
            f'[[milters.key]]\ndomain = "{domain(0)}"\nselector = "{selector}"\nfile = "{file}"\n'
            for selector, file in files.items()
        )
        config = self.write(
            "gatepost.toml",
            f'hostname = "{HOSTNAME}"\n[milters]\nlisten = "{self.listen()}"\n'
            'socket_group = "postfix"\n'
            f'metrics_listen = "inet:{self._metrics}@{LOOPBACK}"\nkeys = "{self.folder}/keys"\n'
            f"{self._settings}\n{entries}",
        )
        (self.folder / "keys").mkdir(exist_ok=True)
        self.run(Path(sys.executable).with_name("gatepost"), "milters", "--config", config)

    def is_ready(self) -> bool:
        """Return what `/readyz` says."""
        return super().is_ready() and answers(self._metrics, "/readyz")
