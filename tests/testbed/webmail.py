"""Container of the webmail image and a browser for it that has cookies and no scripts."""

from __future__ import annotations

import http.client
import http.cookies
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.testbed import images
from tests.testbed.container import Container
from tests.testbed.podman import inspect, podman

PORT = 8090
ANY_USER = 54321
TIMEOUT = 60.0

SERVERS: Mapping[str, str] = {
    "WEBMAIL_IMAP": "127.0.0.1:10143",
    "WEBMAIL_SUBMISSION": "127.0.0.1:587",
    "WEBMAIL_SIEVE": "127.0.0.1:14190",
    "WEBMAIL_API": "http://127.0.0.1:8080/api/v1",
}
"""Servers in the same pod; nothing connects to them before somebody logs in."""


def start_webmail(name: str, *options: str, settings: Mapping[str, str] = SERVERS) -> Container:
    """Start webmail as nobody in particular, with nothing to write to but its volume and /tmp."""
    podman(
        "run",
        "--detach",
        f"--name={name}",
        "--read-only",
        "--read-only-tmpfs=false",
        # in a pod, podman 4.3 mounts it read-only now and then unless this is said
        "--tmpfs=/tmp:rw",
        f"--user={ANY_USER}:0",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--volume={name}-webmail:/var/lib/webmail",
        *(f"--env={key}={value}" for key, value in settings.items()),
        *options,
        images.tag("webmail"),
    )
    return Container("webmail", name, ["probe"])


def address_of(container: Container, network: str) -> str:
    """Return the address of a container in a network of podman's."""
    networks = inspect("container", container.name)["NetworkSettings"]["Networks"]
    return str(networks[network]["IPAddress"])


@dataclass
class Page:
    """An answer of a web server; the names of `fields` are in lower case, the last one counts."""

    status: int
    fields: dict[str, str]
    text: str
    cookies: list[str] = field(default_factory=list)

    def token(self) -> str:
        """Return the token that a form of Roundcube sends back."""
        found = re.search(r'"request_token":"([^"]+)"', self.text)
        assert found is not None, self.text[:2000]
        return found[1]


class Browser:
    """A browser at one web server that keeps cookies; `fields` go with each request."""

    def __init__(
        self, host: str, fields: Mapping[str, str] | None = None, port: int = PORT
    ) -> None:
        self.host = host
        self._port = port
        self._fields = dict(fields or {})
        self._cookies: dict[str, str] = {}

    def get(self, target: str) -> Page:
        """Request a path; redirects are not followed."""
        return self._request("GET", target)

    def post(self, target: str, form: Mapping[str, str]) -> Page:
        """Send a form to a path."""
        return self._request("POST", target, urllib.parse.urlencode(form).encode())

    def _request(self, method: str, target: str, body: bytes | None = None) -> Page:
        fields = dict(self._fields)
        if self._cookies:
            fields["Cookie"] = "; ".join(f"{k}={v}" for k, v in self._cookies.items())
        if body is not None:
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self.host, self._port, timeout=TIMEOUT)
        try:
            connection.request(method, target, body, fields)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        cookies = answer.headers.get_all("Set-Cookie") or []
        for one in cookies:
            for name, morsel in http.cookies.SimpleCookie(one).items():
                self._cookies[name] = morsel.value
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Page(answer.status, found, text, cookies)
