"""The section `[accounts.stores]`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from accounts.home_stores_settings import HomeStoresSettings
from accounts.settings import AccountsSettings
from accounts.store_names import StoreNames

S0 = {"host": "10.0.0.1", "doveadm_url": "http://10.0.0.1:18080", "transfer": "10.0.0.1:18081"}
S1 = {"host": "s1.example", "takes_new": False}
TWO = {"named": {"s1": S1, "s0": S0}, "default": "s0"}


def test_names_are_in_order() -> None:
    stores = HomeStoresSettings.model_validate(TWO)
    assert stores.names == StoreNames(("s0", "s1"), ("s0",), "s0")
    assert stores.doveadm_urls == ("http://10.0.0.1:18080",)
    assert HomeStoresSettings().names is None


def test_a_mailbox_without_a_store_is_in_the_default_one() -> None:
    stores = HomeStoresSettings.model_validate(TWO)
    assert stores.store_of(None) == ("s0", stores.named["s0"])
    assert stores.store_of("s1") == ("s1", stores.named["s1"])
    assert stores.store_of("gone") == ("gone", None)
    assert stores.is_there(None, "s0")
    assert not stores.is_there("s1", "s0")
    # a server without a name may be anywhere
    assert not stores.is_there(None, "")


def test_without_names_the_only_store_has_none() -> None:
    stores = HomeStoresSettings()
    assert stores.is_there(None, "")
    assert stores.is_there("from-before", "")
    assert not stores.is_there(None, "s0")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"named": {"s0": S0}}, "default has to be"),
        ({"named": {"s0": S0}, "default": "s1"}, "default has to be"),
        ({"default": "s0"}, "default needs named"),
        ({"named": {"S 0": S0}, "default": "S 0"}, "no name of a store"),
        ({"named": {"s0": {}}, "default": "s0"}, "host"),
        ({"named": {"s0": {"host": "a b"}}, "default": "s0"}, "neither the name nor"),
        ({"named": {"s0": {"host": "x\ty"}}, "default": "s0"}, "neither the name nor"),
        ({"named": {"s0": S1 | {"transfer": "x"}}, "default": "s0"}, "HOST:PORT"),
        ({"named": {"s0": S1 | {"transfer": "x:70000"}}, "default": "s0"}, "HOST:PORT"),
        ({"named": {"s0": S1 | {"doveadm_url": "ftp://x"}}, "default": "s0"}, "doveadm"),
        ({"lock": 1}, "lock"),
    ],
)
def test_what_cannot_be(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        HomeStoresSettings.model_validate(values)


def test_sessions_end_at_every_store() -> None:
    with pytest.raises(ValidationError, match="doveadm_url has to name"):
        AccountsSettings.model_validate({"stores": TWO})
