"""Mail stores, spam scanners, and the programs that scan mail on its way to a store.

All are on TCP ports of the loopback address, as in a pod. None asks DNS about a message.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.waiting import wait_until
from tools.bench.build import BUILT, build
from tools.bench.milter_peers import HOSTNAME
from tools.bench.namespace import NAMESERVER
from tools.bench.server import Server, answers

DOMAIN = "rcpt.example"
"""The domain of all mailboxes."""
CONNECTIONS = 8
"""Number of connections of Postfix, and of messages that are scanned at once."""
SPAMD = 783
"""The port of spamd and its stub: amavisd-new knows no other."""
_MAIL_USER = "nobody"
_CALM = 0.1
"""CPU seconds in a second of a server that prepares nothing any more."""


class Dovecot(Server):
    """Dovecot that takes mail by LMTP and keeps it in maildirs.

    `script`: Sieve that runs before the scripts of a user. It may filter a message through spamc.
    """

    name = "Dovecot"

    def __init__(self, folder: Path, script: str = "") -> None:
        super().__init__(folder, over="inet")
        self._script = script

    def start(self) -> None:
        """Start it in the foreground."""
        plugin = ""
        if self._script:
            programs = self.folder / "programs"
            programs.mkdir(exist_ok=True)
            shutil.copy("/usr/bin/spamc", programs)  # it runs no program by way of a link
            script = self.write("before.sieve", self._script)
            plugin = _EXTPROGRAMS.format(programs=programs, script=script)
        mail = self.folder / "mail"
        mail.mkdir(exist_ok=True)
        shutil.chown(mail, _MAIL_USER)
        config = self.write(
            "dovecot.conf",
            _DOVECOT.format(
                folder=self.folder, host=LOOPBACK, port=self.port, user=_MAIL_USER, domain=DOMAIN
            )
            + plugin,
        )
        if self._script:
            self.run_to_end("sievec", "-c", config, "-x", "+vnd.dovecot.filter", script)
        self.run("dovecot", "-F", "-c", config)

    def stored(self) -> Iterator[Path]:
        """Yield the files of the messages."""
        return (self.folder / "mail").glob("*/mail/new/*")

    def empty(self) -> None:
        """Remove the messages, so that no folder becomes large."""
        for path in self.stored():
            path.unlink()


_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
listen = {host}
ssl = no
mail_location = maildir:~/mail
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={user} gid=nogroup home={folder}/mail/%n allow_all_users=yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = {host}
    port = {port}
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@{domain}
  mail_plugins = $mail_plugins sieve
}}
"""
_EXTPROGRAMS = """
plugin {{
  sieve_plugins = sieve_extprograms
  sieve_global_extensions = +vnd.dovecot.filter
  sieve_filter_bin_dir = {programs}
  sieve_before = {script}
}}
"""
SPAMC_SCRIPT = f"""require "vnd.dovecot.filter";
filter "spamc" ["-d", "{LOOPBACK}", "-p", "{SPAMD}"];
"""


class StubSpamd(Server):
    """Server of the SPAMC protocol that answers at once."""

    name = "stub"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, over="inet")
        self.port = SPAMD

    def start(self) -> None:
        """Start it."""
        self.run(build("spamd"), str(SPAMD))


class Spamd(Server):
    """spamd with Debian's rules and plugins, without tests that ask the network."""

    name = "spamd"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, over="inet")
        self.port = SPAMD

    def start(self) -> None:
        """Start it in the foreground."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        shutil.chown(home, _MAIL_USER)
        self.run(
            "spamd",
            f"--listen={LOOPBACK}:{SPAMD}",
            "--local",
            "--nouser-config",
            f"--username={_MAIL_USER}",
            f"--helper-home-dir={home}",
            "--min-children=2",
            "--max-children=2",
            "--syslog=stderr",
        )


_ASKING = (
    "rbl",
    "surbl",
    "fuzzy_check",
    "dkim",
    "spf",
    "dmarc",
    "arc",
    "asn",
    "mx_check",
    "hfilter",
)
"""Modules of Rspamd that ask DNS, or repeat checks of the milter."""


class RspamdScanner(Server):
    """Rspamd with Debian's configuration, two processes and no Redis."""

    name = "rspamd"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, over="inet")

    def start(self) -> None:
        """Start it, and wait until it has compiled its expressions."""
        data = BUILT / "rspamd"  # compiled ones are kept for the next run
        local = self.folder / "local.d"
        for one in (data, local):
            one.mkdir(exist_ok=True)
        for name, text in {
            "options.inc": f'dns {{ nameserver = ["{NAMESERVER}"]; }}\n'
            f'control_socket = "{self.folder}/control mode=0600";\n',
            "logging.inc": f'type = "file"; filename = "{self.folder}/log"; level = "error";\n',
            "worker-normal.inc": f'bind_socket = "{LOOPBACK}:{self.port}"; count = 2;\n',
            "worker-proxy.inc": "enabled = false;\n",
            "worker-controller.inc": f'bind_socket = "{self.socket}";\n',
            **{f"{module}.conf": "enabled = false;\n" for module in _ASKING},
        }.items():
            (local / name).write_text(text)
        folders = {"DBDIR": data, "LOGDIR": self.folder, "RUNDIR": self.folder}
        variables = {"LOCAL_CONFDIR": self.folder, **folders}
        words = [f"--var={name}={path}" for name, path in variables.items()]
        self.run("rspamd", "-f", "-i", *words)

    def settle(self) -> None:
        """Wait until it is idle."""

        def is_calm() -> bool:
            before = self.cpu()
            time.sleep(1)
            return self.cpu() - before < _CALM

        wait_until(is_calm, "rspamd to be idle", deadline=120)


class Amavisd(Server):
    """amavisd-new, which only asks a spam scanner.

    By default it asks spamd; with `inside` it runs SpamAssassin in its own processes, as it does
    unless it is told otherwise.
    """

    name = "amavisd-new"

    def __init__(self, folder: Path, store: Dovecot, *, inside: bool = False) -> None:
        super().__init__(folder, over="inet")
        self._store = store
        self._scanner = "SpamAssassin" if inside else "SpamdClient"

    def start(self) -> None:
        """Start it in the foreground."""
        work = self.folder / "work"
        (work / "tmp").mkdir(parents=True, exist_ok=True)
        for one in (work, work / "tmp"):
            shutil.chown(one, "amavis", "amavis")
        config = self.write(
            "amavisd.conf",
            _AMAVISD.format(
                work=work,
                hostname=HOSTNAME,
                domain=DOMAIN,
                servers=CONNECTIONS,
                host=LOOPBACK,
                port=self.port,
                store=self._store.port,
                scanner=self._scanner,
            ),
        )
        self.run("amavisd", "-c", config, "foreground")


_AMAVISD = """
use strict;
$daemon_user = 'amavis'; $daemon_group = 'amavis'; $max_servers = {servers};
$myhostname = '{hostname}'; $mydomain = '{domain}';
$MYHOME = '{work}'; $TEMPBASE = '{work}/tmp'; $QUARANTINEDIR = undef;
$pid_file = '{work}/pid'; $lock_file = '{work}/lock'; $helpers_home = '{work}';
$enable_db = 0; $enable_global_cache = 0; $nanny_details_level = 0;
$do_syslog = 0; $LOGFILE = '{work}/log'; $log_level = 0;
$inet_socket_bind = '{host}'; $inet_socket_port = {port}; @inet_acl = qw({host});
$forward_method = 'lmtp:[{host}]:{store}'; $notify_method = $forward_method;
@bypass_virus_checks_maps = (1); @bypass_banned_checks_maps = (1);
@bypass_header_checks_maps = (1); @decoders = ();
@local_domains_maps = (1); $enable_dkim_verification = 0;
$sa_tag_level_deflt = -999; $sa_tag2_level_deflt = 5; $sa_kill_level_deflt = 9999;
$sa_local_tests_only = 1; $sa_mail_body_size_limit = 512*1024;
@spam_scanners = (['{scanner}', 'Amavis::SpamControl::{scanner}']);
1;
"""


class Proxy(Server):
    """``gatepost delivery`` with default settings, in front of a store; `engine` is its setting."""

    name = "gatepost"

    def __init__(
        self, folder: Path, store: Dovecot, scanner: Server, engine: str = "spamassassin"
    ) -> None:
        super().__init__(folder, over="inet")
        self._store = store
        self._scanner = scanner
        self._engine = engine
        self._metrics = free_port()

    def start(self) -> None:
        """Start it as an administrator would, with its log in a file."""
        config = self.write(
            "gatepost.toml",
            f'hostname = "{HOSTNAME}"\n[delivery]\nlisten = "{self.listen()}"\n'
            f'metrics_listen = "inet:{self._metrics}@{LOOPBACK}"\n'
            f'[delivery.stores]\ndefault = "inet:{self._store.port}@{LOOPBACK}"\n'
            f'[delivery.spam]\nengine = "{self._engine}"\n'
            f'address = "inet:{self._scanner.port}@{LOOPBACK}"\n',
        )
        self.run(Path(sys.executable).with_name("gatepost"), "delivery", "--config", config)

    def is_ready(self) -> bool:
        """Return what `/readyz` says."""
        return super().is_ready() and answers(self._metrics, "/readyz")


class Way:
    """A way to a mailbox: the first of its `filters` takes the mail, or else the store.

    CPU is that of all, with the scanner if it is `counted`; memory is that of the filters.
    """

    def __init__(
        self, name: str, store: Dovecot, filters: Sequence[Server] = (), *counted: Server
    ) -> None:
        self.name = name
        self.store = store
        self.filters = filters
        self._counted = [store, *filters, *counted]
        self.alone: list[float] = []
        """CPU milliseconds of the filters for one message, in each round."""

    @property
    def address(self) -> str:
        """Return where the mail goes."""
        return (*self.filters, self.store)[0].address

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        return sum(one.cpu() for one in self._counted)

    def cpu_alone(self) -> float:
        """Return the CPU seconds that the filters have used so far."""
        return sum(one.cpu() for one in self.filters)

    def memory(self) -> float:
        """Return the MiB of the filters."""
        return sum(one.memory() for one in self.filters)
