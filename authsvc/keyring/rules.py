"""What the key ring reads of policies/tokens.yaml."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from authsvc.keyring.schedule import RotationRules


class KeyPolicy(Protocol):
    """policies/tokens.yaml, `keys`."""

    @property
    def publish_ahead(self) -> timedelta: ...
    @property
    def rotate_every(self) -> timedelta: ...


class TokenPolicy(Protocol):
    """What policies/tokens.yaml says about rotation."""

    @property
    def jwks_max_age(self) -> timedelta: ...
    @property
    def clock_skew(self) -> timedelta: ...
    @property
    def access_token(self) -> timedelta: ...
    @property
    def id_token(self) -> timedelta: ...
    @property
    def keys(self) -> KeyPolicy: ...


def rotation_rules(tokens: TokenPolicy) -> RotationRules:
    """The spans of time that a rotation must respect under this policy."""
    return RotationRules(
        jwks_max_age=tokens.jwks_max_age,
        clock_skew=tokens.clock_skew,
        longest_token=max(tokens.access_token, tokens.id_token),
        publish_ahead=tokens.keys.publish_ahead,
    )
