"""Fields that must be read back, sealed with AES-256-GCM under a key derived from AUTHSVC_SECRET."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authsvc.errors import AuthsvcError


class SealBroken(AuthsvcError):
    """A sealed value cannot be opened with the secrets this process has."""


def derive(secret: str, purpose: str) -> bytes:
    """A 256-bit key for one purpose (HKDF, RFC 5869), so that no key serves two."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"authsvc/{purpose}".encode()).derive(secret.encode())


class Sealer:
    """Seals with the first secret, opens with any of them: a new secret is put in front, the old one stays until re-sealed."""

    def __init__(self, secrets: Sequence[str], purpose: str) -> None:
        self._keys = [AESGCM(derive(secret, purpose)) for secret in secrets]

    def seal(self, plain: bytes, *, where: str) -> str:
        """Base64url text. `where` names table, column and row, so that a value moved elsewhere does not open."""
        nonce = os.urandom(12)
        return base64.urlsafe_b64encode(nonce + self._keys[0].encrypt(nonce, plain, where.encode())).decode()

    def open(self, sealed: str, *, where: str) -> bytes:
        """The plain bytes. Raises: SealBroken when no secret opens it or it belongs elsewhere."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
        except ValueError as exc:
            raise SealBroken(detail=where) from exc
        for key in self._keys:
            try:
                return key.decrypt(raw[:12], raw[12:], where.encode())
            except (InvalidTag, ValueError):
                continue
        raise SealBroken(detail=where)
