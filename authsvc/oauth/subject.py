"""Who or what an access token speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authsvc.accounts.models import Membership
from authsvc.clock import epoch_s
from authsvc.oauth.models import TokenFamily

#: RFC 7643 style names for what a membership may do, as entitlements (RFC 9068 2.2.3.1).
SENSITIVE_DATA = "sensitive_data_access"
#: What stands before a machine's jti, where a person's has the family's id.
MACHINE = "m"


@dataclass(frozen=True)
class Subject:
    """A person, through one family: everything their tokens say besides times and ids."""

    family: TokenFamily
    membership: Membership
    #: What this family's client calls the person (oauth/subjects.py).
    sub: str
    #: The `aud`: the family's, or this service itself (oauth/server.py).
    resource: str

    def get_user_id(self) -> str:
        """The `sub`: globally unique, never an address."""
        return self.sub

    def account_claim(self) -> dict[str, str]:
        """The one account this token is for (claims.md)."""
        account = self.membership.account
        return {"id": account.id, "slug": account.slug, "audience": self.membership.audience}

    def authentication_claims(self) -> dict[str, Any]:
        """What the sign-in showed; unchanged by refreshing."""
        return {
            "acr": self.family.acr,
            "amr": self.family.amr,
            "auth_time": epoch_s(self.family.auth_time),
            "sid": self.family.session_id,
        }

    def access_claims(self) -> dict[str, Any]:
        """The person's part of an access token."""
        claims = self.authentication_claims() | {"account": self.account_claim(), "roles": [self.membership.role]}
        if self.membership.sensitive_data_access:
            claims["entitlements"] = [SENSITIVE_DATA]
        if self.family.remembered:
            claims["remembered_device"] = remembered_device_claim(self.family.remembered, full=False)
        return claims


@dataclass(frozen=True)
class Machine:
    """A client acting for itself (client_credentials)."""

    client_id: str
    resource: str

    def get_user_id(self) -> str:
        """The `sub` is the client (RFC 9068 2.2)."""
        return self.client_id

    def access_claims(self) -> dict[str, Any]:
        """Nothing of a person."""
        return {}


def remembered_device_claim(kept: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """The remember-device claim (claims.md). `full`: with `mfa_amr`, for the ID token."""
    claim = {"v": 1, "state": kept["state"], "mfa_at": kept["mfa_at"], "exp": kept["exp"], "bind": "cookie"}
    return claim | {"mfa_amr": kept["mfa_amr"]} if full else claim


def family_of_jti(claims: dict[str, Any]) -> str:
    """The id of the family behind an access token of ours; MACHINE where there is none."""
    return str(claims.get("jti", "")).partition(".")[0]
