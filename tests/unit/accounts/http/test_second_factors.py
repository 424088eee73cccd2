"""Second factors over the API: who sees and removes them, and logins with a password."""

from __future__ import annotations

from collections.abc import Callable

from accounts.directory import administrators, passkeys, second_factors
from accounts.directory.owner import find_login_owner
from accounts.http.factor_rule import FactorRule
from accounts.http.principals import Principal, Role
from accounts.store.transaction import Write
from tests.unit.accounts.http.api import HASH, Api, check_problem, login

ANNA = "anna@a.example"


def add_passkey(api: Api, name: str) -> None:
    def work(write: Write) -> None:
        owner = find_login_owner(write.connection, **owner_of(name))
        passkeys.add(
            write,
            owner,
            "Phone",
            credential=name.encode(),
            public_key=b"key",
            handle=b"handle",
            sign_count=0,
        )

    api.desk.write(work)


def owner_of(name: str) -> dict[str, str]:
    return {"mailbox": name} if "@" in name else {"administrator": name}


def has_factor(api: Api, name: str) -> bool:
    return bool(
        api.desk.read(lambda c: second_factors.kinds(c, find_login_owner(c, **owner_of(name))))
    )


def test_a_second_factor_is_seen_without_its_secret(api: Api) -> None:
    add_passkey(api, ANNA)
    for who, path in (
        (api.root, f"/mailboxes/{ANNA}/second-factors"),
        (api.ada, f"/mailboxes/{ANNA}/second-factors"),
        (api.anna, f"/mailboxes/{ANNA}/second-factors"),
        (api.anna, "/me/second-factors"),
    ):
        (found,) = api.call("GET", path, who=who).json["items"]
        assert set(found) == {"kind", "name", "created", "last_used"}
        assert (found["kind"], found["name"]) == ("passkey", "Phone")


def test_an_owner_does_not_remove_it_here(api: Api) -> None:
    add_passkey(api, ANNA)
    for path in (f"/mailboxes/{ANNA}/second-factors", "/me/second-factors"):
        assert api.call("DELETE", path, who=api.anna).status in (403, 405)
    assert has_factor(api, ANNA)


def test_administrators_remove_those_of_their_domains(api: Api) -> None:
    for name in (ANNA, "bob@b.example"):
        add_passkey(api, name)
        answered = api.call("DELETE", f"/mailboxes/{name}/second-factors", who=api.ada)
        assert answered.status == (204 if name == ANNA else 403)
        assert has_factor(api, name) is (name != ANNA)
    check_problem(api.call("DELETE", f"/mailboxes/{ANNA}/second-factors"), 404, "no second factor")


def test_those_of_administrators(api: Api) -> None:
    api.desk.write(lambda w: administrators.add(w, "eve", role="global", password=HASH))
    for name in ("root", "ada", "eve"):
        add_passkey(api, name)
    for who in (api.ada, api.anna):
        for name in ("root", "ada"):
            path = f"/administrators/{name}/second-factors"
            assert api.call("GET", path, who=who).status == 403
            assert api.call("DELETE", path, who=who).status == 403
    # nobody removes the own one with a token
    own = api.call("DELETE", "/administrators/root/second-factors")
    check_problem(own, 422, "in the web pages")
    # and a token with few scopes nobody's
    limited = api.token(["administrators:write"], administrator="eve")
    for name in ("root", "ada"):
        path = f"/administrators/{name}/second-factors"
        assert api.call("DELETE", path, who=limited).status == 403
    assert all(has_factor(api, name) for name in ("root", "ada", "eve"))
    for name in ("ada", "eve"):
        assert api.call("DELETE", f"/administrators/{name}/second-factors").status == 204
        assert api.last().action == "second-factor.reset"
        assert not has_factor(api, name)


def test_a_password_is_not_enough(api: Api) -> None:
    for name in (ANNA, "root"):
        assert api.call("GET", "/me", who=login(name)).status == 200
        add_passkey(api, name)
        check_problem(api.call("GET", "/me", who=login(name)), 401, "use a token")
        # a wrong one learns nothing of it
        wrong = api.call("GET", "/me", who=login(name, "wrong"))
        check_problem(wrong, 401, "The login or the password is wrong.")
    assert api.call("GET", "/me", who=api.root).status == 200


def test_the_rule_is_for_the_api_as_well(make_api: Callable[..., Api]) -> None:
    for rule, refused in (
        (FactorRule.OPTIONAL, set()),
        (FactorRule.ADMINISTRATORS, {"root", "ada"}),
        (FactorRule.EVERYONE, {"root", "ada", ANNA}),
    ):
        api = make_api()
        object.__setattr__(api.context, "factor_rule", rule)
        statuses = {
            name: api.call("GET", "/me", who=login(name)).status for name in ("root", "ada", ANNA)
        }
        assert {name for name, status in statuses.items() if status == 401} == refused
        assert api.call("GET", "/me", who=api.root).status == 200


def test_the_rule() -> None:
    roles = {rule: {r for r in Role if rule.binds(Principal("x", r))} for rule in FactorRule}
    assert roles == {
        FactorRule.OPTIONAL: set(),
        FactorRule.ADMINISTRATORS: {Role.GLOBAL, Role.DOMAINS},
        FactorRule.EVERYONE: set(Role),
    }
