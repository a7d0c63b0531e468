"""Everything an authorization request is held against: one row a rule, in the order in which they are asked.

The table is the endpoint. A check refuses by raising the RFC's error; what passes them all is read once more into an
AuthorizationRequest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError
from sqlalchemy.orm import Session
from werkzeug.datastructures import Headers, MultiDict

from authsvc.accounts.models import Account
from authsvc.accounts.queries import account_by_slug
from authsvc.oauth.asked_claims import AskedClaims, read_claims
from authsvc.oauth.authorization_request import AuthorizationRequest, Demand, Person, Sent
from authsvc.oauth.call import Call, plain
from authsvc.oauth.clients import Client, NoSuchTarget, audience_for
from authsvc.oauth.errors import InvalidTarget, UnmetAuthenticationRequirements
from authsvc.oauth.id_token_hint import Hints, hinted_user
from authsvc.oauth.response_mode import OFFERED, Return, form_can_carry
from authsvc.oauth.server import AuthorizationServer
from authsvc.sessions import levels

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_DIGITS = re.compile(r"[0-9]{1,9}")
LONGEST_NONCE = 500
#: What a row of a consent holds of a scope's name. All of them together: as much as a client may register.
LONGEST_NAME = 200


@dataclass(frozen=True)
class Asked:
    """One request, what it is held against, and each of its values, read once. Reading what is wrong raises the RFC's error."""

    sent: Sent
    to: Return
    server: AuthorizationServer
    hints: Hints
    tx: Session

    @property
    def client(self) -> Client:
        """Whose request it is."""
        return self.to.client

    def get(self, name: str) -> str | None:
        """A parameter."""
        return self.sent.params.get(name)

    @cached_property
    def scope(self) -> str:
        """What of the scope the client may have."""
        scope = self.client.get_allowed_scope(self.get("scope")) or ""
        if any(len(name) > LONGEST_NAME for name in scope.split()):
            raise InvalidScopeError("The name of a scope is too long.")
        return scope

    @cached_property
    def prompt(self) -> frozenset[str]:
        """The known values of `prompt`. With "none" beside another one, "an error is returned"."""
        prompt = frozenset((self.get("prompt") or "").split())
        if "none" in prompt and len(prompt) > 1:
            raise InvalidRequestError("prompt none goes with no other value.")
        return prompt & PROMPTS

    @cached_property
    def max_age(self) -> timedelta | None:
        """`max_age`, else what the client registered (OpenID Connect Registration 2)."""
        sent, registered = self.get("max_age"), self.client.metadata.default_max_age
        if sent is None:
            return timedelta(seconds=registered) if registered is not None else None
        if not _DIGITS.fullmatch(sent):
            raise InvalidRequestError("max_age must be a number of seconds.")
        return timedelta(seconds=int(sent))

    @cached_property
    def claims(self) -> AskedClaims:
        """What the `claims` parameter asks."""
        return read_claims(self.get("claims"), self.client)

    @cached_property
    def needs(self) -> str | None:
        """The least level that will do: the client's own minimum, and what the claims parameter calls essential.

        The levels are ordered (claims.md): more than was demanded meets the demand. No parameter lowers the minimum.
        """
        known = [value for value in self.claims.acr if value in levels.ORDER]
        if self.claims.acr and not known:
            raise UnmetAuthenticationRequirements("No acr that was demanded is known here.")
        return max((min(known, key=levels.rank, default=None), self.client.minimum_acr), key=levels.rank)

    @cached_property
    def resource(self) -> str:
        """The one audience of the access token."""
        resources = self.client.reachable(self.server.registry.resources(self.tx))
        try:
            return audience_for(self.get("resource"), self.scope, resources=resources, issuer=self.server.issuer)
        except NoSuchTarget as exc:
            raise InvalidTarget("Name one registered resource.") from exc

    @cached_property
    def account(self) -> Account | None:
        """The account to enter; the slug is no secret, for it stands in the address of the portal."""
        slug = self.get("account")
        account = account_by_slug(self.tx, slug) if slug is not None else None
        if slug is not None and account is None:
            raise InvalidRequestError("There is no such account.")
        return account

    @cached_property
    def person(self) -> Person | None:
        """The one person who will do, named by `id_token_hint` or by a sub in the claims parameter.

        Compared by `sub`, as this client is told it (asking.py), for a pairwise one leads back to nobody.
        """
        hint, sub = self.get("id_token_hint"), self.claims.sub
        if hint is None:
            # Nobody's address is filled in: whoever knows a sub would read it there.
            return None if sub is None else Person(sub, None)
        claims = self.hints.claims_of(hint)
        if claims is None or claims.get("azp") != self.client.client_id:
            raise InvalidRequestError("The id_token_hint is not an ID token that this client got from here.")
        if sub not in (None, claims["sub"]):
            raise InvalidRequestError("The id_token_hint and the claims parameter name two people.")
        return Person(claims["sub"], hinted_user(self.tx, claims))


@dataclass(frozen=True)
class Check:
    """One rule. `when_pushing`: also asked of a request that is being pushed."""

    rule: str
    test: Callable[[Asked], object]
    when_pushing: bool = True


def it_was_pushed(asked: Asked) -> None:
    """A client that must push sends nothing through the browser but the link."""
    if asked.client.metadata.require_pushed_authorization_requests and asked.sent.pushed is None:
        raise InvalidRequestError("This client must push its authorization requests.")


def it_was_signed(asked: Asked) -> None:
    """A client that must sign is believed nothing else."""
    if asked.client.metadata.require_signed_request_object and not asked.sent.signed:
        raise InvalidRequestError("This client must sign its authorization requests.")


def characters_are_plain(asked: Asked) -> None:
    """What is looked up, and what Authlib repeats in descriptions, holds no control characters and no quotes."""
    plain(asked.sent.params)


def response_mode_is_offered(asked: Asked) -> None:
    """Never ignored: the client would wait in the wrong place."""
    if asked.get("response_mode") not in (None, *OFFERED):
        raise InvalidRequestError("The response_mode must be query or form_post.")


def state_comes_back_whole(asked: Asked) -> None:
    """A browser that posts a form changes line breaks; a changed state would break the client's own check."""
    if asked.get("response_mode") == "form_post" and not form_can_carry(asked.get("state")):
        raise InvalidRequestError("With form_post the state must have no line break.")


def it_is_a_code_request(asked: Asked) -> None:
    """Authlib's own checks: client, redirect_uri, response_type, scope, and our S256Challenge by its hook."""
    call = Call(method="GET", headers=Headers(), args=asked.sent.params, form=MultiDict(), issuer=asked.server.issuer)
    asked.server.get_consent_grant(call, ANYONE)


def nonce_comes_back_whole(asked: Asked) -> None:
    """With a cut one the client would refuse a good answer."""
    nonce = asked.get("nonce") or ""
    if len(nonce) > LONGEST_NONCE or "\0" in nonce:
        raise InvalidRequestError("The nonce cannot be kept. Send 500 characters at most.")


#: The endpoint, from top to bottom.
CHECKS = (
    Check("RFC 9126 5: require_pushed_authorization_requests", it_was_pushed, when_pushing=False),
    Check("RFC 9101 10.5: require_signed_request_object", it_was_signed),
    Check("RFC 6749 A, 4.1.2.1: characters", characters_are_plain),
    Check("OAuth 2.0 Multiple Response Types 2.1: response_mode", response_mode_is_offered),
    Check("OAuth 2.0 Form Post Response Mode 2: state", state_comes_back_whole),
    Check("RFC 6749 3.1, 3.3, 4.1.1, RFC 7636 4.3: a code, and PKCE with S256", it_is_a_code_request),
    Check("RFC 6749 3.3: scope", lambda asked: asked.scope),
    Check("OpenID Connect Core 3.1.2.1: nonce", nonce_comes_back_whole),
    Check("OpenID Connect Core 3.1.2.1: prompt", lambda asked: asked.prompt),
    Check("OpenID Connect Core 3.1.2.1: max_age", lambda asked: asked.max_age),
    Check("OpenID Connect Core 5.5: claims", lambda asked: asked.claims),
    Check("OpenID Connect Core 5.5.1.1: an acr that is demanded", lambda asked: asked.needs),
    Check("RFC 8707 2: resource", lambda asked: asked.resource),
    Check("account (README, for client teams)", lambda asked: asked.account),
    Check("OpenID Connect Core 3.1.2.1, 3.1.2.2: id_token_hint, sub", lambda asked: asked.person),
)


def examine(asked: Asked, *, pushing: bool = False) -> AuthorizationRequest:
    """Ask every check, then say what was asked. Raises: OAuth2Error."""
    for check in CHECKS:
        if check.when_pushing or not pushing:
            check.test(asked)
    acr_values = tuple((asked.get("acr_values") or "").split())
    demand = Demand(
        prompt=asked.prompt,
        max_age=asked.max_age,
        prefers=acr_values or asked.claims.prefers or asked.client.metadata.default_acr_values,
        needs=asked.needs,
        account=asked.account,
        person=asked.person,
    )
    return AuthorizationRequest(
        sent=asked.sent,
        to=asked.to,
        scope=asked.scope,
        resource=asked.resource,
        nonce=asked.get("nonce"),
        code_challenge=asked.get("code_challenge") or "",
        claims=asked.claims,
        demand=demand,
    )


#: Authlib asks "user or not" only for prompt=none, which is answered with more knowledge (interaction.py).
ANYONE: Any = object()
