"""Request objects: an authorization request that its client has signed (RFC 9101, OpenID Connect Core 6.1)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

from werkzeug.datastructures import MultiDict

from authsvc.clock import Clock, epoch_s
from authsvc.oauth.call import once
from authsvc.oauth.client_keys import ClientKeys, NoUsableKeys
from authsvc.oauth.client_metadata import ClientAlg
from authsvc.oauth.clients import Client
from authsvc.oauth.errors import InvalidRequestObject
from authsvc.oauth.jose import UNREADABLE, kid_of, verified

ALGORITHMS: tuple[str, ...] = get_args(ClientAlg)
#: None: many clients name no type. A type of another kind of token is refused (RFC 8725 3.11).
TYPES = (None, "JWT", "oauth-authz-req+jwt")
#: What a JWT says about itself; everything else is a parameter.
ABOUT_ITSELF = frozenset({"iss", "aud", "exp", "iat", "nbf", "jti", "sub"})


@dataclass(frozen=True)
class RequestObjects:
    """Reads request objects. Joserfc does, and not Authlib's extension of RFC 9101: that one takes alg none unless told
    otherwise, reads the machine's clock, and looks at neither `iss`, `aud` nor `exp`.
    """

    issuer: str
    keys: ClientKeys
    clock: Clock
    skew: timedelta

    def open(self, text: str, client: Client) -> MultiDict[str, str]:
        """The parameters inside, and no others. May fetch keys, so no transaction may be open.

        Raises: InvalidRequestObject; InvalidRequestError for what `once` refuses.
        """
        registered = client.metadata.request_object_signing_alg
        algorithms = (registered,) if registered else ALGORITHMS
        try:
            found = verified(text, self.keys.keys(client, kid_of(text)), algorithms)
        except (*UNREADABLE, NoUsableKeys) as exc:
            raise InvalidRequestObject("The request object is not signed by a key of this client.") from exc
        if found.header.get("typ") not in TYPES:
            raise InvalidRequestObject("The request object has the type of another token.")
        self._check(found.claims, client)
        return once(MultiDict(_parameters(found.claims)))

    def _check(self, claims: Mapping[str, Any], client: Client) -> None:
        audience = claims.get("aud")
        meant = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != client.client_id or self.issuer not in meant:
            raise InvalidRequestObject("The iss must be the client and the aud this server.")
        now, skew = epoch_s(self.clock.now()), int(self.skew.total_seconds())
        if _time(claims.get("exp"), otherwise=0) + skew <= now:
            raise InvalidRequestObject("The request object has expired, or says no exp.")
        if any(_time(claims.get(name, 0), otherwise=now + skew + 1) > now + skew for name in ("nbf", "iat")):
            raise InvalidRequestObject("The request object is not valid yet.")
        if claims.get("client_id") != client.client_id:
            raise InvalidRequestObject("The client_id inside must be the one outside.")
        if "request" in claims or "request_uri" in claims:
            raise InvalidRequestObject("A request object must not refer to another one.")
        if claims.get("sub") == client.client_id:
            # Else what authenticates the client could be sent here, and the other way round (RFC 9101 4 and 10.8).
            raise InvalidRequestObject("The sub must not be the client.")


def _parameters(claims: Mapping[str, Any]) -> dict[str, str]:
    """As they would have been sent. Numbers and `claims` are JSON inside (OpenID Connect Core 6.1)."""
    found = {}
    for name, value in claims.items():
        if name in ABOUT_ITSELF:
            continue
        if isinstance(value, str):
            found[name] = value
        elif name == "claims":
            found[name] = json.dumps(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            found[name] = str(value)
        else:
            raise InvalidRequestObject("A parameter in the request object is neither text nor a number.")
    return found


def _time(value: object, *, otherwise: int) -> float:
    """A NumericDate, or `otherwise` for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    return value if is_number else otherwise  # type: ignore[return-value]  # mypy does not follow the flag
