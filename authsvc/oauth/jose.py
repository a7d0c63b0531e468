"""Signing answers and reading assertions: joserfc with our algorithms, and nothing else of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry, extract_compact

from authsvc.keyring.ring import KeyRing

#: What every client understands that says nothing else (claims.md).
DEFAULT_ALG = "ES256"
#: How a text is refused that is no JWT. TypeError and RecursionError: joserfc reads the header before it checks the
#: signature, and a header that is a list, a string or 9,000 brackets fails in its own way (security.md TK-21).
UNREADABLE = (JoseError, ValueError, TypeError, RecursionError)


class Registry(JWSRegistry):
    """joserfc's algorithms, with EdDSA under the name that OpenID Connect gave it.

    RFC 9864 renames it, for EdDSA leaves the curve open; our keys are Ed25519 alone, and the clients' metadata say EdDSA.
    """

    def get_alg(self, name: str) -> Any:  # joserfc does not export the type
        """The algorithm, without the warning about that name."""
        if name == "EdDSA" and self.allowed and name in self.allowed:
            return self.algorithms[name]
        return super().get_alg(name)


def algorithm_for(ring: KeyRing, wanted: str | None, *, default: str = DEFAULT_ALG) -> str:
    """The registered algorithm if the ring signs with it, else the default; `none` and HS* are no algorithms of ours."""
    able = ring.algorithms()
    return next((alg for alg in (wanted, default) if alg in able), DEFAULT_ALG)


def sign(ring: KeyRing, claims: dict[str, Any], *, alg: str, typ: str) -> str:
    """A JWT with these claims, by the one active key of the algorithm, with its kid. Raises: RingHasNoSigningKey."""
    signer = ring.active(alg)
    header = {"alg": alg, "kid": signer.kid, "typ": typ}
    return jwt.encode(header, claims, signer.key, registry=Registry(algorithms=[alg]))


def kid_of(token: str) -> str | None:
    """The key that a token names, before anything of it is believed. Raises: one of UNREADABLE.

    joserfc decodes the header and leaves open what it is: a list or a text has no `get`.
    """
    header: object = extract_compact(token.encode()).headers()
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) else None


def verified(token: str, keys: KeySet, algorithms: Collection[str]) -> jwt.Token:
    """The token, its signature checked. Raises: one of UNREADABLE."""
    return jwt.decode(token, keys, registry=Registry(algorithms=list(algorithms)))
