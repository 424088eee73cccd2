"""Deleted mailboxes over the API."""

from __future__ import annotations

from typing import Any

from tests.unit.accounts.desk import NOW
from tests.unit.accounts.http.api import HASH, Api, check_problem, login

ANNA, BOB = "anna@a.example", "bob@b.example"
ANY = {"If-Match": "*"}


def remove(api: Api, address: str) -> None:
    assert api.call("DELETE", f"/mailboxes/{address}", headers=ANY).status == 204


def listed(api: Api, **options: Any) -> list[dict[str, Any]]:
    answered = api.call("GET", "/deleted-mailboxes", **options)
    assert answered.status == 200, answered.octets
    assert HASH.encode() not in answered.octets
    found: list[dict[str, Any]] = answered.json["items"]
    return found


def test_a_mailbox_is_listed_and_restored(api: Api) -> None:
    home = api.call("GET", f"/mailboxes/{ANNA}").json["home"]
    assert home.startswith("a.example/anna-")
    assert listed(api) == []
    remove(api, ANNA)
    (one,) = listed(api, query=f"address={ANNA}")
    removed_by = one.pop("removed_by")
    assert removed_by.startswith("root")
    assert one == {
        "number": 1,
        "address": ANNA,
        "display_name": "",
        "home": home,
        "store": None,
        "octets": None,
        "removed": NOW,
        "kept_until": NOW + 30 * 86_400,
        "is_due": False,
        "is_claimed": False,
    }
    assert listed(api, query="text=bob") == []
    made = api.call("POST", f"/deleted-mailboxes/{ANNA}/restore", {})
    assert (made.status, made.json["home"], made.json["has_password"]) == (200, home, True)
    assert api.call("GET", "/me", who=login(ANNA)).status == 200
    # its token is gone for good
    assert api.call("GET", "/me", who=api.anna).status == 401
    check_problem(api.call("POST", f"/deleted-mailboxes/{ANNA}/restore", {}), 404)


def test_mail_is_told_to_go(api: Api) -> None:
    remove(api, ANNA)
    told = api.call("POST", f"/deleted-mailboxes/{ANNA}/purge", {"number": 1})
    assert (told.status, told.json["is_due"], told.json["kept_until"]) == (200, True, NOW + 60)
    check_problem(api.call("POST", f"/deleted-mailboxes/{ANNA}/purge", {"number": 2}), 404)
    check_problem(api.call("POST", f"/deleted-mailboxes/{ANNA}/purge", {"number": -1}), 422)


def test_administrators_see_and_restore_their_own_domains(api: Api) -> None:
    for address in (ANNA, BOB):
        remove(api, address)
    assert [one["address"] for one in listed(api)] == [ANNA, BOB]
    assert [one["address"] for one in listed(api, who=api.ada)] == [ANNA]
    for verb in ("restore", "purge"):
        answered = api.call("POST", f"/deleted-mailboxes/{BOB}/{verb}", {}, who=api.ada)
        check_problem(answered, 403)
    assert api.call("POST", f"/deleted-mailboxes/{ANNA}/restore", {}, who=api.ada).status == 200


def test_owners_do_not_see_them(api: Api) -> None:
    remove(api, BOB)
    check_problem(api.call("GET", "/deleted-mailboxes", who=api.anna), 403)
    for verb in ("restore", "purge"):
        answered = api.call("POST", f"/deleted-mailboxes/{ANNA}/{verb}", {}, who=api.anna)
        check_problem(answered, 403)


def test_a_token_to_read_restores_nothing(api: Api) -> None:
    remove(api, ANNA)
    reader = api.token(["mailboxes:read"], administrator="root")
    assert len(listed(api, who=reader)) == 1
    check_problem(api.call("POST", f"/deleted-mailboxes/{ANNA}/restore", {}, who=reader), 403)
