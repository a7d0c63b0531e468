"""Claims about a person: which there are, which scope opens them, and the `claims` parameter (OpenID Connect Core 5.4, 5.5)."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError

from authsvc.accounts.models import Membership, User
from authsvc.oauth.clients import Client

#: The scope that opens each claim; who may not have the scope may not have the claim by asking for it alone.
SCOPE_OF = {"name": "profile", "zoneinfo": "profile", "email": "email", "email_verified": "email"}
PLACES = ("id_token", "userinfo")


@dataclass(frozen=True)
class AskedClaims:
    """What the `claims` parameter asks. `acr`: the values, one of which is essential; empty: none is. `prefers`: acr values
    that would be welcome. `sub`: the one person who will do.
    """

    id_token: tuple[str, ...] = ()
    userinfo: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()
    prefers: tuple[str, ...] = ()
    sub: str | None = None

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that open what is asked for: what a person is asked to agree to."""
        return frozenset(SCOPE_OF[name] for name in (*self.id_token, *self.userinfo))

    def stored(self) -> dict[str, list[str]] | None:
        """For the family's row."""
        kept = {"id_token": list(self.id_token), "userinfo": list(self.userinfo)}
        return kept if any(kept.values()) else None


def read_claims(text: str | None, client: Client) -> AskedClaims:
    """What is asked and may be had; unknown claims are passed over (Core 5.5.1). Raises: InvalidRequestError."""
    if text is None:
        return AskedClaims()
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequestError("The claims parameter is not JSON.") from exc
    if not isinstance(sent, dict):
        raise InvalidRequestError("The claims parameter must be a JSON object.")
    asked = {place: _members(sent.get(place)) for place in PLACES}
    names = {
        place: tuple(name for name in SCOPE_OF if name in members and SCOPE_OF[name] in client.scopes)
        for place, members in asked.items()
    }
    acr, sub = asked["id_token"].get("acr", {}), asked["id_token"].get("sub", {})
    values = _values(acr)
    essential = acr.get("essential") is True
    wanted_sub = _values(sub)
    if len(wanted_sub) > 1:
        raise InvalidRequestError("The claims parameter may name one sub.")
    return AskedClaims(
        names["id_token"],
        names["userinfo"],
        acr=values if essential else (),
        prefers=() if essential else values,
        sub=wanted_sub[0] if wanted_sub else None,
    )


def person_claims(user: User, membership: Membership, names: Collection[str]) -> dict[str, Any]:
    """The claims with these names."""
    known: dict[str, Any] = {
        "name": user.name,
        "zoneinfo": membership.account.time_zone,
        "email": user.email.address,
        "email_verified": user.email.verified_at is not None,
    }
    return {name: value for name, value in known.items() if name in names}


def names_for(scopes: Collection[str], asked: Collection[str]) -> frozenset[str]:
    """The claims that these scopes open, and those asked for one by one."""
    return frozenset(name for name, scope in SCOPE_OF.items() if scope in scopes) | frozenset(asked)


def _members(place: object) -> dict[str, dict[str, Any]]:
    """Claim name -> what is said of it; null says nothing (Core 5.5.1). Raises: InvalidRequestError."""
    if place is None:
        return {}
    if not isinstance(place, dict) or not all(said is None or isinstance(said, dict) for said in place.values()):
        raise InvalidRequestError("In the claims parameter, each claim is null or a JSON object.")
    found = {name: said or {} for name, said in place.items()}
    for said in found.values():
        if not isinstance(said.get("essential", False), bool) or not isinstance(said.get("values", []), list):
            raise InvalidRequestError("In the claims parameter, essential is true or false and values is a list.")
    return found


def _values(said: dict[str, Any]) -> tuple[str, ...]:
    """`value`, or `values`; texts alone, for acr and sub are texts. Raises: InvalidRequestError."""
    values = said["values"] if "values" in said else [said["value"]] if said.get("value") is not None else []
    if not all(isinstance(value, str) for value in values):
        raise InvalidRequestError("In the claims parameter, the values of acr and sub are texts.")
    return tuple(values)
