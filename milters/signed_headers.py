"""The header fields that our signatures cover: the usual ones, and those added by the
configuration."""

from __future__ import annotations

from collections.abc import Sequence

from msgauth.dkim import DEFAULT_HEADERS, HeaderPolicy


def header_policy(oversign: Sequence[str], also_sign: Sequence[str]) -> HeaderPolicy:
    """Return the usual fields with those added by the configuration; raises `MsgauthError`."""
    if not oversign and not also_sign:
        return DEFAULT_HEADERS
    over = {name.lower(): name for name in oversign}
    always = [name for name in DEFAULT_HEADERS.always if name.lower() not in over]
    plain = {
        name.lower(): name
        for name in also_sign
        if name.lower() not in over and name.lower().encode() not in DEFAULT_HEADERS.keys
    }
    return HeaderPolicy(
        (*always, *over.values()),
        tuple(name for name in DEFAULT_HEADERS.present if name.lower() not in over),
        (
            *(name for name in DEFAULT_HEADERS.plain if name.lower() not in over),
            *plain.values(),
        ),
    )
