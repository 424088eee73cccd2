"""The webmail image: its pages, their fields, its key and its place below a prefix."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.testbed import images
from tests.testbed.container import Container, process_status
from tests.testbed.pod import Network
from tests.testbed.podman import inspect, podman
from tests.testbed.waiting import wait_until
from tests.testbed.webmail import ANY_USER, PORT, SERVERS, Browser, address_of, start_webmail

LOGIN = "?_task=login"
SIZE = 2_000_000
"""Octets of the largest message in these tests."""
NO_FIELDS: Mapping[str, str] = {}
THROUGH_A_PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.77"}
VERSIONS = re.compile(r"lighttpd|\bphp/|x-powered-by|roundcube (?:webmail[ /])?\d|\b1\.6\.\d", re.I)
"""Words that name a program or its version."""


class Webmail:
    """Starts webmail in the network of these tests."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.names: list[str] = []

    def start(self, *options: str, wait: bool = True, **settings: str) -> Container:
        name = self.network.new_name()
        self.names.append(name)
        network = f"--network={self.network.name}"
        container = start_webmail(name, network, *options, settings={**SERVERS, **settings})
        if wait:
            container.wait_ready()
        return container

    def browser(self, container: Container, fields: Mapping[str, str] = NO_FIELDS) -> Browser:
        return Browser(address_of(container, self.network.name), fields)


@pytest.fixture
def webmail(network: Network) -> Iterator[Webmail]:
    starting = Webmail(network)
    yield starting
    for name in starting.names:
        network.remove(name)


@pytest.fixture(scope="module")
def plain(network: Network) -> Iterator[tuple[Container, Browser]]:
    """One at the root, for the tests that leave it as it was."""
    starting = Webmail(network)
    container = starting.start(WEBMAIL_MESSAGE_SIZE=str(SIZE))
    yield container, starting.browser(container)
    for name in starting.names:
        network.remove(name)


def test_it_shows_its_login_and_no_version(plain: tuple[Container, Browser]) -> None:
    container, browser = plain
    podman("healthcheck", "run", container.name)
    page = browser.get(f"/{LOGIN}")
    assert page.status == 200
    assert 'name="_user"' in page.text
    assert "<title>Webmail" in page.text
    for path in (f"/{LOGIN}", "/index.php", "/nothing.js", "/plugins/", "/x.php"):
        answer = browser.get(path)
        head = "\n".join(f"{name}: {value}" for name, value in answer.fields.items())
        assert "server" not in answer.fields
        assert VERSIONS.search(head) is None, head
        assert VERSIONS.search(answer.text) is None, VERSIONS.search(answer.text)


def test_every_answer_has_the_fields_of_security(plain: tuple[Container, Browser]) -> None:
    _, browser = plain
    for path in (f"/{LOGIN}", "/program/js/app.min.js", "/nothing.js", "/composer.json"):
        fields = browser.get(path).fields
        assert fields["x-content-type-options"] == "nosniff"
        assert fields["x-frame-options"] == "SAMEORIGIN"
        assert fields["referrer-policy"] == "no-referrer"
        assert fields["cross-origin-opener-policy"] == "same-origin"
        policy = dict(part.split(" ", 1) for part in fields["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == "'self'"
        # without the last two, no list of messages appears in a browser
        assert policy["script-src"] == "'self' 'unsafe-inline' 'unsafe-eval'"
    (cookie,) = Browser(browser.host).get(f"/{LOGIN}").cookies
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(
    "path",
    [
        "/plugins/password/password.php",
        "/plugins/password/drivers/gatepost.php",
        "/plugins/password/composer.json",
        "/plugins/gatepost/gatepost.php",
        "/plugins/managesieve/Changelog",
        "/skins/elastic/meta.json",
        "/config/config.inc.php",
        "/index.php/x",
        "/index.php.bak",
        "/installer/",
        "/.htaccess",
        "/program/lib/Roundcube/rcube.php",
        "/../config/config.inc.php",
        "/program/js/..%2f..%2f..%2fconfig/config.inc.php",
        "/webmail.sqlite",
        "/key",
    ],
)
def test_it_serves_what_browsers_load_and_nothing_else(
    plain: tuple[Container, Browser], path: str
) -> None:
    assert plain[1].get(path).status in (400, 403, 404)


def test_what_browsers_load_is_kept_by_them(plain: tuple[Container, Browser]) -> None:
    _, browser = plain
    page = browser.get(f"/{LOGIN}")
    loaded = re.findall(r'(?:src|href)="((?:program|skins|plugins)/[^"]+)"', page.text)
    assert len(loaded) > 8
    for path in loaded:
        answer = browser.get(f"/{path}")
        assert (answer.status, path) == (200, path)
        assert answer.fields["cache-control"] == "max-age=2592000"
    assert "no-store" in page.fields["cache-control"]


def test_a_request_is_not_much_larger_than_a_message(plain: tuple[Container, Browser]) -> None:
    container, browser = plain
    assert browser.post(f"/{LOGIN}", {"x": "a" * (SIZE - 10_000)}).status != 413
    assert browser.post(f"/{LOGIN}", {"x": "a" * (SIZE + (2 << 20))}).status == 413
    # PHP has the same limits, and room for such a message
    (line,) = {
        Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        for pid in container.processes()
        if Path(f"/proc/{pid}/comm").read_text() == "php-cgi\n"
    }
    assert f"upload_max_filesize={SIZE} " in line
    assert f"post_max_size={SIZE + (1 << 20)}" in line


def test_it_is_nobody_on_a_read_only_root(plain: tuple[Container, Browser]) -> None:
    container, _ = plain
    assert process_status(container, "Uid") == [str(ANY_USER)] * 4
    assert int(process_status(container, "CapBnd")[0], 16) == 0
    for path in ("/new", "/etc/new", "/usr/share/roundcube/new", "/var/lib/roundcube/new"):
        done = container.attempt("touch", path)
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in container.processes()}
    assert names == {"lighttpd", "php-cgi"}


def test_a_failed_login_is_in_the_log_with_the_address(plain: tuple[Container, Browser]) -> None:
    container, browser = plain
    token = browser.get(f"/{LOGIN}").token()
    form = {"_token": token, "_task": "login", "_action": "login", "_pass": "secret word"}
    answer = browser.post(f"/{LOGIN}", {**form, "_user": "anna\nrun: forged@example.org"})
    assert answer.status == 401
    log = container.wait_for_log("userlogins: Failed login for")
    assert "secret word" not in log
    assert not [line for line in log.splitlines() if line.startswith("run: forged")]


def test_it_works_below_a_prefix_behind_a_proxy(webmail: Webmail) -> None:
    container = webmail.start(
        WEBMAIL_PREFIX="mail/web", WEBMAIL_PROXIES=f"127.0.0.1 {webmail.network.subnet}"
    )
    podman("healthcheck", "run", container.name)
    browser = webmail.browser(container, THROUGH_A_PROXY)
    for path in ("/", "/mail/web"):
        answer = browser.get(path)
        assert (answer.status, answer.fields["location"]) == (301, "/mail/web/")
    page = browser.get(f"/mail/web/{LOGIN}")
    assert page.status == 200
    (cookie,) = page.cookies
    assert "path=/mail/web/" in cookie
    assert "secure" in cookie
    for path in re.findall(r'(?:src|href)="((?:program|skins|plugins)/[^"]+)"', page.text):
        assert browser.get(f"/mail/web/{path}").status == 200, path
    # nothing is loaded from beyond the prefix
    assert re.findall(r'(?:src|href|action)="/(?!mail/web/)[^"]*"', page.text) == []
    for path in (f"/{LOGIN}", "/index.php", "/mail/", "/mail/webmail"):
        assert browser.get(path).status in (301, 403, 404), path
    form = {"_token": page.token(), "_task": "login", "_action": "login"}
    browser.post(f"/mail/web/{LOGIN}", {**form, "_user": "anna@example.org", "_pass": "x"})
    container.wait_for_log("from 192.0.2.77")


def test_a_stranger_is_no_proxy(webmail: Webmail) -> None:
    container = webmail.start(WEBMAIL_PROXIES="198.51.100.1")
    browser = webmail.browser(container, THROUGH_A_PROXY)
    page = browser.get(f"/{LOGIN}")
    (cookie,) = page.cookies
    assert "secure" not in cookie
    form = {"_token": page.token(), "_task": "login", "_action": "login"}
    browser.post(f"/{LOGIN}", {**form, "_user": "anna@example.org", "_pass": "x"})
    log = container.wait_for_log("Failed login for anna@example.org from ")
    assert "Failed login for anna@example.org from 192.0.2.77" not in log


def test_the_key_is_made_once_for_each_volume(webmail: Webmail) -> None:
    first, second = webmail.start(), webmail.start()

    def key(container: Container) -> str:
        assert container.execute("stat", "-c", "%a", "/var/lib/webmail/key").strip() == "600"
        return container.execute("cat", "/var/lib/webmail/key")

    before = key(first)
    assert len(before) >= 32
    assert before != key(second)
    podman("restart", first.name)
    first.wait_ready()
    assert key(first) == before


@pytest.fixture
def secrets() -> Iterator[Callable[[str], str]]:
    """Writes a key and returns the options that mount it."""
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)

        def write(text: str) -> str:
            path = Path(folder) / "key"
            path.write_text(text)
            path.chmod(0o440)
            return f"--volume={folder}:/secrets:ro"

        yield write


def test_a_mounted_key_is_used_and_not_copied(
    webmail: Webmail, secrets: Callable[[str], str]
) -> None:
    text = "a key that is long enough, at last"
    container = webmail.start(secrets(text), WEBMAIL_KEY_FILE="/secrets/key")
    assert "key" not in container.execute("ls", "/var/lib/webmail").split()
    assert container.attempt("grep", "-r", text, "/var/lib/webmail").returncode == 1
    for file in ("environ", "cmdline"):
        assert text.encode() not in Path(f"/proc/{container.pid}/{file}").read_bytes()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"WEBMAIL_IMAP": ""}, "WEBMAIL_IMAP"),
        ({"WEBMAIL_IMAP": "tls://x'; evil"}, "WEBMAIL_IMAP is like"),
        ({"WEBMAIL_PREFIX": '/x" => "/'}, "WEBMAIL_PREFIX is a path"),
        ({"WEBMAIL_PREFIX": "/a/../b/"}, "WEBMAIL_PREFIX is a path"),
        ({"WEBMAIL_PROXIES": '0.0.0.0/0" => "x'}, "WEBMAIL_PROXIES has addresses"),
        ({"WEBMAIL_MESSAGE_SIZE": "50M"}, "WEBMAIL_MESSAGE_SIZE is a whole number"),
        ({"WEBMAIL_PROCESSES": "0"}, "WEBMAIL_PROCESSES is a number from"),
        ({"WEBMAIL_API": "file:///etc/passwd"}, "WEBMAIL_API is like"),
        ({"WEBMAIL_KEY_FILE": "/nothing"}, "the key /nothing cannot be read"),
        ({"WEBMAIL_KEY_FILE": "/etc/hostname"}, "has fewer than 32 characters"),
    ],
)
def test_a_bad_setting_stops_it_with_a_sentence(
    webmail: Webmail, settings: dict[str, str], said: str
) -> None:
    container = webmail.start("--hostname=web", wait=False, **settings)
    wait_until(lambda: not container.pid, "webmail to end")
    assert container.state["State"]["ExitCode"] != 0
    assert said in container.log()


def test_it_stops_in_good_order(webmail: Webmail) -> None:
    container = webmail.start()
    begun = time.monotonic()
    podman("stop", container.name)
    assert time.monotonic() - begun < 9
    assert container.state["State"]["ExitCode"] == 0


def test_no_secret_is_in_the_image(network: Network) -> None:
    def inside(script: str) -> list[str]:
        entry = ("--entrypoint=sh", "--user=0", "--network=none", "--read-only")
        found = podman("run", "--rm", *entry, images.tag("webmail"), "-c", f"{script}; true")
        return found.splitlines()

    assert inside("grep -rl 'PRIVATE KEY-----' /etc /home /opt /root /srv /var") == []
    # Debian writes a key into config.inc.php; Roundcube has one in its defaults, which is not used
    keys = inside('grep -rE "des_key\'. *= *[\'\\"]" /etc /usr/share/roundcube /var')
    assert [line for line in keys if "rcmail-!24ByteDESkey" not in line] == []
    assert inside("find /etc /var -name '*.sqlite*' -o -name 'debian-db*'") == []
    assert inside("find / -xdev -name 'apache2*' -type f -perm /111") == []
    assert inside("find /etc/roundcube -name config.inc.php") == ["/etc/roundcube/config.inc.php"]


def test_its_port_is_the_one_that_it_names(network: Network) -> None:
    ports = inspect("image", images.tag("webmail"))["Config"]["ExposedPorts"]
    assert list(ports) == [f"{PORT}/tcp"]
