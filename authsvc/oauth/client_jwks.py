"""Which public keys of a client may count: asymmetric, long enough, few, and never a private one. Pure."""

from __future__ import annotations

import base64
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

MOST_KEYS = 20
RSA_BITS = range(2048, 8193)
#: A public exponent is small; a huge one makes each verification cost seconds.
LARGEST_EXPONENT = 2**32
CURVES = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519", "Ed448")}
#: RFC 7518 6.2.2, 6.3.2, 6.4.1: whoever shows one of these has lost the key.
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class UnusableKeys(ValueError):
    """The sentence says what is wrong with the set."""


def read_key_set(document: object, *, strict: bool) -> KeySet:
    """The keys that may verify what the client signs. Raises: UnusableKeys when there is none.

    `strict`: for a set that is being registered, where its author is there to read what is wrong with it. Otherwise keys
    of kinds unknown to us and keys for encryption are passed over (RFC 7517 5). A private or symmetric key is refused in
    either case.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys:
        raise UnusableKeys("must be a JWK set: an object with a list of keys")
    if len(keys) > MOST_KEYS:
        raise UnusableKeys(f"has more than {MOST_KEYS} keys")
    usable = []
    for key in keys:
        if isinstance(key, dict) and (key.get("kty") == "oct" or not PRIVATE.isdisjoint(key)):
            raise UnusableKeys("has a private or a symmetric key; give public keys alone, and make new ones")
        problem = _problem(key)
        if problem is None:
            usable.append(key)
        elif strict:
            raise UnusableKeys(problem)
    if not usable:
        raise UnusableKeys("has no key that can verify a signature")
    try:
        return KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError, KeyError, OverflowError) as exc:
        raise UnusableKeys("has a key that cannot be read") from exc


def _problem(key: object) -> str | None:
    if not isinstance(key, dict) or not all(isinstance(name, str) for name in key):
        return "has a key that is no JSON object"
    kty = key.get("kty")
    if kty not in ("RSA", "EC", "OKP"):
        return "has a key that is none of RSA, EC and OKP"
    if kty != "RSA" and key.get("crv") not in CURVES[kty]:
        return f"has an {kty} key whose curve is none of {', '.join(CURVES[kty])}"
    if key.get("use", "sig") != "sig":
        return "has a key that is not for signatures"
    if "key_ops" in key and "verify" not in (key["key_ops"] if isinstance(key["key_ops"], list) else ()):
        return "has a key that is not for signatures"
    if "kid" in key and (not isinstance(key["kid"], str) or not 0 < len(key["kid"]) <= 200):
        return "has a kid that is no short text"
    return _size_problem(key) if kty == "RSA" else None


def _size_problem(key: dict[str, Any]) -> str | None:
    """Before the key is made: joserfc only warns of a short one."""
    modulus, exponent = _number(key.get("n")), _number(key.get("e"))
    if modulus is None or exponent is None:
        return "has a key that cannot be read"
    if modulus.bit_length() not in RSA_BITS:
        return f"has an RSA key of {modulus.bit_length()} bits; {RSA_BITS.start} at least, {RSA_BITS.stop - 1} at most"
    return "has an RSA key with a large exponent" if exponent > LARGEST_EXPONENT else None


def _number(encoded: object) -> int | None:
    """A Base64urlUInt (RFC 7518 2)."""
    if not isinstance(encoded, str) or len(encoded) > 2000 or not encoded.isascii():
        return None
    try:
        return int.from_bytes(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except ValueError:
        return None
