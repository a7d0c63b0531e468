"""Keys as JSON Web Keys: made, brought back from storage, and their public half (RFC 7517)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from authsvc.keyring.schedule import Algorithm

SignatureKey = ECKey | RSAKey | OKPKey

#: An allow-list, so that a member nobody thought of is never published (security.md TK-22).
PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e", "use", "alg", "kid")

_CLASSES: dict[Algorithm, type[ECKey] | type[RSAKey] | type[OKPKey]] = {
    Algorithm.ES256: ECKey,
    Algorithm.RS256: RSAKey,
    Algorithm.EDDSA: OKPKey,
}


def generate(algorithm: Algorithm, *, rsa_bits: int) -> tuple[str, bytes]:
    """A new key: its kid, which is its RFC 7638 thumbprint, and its private JWK as JSON, to be sealed at once."""
    key: SignatureKey
    if algorithm is Algorithm.RS256:
        key = RSAKey.generate_key(rsa_bits)
    elif algorithm is Algorithm.ES256:
        key = ECKey.generate_key("P-256")
    else:
        key = OKPKey.generate_key("Ed25519")
    return key.thumbprint(), json.dumps(key.as_dict(private=True)).encode()


def import_private(private_jwk: bytes, *, kid: str, algorithm: Algorithm) -> SignatureKey:
    """The key object of what `generate` made. For RSA it takes 0.1 s: once a process, never once a token.

    Raises: ValueError when the text is no private key of `algorithm`, or another key than `kid`.
    """
    members = json.loads(private_jwk)
    key = _CLASSES[algorithm].import_key(members, {"kid": kid, "use": "sig", "alg": algorithm.value})
    if not key.is_private or key.thumbprint() != kid:
        raise ValueError("not the private key that its name promises")
    return key


def public_jwk(key: SignatureKey) -> dict[str, Any]:
    """The public members of `key` with `kid`, `use` and `alg`, and nothing else."""
    members = key.as_dict(private=False)
    return {name: members[name] for name in PUBLIC_MEMBERS if name in members}


def public_key_set(public_jwks: Iterable[dict[str, Any]]) -> KeySet:
    """Key objects for verifying; they hold no private part, so none can leak from them."""
    return KeySet([_CLASSES[Algorithm(str(jwk["alg"]))].import_key(dict(jwk)) for jwk in public_jwks])
