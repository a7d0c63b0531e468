"""Where private parts come from: made in this process, or in AWS KMS. Both kinds may stand side by side in one ring."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from authsvc.keyring import jwks
from authsvc.keyring.errors import KmsUnavailable
from authsvc.keyring.folder import SUFFIX
from authsvc.keyring.kms import Kms
from authsvc.keyring.schedule import Algorithm, KeyEntry


@dataclass(frozen=True)
class Made:
    """A new key. `private` is how its entry names it, `kept` what is sealed."""

    kid: str
    private: str
    kept: bytes = field(repr=False)


class Maker(Protocol):
    """Makes private parts."""

    def make(self, algorithm: Algorithm, *, rsa_bits: int) -> Made:
        """A new key. Raises: KmsUnavailable."""
        ...

    def discard(self, made: Made) -> None:
        """It was made for nothing: another process was first."""
        ...


class LocalMaker:
    """Keys made here."""

    def make(self, algorithm: Algorithm, *, rsa_bits: int) -> Made:
        """Takes up to a second for RSA."""
        kid, private_jwk = jwks.generate(algorithm, rsa_bits=rsa_bits)
        return Made(kid, f"{algorithm}-{kid}{SUFFIX}", private_jwk)

    def discard(self, made: Made) -> None:
        """Nothing lies anywhere."""


@dataclass(frozen=True)
class KmsMaker:
    """Keys made in KMS."""

    kms: Kms

    def make(self, algorithm: Algorithm, *, rsa_bits: int) -> Made:
        """Two calls over the network. Raises: KmsUnavailable."""
        return Made(*self.kms.create(algorithm, rsa_bits=rsa_bits))

    def discard(self, made: Made) -> None:
        """Have it destroyed, so that nobody pays for it."""
        with suppress(KmsUnavailable):
            self.kms.destroy(made.private)


def open_key(kept: bytes, entry: KeyEntry, kms: Kms) -> jwks.SignatureKey:
    """The key object of what a maker made. Raises: ValueError when it is no such key, or another one than `entry`."""
    members = json.loads(kept)
    if isinstance(members, dict) and "arn" in members:
        return kms.open(members, kid=entry.kid, algorithm=entry.algorithm, arn=entry.private)
    return jwks.import_private(kept, kid=entry.kid, algorithm=entry.algorithm)
