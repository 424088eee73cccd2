"""Table of all pages. A path that is not here does not exist, and nobody may see more than it
says."""

from __future__ import annotations

from accounts.pages.page import EVERYBODY, NOBODY, OWNERS, WebPage
from accounts.pages.views import app_passwords, home, security, signing_in

PAGES: tuple[WebPage, ...] = (
    WebPage("login", "/login", NOBODY, signing_in.show_login, signing_in.log_in),
    WebPage("logout", "/logout", EVERYBODY, security.show, signing_in.log_out),
    WebPage("home", "/", EVERYBODY, home.show),
    WebPage("security", "/security", EVERYBODY, security.show),
    WebPage(
        "password", "/security/password", EVERYBODY, security.show_password, security.set_password
    ),
    WebPage("end-session", "/security/end", EVERYBODY, security.show, security.end_session),
    WebPage("end-others", "/security/end-others", EVERYBODY, security.show, security.end_others),
    WebPage("app-passwords", "/app-passwords", OWNERS, app_passwords.show, app_passwords.add),
    WebPage(
        "remove-app-password",
        "/app-passwords/remove",
        OWNERS,
        app_passwords.show_removal,
        app_passwords.remove,
    ),
)
