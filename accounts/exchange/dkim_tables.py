"""opendkim's KeyTable with the private keys beside it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from accounts.address import AccountAddressError, parse_domain
from accounts.exchange.document import DkimKeyEntry
from accounts.exchange.files import SourceFiles
from accounts.exchange.gathering import Gathering
from accounts.exchange.lines import plain_lines
from accounts.exchange.notes import SourcePlace

_BITS = range(1024, 8193)


class KeyFormatError(ValueError):
    """The text is not a private key that can sign."""


def private_key(data: bytes) -> tuple[str, str]:
    """Return the algorithm and the key as PKCS #8 in PEM; raise `KeyFormatError` for other text."""
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError):
        raise KeyFormatError("not a private key in PEM without a passphrase") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size in _BITS:
        algorithm = "rsa"
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    else:
        raise KeyFormatError("a DKIM key has to be RSA with 1024 to 8192 bits, or Ed25519")
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return algorithm, pem.decode()


def add_key(
    gathering: Gathering, domain: str, selector: str, data: bytes, place: SourcePlace
) -> None:
    """Add a DKIM key to a domain; it is active unless the domain has an active one of its kind."""
    try:
        algorithm, pem = private_key(data)
    except KeyFormatError as error:
        gathering.note("left out", f"DKIM key {selector} of {domain}: {error}", place)
        return
    name = gathering.domain(domain, place)
    if name is None:
        return
    keys: tuple[DkimKeyEntry, ...] = gathering.domains[name].fields.get("dkim_keys", ())
    if any(key.selector == selector.lower() for key in keys):
        gathering.note("left out", f"DKIM key {selector} of {domain} appears twice", place)
        return
    active = not any(key.algorithm == algorithm and key.state == "active" for key in keys)
    values: dict[str, Any] = {
        "selector": selector,
        "algorithm": algorithm,
        "private": {"clear": pem},
        "state": "active" if active else "new",
    }
    if key := gathering.make(DkimKeyEntry, values, f"DKIM key {selector} of {domain}", place):
        gathering.domains[name].fields["dkim_keys"] = (*keys, key)


def read_key_table(gathering: Gathering, name: str, data: bytes, files: SourceFiles) -> None:
    """Add the keys of a KeyTable (`id domain:selector:path`) whose files are in the source."""
    folder = name.rpartition("/")[0]
    for line in plain_lines(name, data, gathering.left_out):
        _, _, value = line.text.strip().replace("\t", " ").partition(" ")
        parts = value.strip().split(":", 2)
        if len(parts) != 3:
            gathering.note("left out", "expected a line `id domain:selector:path`", line.place)
            continue
        try:
            domain = parse_domain(parts[0])
        except AccountAddressError as error:
            gathering.note("left out", f"DKIM key: {error}", line.place)
            continue
        key = _beside(folder, parts[2].strip(), files)
        if key is None:
            path = parts[2].strip()[:200]
            text = f"DKIM key {parts[1]} of {domain}: {path} is missing in the source"
            gathering.note("left out", text, line.place)
        else:
            add_key(gathering, domain, parts[1], key, line.place)


def _beside(folder: str, path: str, files: SourceFiles) -> bytes | None:
    """Return the file that has the end of the path below the folder of the table."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        name = "/".join([*([folder] if folder else []), *parts[start:]])
        if name in files.content:
            return files.content[name]
    return None
