import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from msgauth import keys
from msgauth.dkim import parse_key_record
from msgauth.errors import MsgauthError
from msgauth.keys import BadKeyError, SigningKey, VerifyingKey
from tests.unit.msgauth.keyring import ED25519, FOLDER, RSA, RSA_1024

DIGEST = hashlib.sha256(b"message").digest()


def pem(
    key: rsa.RSAPrivateKey | Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize(
    ("key", "algorithm", "bits"),
    [
        (RSA, "rsa-sha256", 2048),
        (RSA_1024, "rsa-sha256", 1024),
        (ED25519, "ed25519-sha256", 256),
    ],
)
def test_sign_and_verify(key: SigningKey, algorithm: str, bits: int) -> None:
    assert (key.algorithm, key.bits) == (algorithm, bits)
    signature = key.sign(DIGEST)
    public = key.public_key()
    assert public.verify(DIGEST, signature)
    assert not public.verify(hashlib.sha256(b"other").digest(), signature)
    assert not public.verify(DIGEST, signature[:-1])
    assert not public.verify(DIGEST, b"")
    assert not public.is_too_short


@pytest.mark.parametrize("key", [RSA, RSA_1024, ED25519])
def test_the_public_record_is_a_key_record(key: SigningKey) -> None:
    record = parse_key_record(key.public_record())
    assert record.key.verify(DIGEST, key.sign(DIGEST))
    assert record.key.type == key.type


def test_rsa_pkcs1_and_pkcs8_are_the_same_key() -> None:
    text = (FOLDER / "rsa1024-pkcs1.pem").read_bytes()
    key = load_pem_private_key(text, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert SigningKey.parse(pem(key)).public_record() == RSA_1024.public_record()


def test_a_base64_seed_is_an_ed25519_key_as_dkimpy_writes_it() -> None:
    # the secret and public key of RFC 8463 appendix A.2
    key = SigningKey.parse(b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n")
    assert key.public_record() == (
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    )


def test_a_public_rsa_key_may_come_as_rsapublickey() -> None:
    # RFC 6376 section 3.6.1 names this form; everybody publishes the other
    key = load_pem_private_key((FOLDER / "rsa2048.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert VerifyingKey.parse("rsa", octets).to_base64() == RSA.public_key().to_base64()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no key"),
        (b"hello", "holds no key"),
        (base64.b64encode(b"x" * 31), "holds no key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "holds a public key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "decoded"),
        ((FOLDER / "rsa2048.pem").read_bytes()[:500], "decoded"),
        ((FOLDER / "rsa768-too-short.pem").read_bytes(), "fewer than 1024|decoded"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
        (
            pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")),
            "encrypted",
        ),
        (b"-----BEGIN" + b"x" * keys.MAX_KEY_FILE, "longer than"),
    ],
)
def test_what_is_no_signing_key_says_why(data: bytes, message: str) -> None:
    with pytest.raises(BadKeyError, match=message):
        SigningKey.parse(data)


NUMBERS = rsa.generate_private_key(65537, 2048).private_numbers()


def der(tag: int, content: bytes) -> bytes:
    """One element of DER (X.690): its length in the shortest form."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def broken(**changed: int) -> bytes:
    """An RSA key in PKCS #1 with these numbers changed; `cryptography` would refuse to write it."""
    of = NUMBERS
    numbers = {"version": 0, "n": of.public_numbers.n, "e": of.public_numbers.e, "d": of.d}
    numbers |= {"p": of.p, "q": of.q, "dmp1": of.dmp1, "dmq1": of.dmq1, "iqmp": of.iqmp}
    assert changed.keys() <= numbers.keys()
    integers = [
        der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))
        for number in (numbers | changed).values()
    ]
    text = base64.encodebytes(der(0x30, b"".join(integers)))
    return b"-----BEGIN RSA PRIVATE KEY-----\n%s-----END RSA PRIVATE KEY-----\n" % text


def composite() -> bytes:
    """An RSA key whose numbers fit together, and p is no prime."""
    e, p, q = 65537, NUMBERS.p + 2, NUMBERS.q
    while (p - 1) % e == 0 or pow(2, p - 1, p) == 1:  # Fermat: a prime leaves 1
        p += 2
    d = pow(e, -1, (p - 1) * (q - 1))
    return broken(p=p, n=p * q, d=d, e=e, dmp1=d % (p - 1), dmq1=d % (q - 1), iqmp=pow(q, -1, p))


@pytest.mark.parametrize(
    "data",
    [
        broken(d=NUMBERS.d ^ 4),
        broken(e=17),
        broken(n=NUMBERS.public_numbers.n + 2),
        broken(p=NUMBERS.p + 2),
        broken(q=NUMBERS.q ^ 8),
        broken(dmp1=NUMBERS.dmp1 + 2),
        broken(dmq1=NUMBERS.dmq1 - 2),
        broken(iqmp=NUMBERS.iqmp + 1),
        composite(),
    ],
    ids=["d", "e", "n", "p", "q", "dmp1", "dmq1", "iqmp", "no prime"],
)
def test_an_rsa_key_whose_numbers_do_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(BadKeyError, match="do not fit together"):
        SigningKey.parse(data)


def test_an_rsa_key_that_fits_is_taken() -> None:
    assert SigningKey.parse(broken()).bits == 2048


def test_too_large_keys_are_refused() -> None:
    huge = rsa.RSAPublicNumbers(65537, (1 << keys.MAX_RSA_BITS) | 1).public_key()
    with pytest.raises(BadKeyError, match="8193 bits"):
        VerifyingKey(huge)
    numbers = rsa.RSAPublicNumbers((1 << 70) | 1, (1 << 2047) | 1).public_key()
    with pytest.raises(BadKeyError, match="exponent"):
        VerifyingKey(numbers)


def test_a_short_public_key_is_known_as_such() -> None:
    short = VerifyingKey(rsa.RSAPublicNumbers(65537, (1 << 767) | 1).public_key())
    assert short.is_too_short
    assert short.bits == 768


@pytest.mark.parametrize("octets", [b"", b"x" * 31, b"x" * 33])
def test_ed25519_keys_have_32_octets(octets: bytes) -> None:
    with pytest.raises(BadKeyError, match="not 32"):
        VerifyingKey.parse("ed25519", octets)


def test_an_elliptic_curve_key_is_no_rsa_key() -> None:
    octets = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(BadKeyError, match="not the RSA key"):
        VerifyingKey.parse("rsa", octets)


@given(st.binary(max_size=400) | st.binary(max_size=50).map(lambda b: b"-----BEGIN" + b))
def test_only_our_errors_come_out(data: bytes) -> None:
    for parse in (
        SigningKey.parse,
        lambda octets: VerifyingKey.parse("rsa", octets),
        lambda octets: VerifyingKey.parse("ed25519", octets),
    ):
        try:
            parse(data)
        except MsgauthError:
            continue
