"""A browser without a window: it keeps cookies, follows redirects, and fills in forms."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlencode, urljoin, urlsplit

from accounts.autoconfig.settings import AutoconfigSettings
from accounts.dnscheck import DomainReport, check, solve_together
from accounts.http.application import application
from accounts.oidc.client import OidcClient
from accounts.oidc.settings import OidcSettings
from accounts.pages.application import WebPages
from accounts.pages.dns import expectations
from accounts.pages.settings import PagesSettings
from msgauth.ask import NXDOMAIN, Answer, Question, Rcode
from tests.testbed.identity_provider import IdentityProvider
from tests.unit.accounts.http.api import SECRET, Answered, Api, Who

Fields = dict[str, list[str]]

_NOBODY = Who()


@dataclass
class HtmlForm:
    """A form of a page, with what it would send."""

    action: str
    method: str
    fields: Fields = field(default_factory=dict)


class HtmlPage(HTMLParser):
    """A page: its forms, links, text and all its tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[HtmlForm] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._form: HtmlForm | None = None
        self._select: str | None = None
        self._area: str | None = None
        self._options = 0
        self._before: list[str] = []
        self.feed(text)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs), f"an attribute comes twice: {attrs}"
        self.tags.append((tag, given))
        name = given.get("name") or ""
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        elif tag == "form":
            self._form = HtmlForm(given.get("action") or "", given.get("method") or "get")
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "input" and name:
            kind = given.get("type", "text")
            if kind in ("checkbox", "radio") and "checked" not in given:
                return
            self._form.fields.setdefault(name, []).append(given.get("value") or "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select is not None:
            values = self._form.fields.setdefault(self._select, [])
            self._options += 1
            if "selected" in given or self._options == 1:
                values[:] = [*self._before, given.get("value") or ""]
        elif tag == "textarea":
            self._area = name
            self._form.fields.setdefault(name, []).append("")
        if tag == "select":
            assert self._form is not None
            self._options = 0
            self._before = list(self._form.fields.get(name, []))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            if self._form is not None and self._area is not None:
                values = self._form.fields[self._area]
                # HTML drops the first line break
                values[-1] = values[-1].removeprefix("\n")
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None and self._form is not None:
            self._form.fields[self._area][-1] += data
        self.words.append(data)


class PagesSite:
    """The pages over the datastore of an `Api`."""

    def __init__(self, api: Api, **settings: Any) -> None:
        self.api = api
        self.settings = PagesSettings(enabled=True, **settings)
        self.oidc = OidcSettings()
        self.provider = IdentityProvider()
        self.dns: dict[tuple[str, str], tuple[str, ...]] = {}
        provider = OidcClient(lambda: self.oidc, self.provider.fetch)
        self.api.app = application(
            api.context,
            lambda one: WebPages(
                api.context, one, lambda: self.settings, self.check, provider, "mail.example"
            ),
        )

    async def check(self, domain: str, keys: dict[str, str]) -> DomainReport:
        """Check a domain against the records in `dns`."""
        expected = expectations("mail.example", AutoconfigSettings(), keys)

        async def resolve(question: Question) -> Answer:
            records = self.dns.get((question.name, question.rdtype))
            return NXDOMAIN if records is None else Answer(Rcode.OK, records, 300)

        return await solve_together(check(domain, expected), resolve)

    def browser(self, login: str | None = None, password: str = SECRET, **more: Any) -> Browser:
        made = Browser(self, **more)
        if login is not None:
            answered = made.log_in(login, password)
            assert answered.status == 303, made.page.text
            made.follow()
        return made


class Browser:
    """A browser. `page` is the last page; `here` is its path."""

    def __init__(self, site: PagesSite, client: str = "192.0.2.7", language: str = "") -> None:
        self.site = site
        self.client = client
        self.cookies: dict[str, str] = {}
        self.here = "/"
        self.last = Answered(0, {}, b"")
        self.page = HtmlPage("")
        self.fields = {"user-agent": "Testbrowser/1.0", "accept-encoding": "gzip"}
        if language:
            self.fields["accept-language"] = language

    def send(
        self, method: str, url: str, raw: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answered:
        parts = urlsplit(urljoin(self.here, url))
        fields = dict(self.fields)
        if self.cookies:
            fields["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            fields |= {"content-type": "application/x-www-form-urlencoded"}
            fields |= {"sec-fetch-site": "same-origin"}
        fields |= headers or {}
        self.last = self.site.api.call(
            method,
            unquote(parts.path),
            who=_NOBODY,
            headers=fields,
            raw=raw,
            query=parts.query,
            client=self.client,
            root="",
        )
        self._keep_cookies()
        octets = self.last.octets
        if self.last.headers.get("content-encoding") == "gzip":
            octets = gzip.decompress(octets)
        if self.last.headers.get("content-type", "").startswith("text/html"):
            self.page = HtmlPage(octets.decode())
            self.here = parts.path + (f"?{parts.query}" if parts.query else "")
        self.octets = octets
        return self.last

    def get(self, url: str, **headers: str) -> Answered:
        return self.send("GET", url, headers=headers)

    def open(self, url: str) -> HtmlPage:
        """Go to a page, which must be there."""
        answered = self.get(url)
        assert answered.status == 200, (url, answered.status, self.page.text)
        return self.page

    def follow(self) -> HtmlPage:
        """Go where the last answer leads."""
        assert self.last.status == 303, (self.last.status, self.page.text)
        return self.open(self.last.headers["location"])

    def form(self, action: str | None = None) -> HtmlForm:
        """Return the form of this page with an action, or the last one."""
        own = [one for one in self.page.forms if not one.action.endswith("/logout")]
        if action is None:
            return own[-1]
        return next(one for one in self.page.forms if one.action == action)

    def submit(self, _form: HtmlForm | None = None, **values: str | list[str] | None) -> Answered:
        """Send a form of this page, by default the last one, with some fields changed.

        A field that is None is not sent.
        """
        form = _form or self.form()
        fields: Fields = dict(form.fields)
        for name, value in values.items():
            if value is None:
                fields.pop(name, None)
            else:
                fields[name] = value if isinstance(value, list) else [value]
        raw = urlencode(fields, doseq=True).encode()
        return self.send(form.method.upper(), form.action or self.here, raw)

    def log_in(self, login: str, password: str = SECRET) -> Answered:
        self.open(
            "/login" if self.site.settings.prefix == "/" else self.site.settings.prefix + "/login"
        )
        return self.submit(login=login, password=password)

    def _keep_cookies(self) -> None:
        for text in self.last.set_cookies:
            name, _, rest = text.partition("=")
            value, *attributes = [part.strip() for part in rest.split(";")]
            flags = {part.lower() for part in attributes}
            assert {"path=/", "secure", "httponly", "samesite=lax"} <= flags, text
            if "max-age=0" in flags:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
