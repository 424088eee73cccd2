"""The PostgreSQL image: with its password, and as the datastore of accounts."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed import images
from tests.testbed.container import Container, process_status
from tests.testbed.pod import Network
from tests.testbed.podman import attempt, inspect, podman
from tests.testbed.waiting import wait_until

ANY_USER = 54321
PASSWORD, OTHER = "correct-horse-battery", "another-horse-battery"
CONFIG = """
hostname = "mail.example.org"
[accounts]
listen = "inet:10030"
[accounts.database]
url = "postgresql://gatepost@{address}/accounts"
password_file = "/etc/gatepost/password"
key_file = "/etc/gatepost/seal"
timeout = "3s"
"""


class Database:
    """PostgreSQL as nobody in particular, with nothing to write to but its volume and /tmp."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self.folder = folder
        self.name = network.new_name()
        self.set_password(PASSWORD)
        self.container = self.start(self.name)

    def set_password(self, password: str) -> None:
        (self.folder / "password").unlink(missing_ok=True)
        (self.folder / "password").write_text(f"{password}\n")
        (self.folder / "password").chmod(0o440)

    def start(self, name: str, *options: str) -> Container:
        podman(
            "run",
            "--detach",
            f"--name={name}",
            f"--network={self._network.name}",
            "--restart=always",
            "--read-only",
            "--tmpfs=/tmp:rw",
            f"--user={ANY_USER}:0",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            f"--volume={self.folder}:/secrets:ro",
            f"--volume={self.name}:/var/lib/postgresql",
            "--env=POSTGRES_PASSWORD_FILE=/secrets/password",
            *options,
            images.tag("postgres"),
        )
        return Container("postgres", name, ["probe"])

    @property
    def address(self) -> str:
        networks = self.container.state["NetworkSettings"]["Networks"]
        return str(networks[self._network.name]["IPAddress"])

    def log_in(self, user: str, password: str) -> str:
        """Ask who is there over TCP; returns the answer or the error."""
        line = f"host={self.address} user={user} password={password} dbname=accounts"
        done = self.container.attempt("psql", "-XAtq", line, "-c", "SELECT current_user")
        return (done.stdout + done.stderr).strip()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # pytest's tmp_path can be reached by root alone
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def database(network: Network, folder: Path) -> Iterator[Database]:
    made = Database(network, folder)
    try:
        made.container.wait_ready()
        yield made
    finally:
        network.remove(made.name)
        attempt("volume", "rm", made.name)


@pytest.fixture
def accounts(network: Network, database: Database) -> Iterator[Container]:
    """Accounts with its data in the database."""
    folder = database.folder
    (folder / "gatepost.toml").write_text(CONFIG.format(address=database.address))
    (folder / "seal").unlink(missing_ok=True)
    (folder / "seal").write_text(base64.b64encode(b"s" * 32).decode())
    (folder / "seal").chmod(0o440)
    name = network.new_name()
    podman(
        "run",
        "--detach",
        f"--name={name}",
        f"--network={network.name}",
        "--read-only",
        f"--user={ANY_USER}:0",
        f"--volume={folder}:/etc/gatepost:ro",
        images.tag("accounts"),
        "accounts",
        "--migrate",
    )
    try:
        yield Container(
            "accounts", name, ["gatepost", "probe", "socketmap", "inet:10030@127.0.0.1"]
        )
    finally:
        network.remove(name)


def test_it_lets_in_the_service_with_its_password_alone(database: Database) -> None:
    container = database.container
    podman("healthcheck", "run", container.name)
    assert process_status(container, "Uid") == [str(ANY_USER)] * 4
    assert process_status(container, "CapBnd") == ["0000000000000000"]
    assert database.log_in("gatepost", PASSWORD) == "gatepost"
    for user, password in (("gatepost", OTHER), ("postgres", PASSWORD)):
        assert "authentication failed" in database.log_in(user, password)
    for file in ("environ", "cmdline"):
        assert PASSWORD.encode() not in Path(f"/proc/{container.pid}/{file}").read_bytes()
    assert PASSWORD not in container.log()
    may = container.execute(
        *("psql", "-XAtqU", "postgres", "-c"),
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = 'gatepost'",
    )
    assert may.strip() == "f"


def test_accounts_goes_on_after_it_was_killed(database: Database, accounts: Container) -> None:
    accounts.wait_ready()
    accounts.execute("gatepost", "accounts", "demo")
    database.container.kill_and_wait_ready()
    wait_until(
        lambda: accounts.attempt("gatepost", "user", "list").returncode == 0,
        "accounts to have its database again",
    )
    assert "anna@example.org" in accounts.execute("gatepost", "user", "list")
    assert accounts.is_ready()
    dump = database.container.execute("pg_dump", "-U", "postgres", "accounts")
    assert "anna@example.org" in dump


def test_one_volume_is_for_one_container(database: Database) -> None:
    """Two servers on one cluster would destroy it."""
    done = attempt(
        *(
            "run",
            "--rm",
            "--network=none",
            "--read-only",
            "--tmpfs=/tmp:rw",
            f"--user={ANY_USER}:0",
        ),
        *(
            f"--volume={database.folder}:/secrets:ro",
            f"--volume={database.name}:/var/lib/postgresql",
        ),
        *("--env=POSTGRES_PASSWORD_FILE=/secrets/password", images.tag("postgres")),
    )
    assert done.returncode == 1
    assert "another container has this volume" in done.stderr
    assert database.log_in("gatepost", PASSWORD) == "gatepost"


def test_a_new_password_counts_from_the_next_start(database: Database) -> None:
    database.set_password(OTHER)
    podman("stop", "--time=20", database.name)
    wait_until(lambda: not database.container.pid, "PostgreSQL to end")
    assert database.container.state["State"]["ExitCode"] == 0
    podman("start", database.name)
    database.container.wait_ready()
    assert "authentication failed" in database.log_in("gatepost", PASSWORD)
    assert database.log_in("gatepost", OTHER) == "gatepost"
    database.set_password(PASSWORD)
    podman("restart", "--time=20", database.name)
    database.container.wait_ready()


def test_a_start_that_was_cut_off_is_made_again(network: Network, folder: Path) -> None:
    """A cluster gets its name when it is complete."""
    fresh = Database.__new__(Database)
    fresh._network, fresh.folder, fresh.name = network, folder, network.new_name()
    podman("volume", "create", fresh.name)
    mountpoint = Path(str(inspect("volume", fresh.name)["Mountpoint"]))
    mountpoint.chmod(0o777)
    (mountpoint / "data.new").mkdir(mode=0o777)
    (mountpoint / "data.new").chmod(0o777)
    (mountpoint / "data.new" / "PG_VERSION").write_text("17\n")
    try:
        fresh.container = fresh.start(fresh.name)
        fresh.container.wait_ready()
        assert fresh.log_in("gatepost", PASSWORD) == "gatepost"
    finally:
        network.remove(fresh.name)
        attempt("volume", "rm", fresh.name)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--env=POSTGRES_PASSWORD_FILE=",), "set POSTGRES_PASSWORD_FILE"),
        (("--env=POSTGRES_PASSWORD_FILE=/secrets/none",), "is missing or empty"),
        (("--env=POSTGRES_PASSWORD_FILE=/secrets/short",), "shorter than 12"),
        (("--env=POSTGRES_PASSWORD_FILE=/secrets/quote",), "may only have"),
        (("--env=POSTGRES_USER=x;y",), "may only have lower-case letters"),
        (("--env=POSTGRES_USER=postgres",), "is for the service"),
    ],
)
def test_settings_that_cannot_work_are_explained(
    folder: Path, options: tuple[str, ...], text: str
) -> None:
    (folder / "short").write_text("short\n")
    (folder / "quote").write_text("a'b; DROP ROLE postgres\n")
    done = attempt(
        *("run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp:rw"),
        *(f"--volume={folder}:/secrets:ro", "--env=POSTGRES_PASSWORD_FILE=/secrets/password"),
        *(*options, images.tag("postgres")),
    )
    assert done.returncode == 1
    assert text in done.stderr
