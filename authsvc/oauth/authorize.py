"""The authorization endpoint: check the request, ask for a sign-in if one is needed, issue the code."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from authlib.oidc.core.errors import AccountSelectionRequiredError, LoginRequiredError
from sqlalchemy.orm import Session
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.wrappers import Response

from authsvc.accounts.models import Account
from authsvc.accounts.phone import Parsed, parse
from authsvc.accounts.queries import account_by_slug
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.mfa.enrolment import has_app
from authsvc.mfa.rules import Person, Switch, Wanted, can_meet
from authsvc.oauth.call import Call, checked
from authsvc.oauth.clients import Client, NoSuchTarget, audience_for
from authsvc.oauth.errors import InvalidTarget, RequestNotSupported, RequestUriNotSupported
from authsvc.oauth.families import Families
from authsvc.oauth.interaction import Ask, Reason, SignedIn, Wish, what_to_ask
from authsvc.oauth.server import AuthorizationServer
from authsvc.policy.schema import MfaPolicy
from authsvc.sessions import levels
from authsvc.sessions.models import BrowserSession, SignInRequest
from authsvc.sessions.session import Sessions

ENDPOINT = "/oauth/authorize"
PROMPTS = frozenset({"none", "login", "consent", "select_account"})
WANTED = {levels.REMEMBERED: Wanted.REMEMBERED, levels.TWO_STEP: Wanted.STEP, levels.TWO_FACTOR: Wanted.FACTOR}
_DIGITS = re.compile(r"[0-9]{1,9}")
LONGEST_NONCE = 500
LONGEST_HINT = 320


@dataclass(frozen=True)
class Issued:
    """The answer for the browser: a redirect to the client, or the client's error. `trusted_origin`: where it leads."""

    response: Response


@dataclass(frozen=True)
class MustSignIn:
    """The request is parked; the person signs in and comes back with its id."""

    request: SignInRequest


@dataclass(frozen=True)
class Unsafe:
    """Client or redirect address cannot be trusted: a page, never a redirect (RFC 6749 4.1.2.1)."""

    error: OAuth2Error


@dataclass(frozen=True)
class AuthorizationEndpoint:
    """Answers authorization requests, first time and after a sign-in alike."""

    server: AuthorizationServer
    sessions: Sessions
    families: Families
    mfa: MfaPolicy
    channels: Collection[str]
    clock: Clock
    audit: AuditLog

    def answer(
        self,
        tx: Session,
        params: MultiDict[str, str],
        *,
        session: BrowserSession | None,
        parked: SignInRequest | None,
        browser_secret: str,
    ) -> Issued | MustSignIn | Unsafe:
        """Check, ask, issue; in that order, in one transaction."""
        try:
            params = checked(params)
            call = Call(method="GET", headers=Headers(), args=params, form=MultiDict(), issuer=self.server.issuer)
            grant = self.server.get_consent_grant(call, session or _ANYONE)
        except OAuth2Error as error:
            return self._refuse(tx, None, error, params)
        client: Client = call.client
        try:
            refuse_what_is_not_offered(params)
            resource = self._resource(tx, params, call.scope)
            account = self._account(tx, params)
            wish = read_wish(params, account, self._meetable_acr(tx, params, session, account))
            ask = what_to_ask(
                wish,
                self._signed_in(tx, session),
                parked_at=parked.created_at if parked else None,
                now=self.clock.now(),
            )
            if ask is not None:
                if "none" in wish.prompt:
                    raise (
                        AccountSelectionRequiredError() if ask.reason is Reason.OTHER_ACCOUNT else LoginRequiredError()
                    )
                # Parked anew each time: what is still missing may be another thing than the first time.
                return MustSignIn(self._park(tx, params, client, grant.redirect_uri, ask, wish, browser_secret))
        except OAuth2Error as error:
            error.redirect_uri, error.state = grant.redirect_uri, params.get("state")
            return self._refuse(tx, client, error, params)
        assert session is not None  # noqa: S101 - what_to_ask has asked for one
        return Issued(self._issue(tx, call, client, grant.redirect_uri, resource, session))

    def _issue(
        self, tx: Session, call: Call, client: Client, redirect_uri: str, resource: str, session: BrowserSession
    ) -> Response:
        params = call.payload.data
        family = self.families.begin(
            tx,
            session,
            client_id=client.client_id,
            scope=call.scope,
            resource=resource,
            nonce=params.get("nonce"),
            acr=self.families.effective_acr(tx, session),
        )
        code = self.server.codes.issue(tx, family, redirect_uri=redirect_uri, code_challenge=params["code_challenge"])
        self.audit.record(
            tx,
            Event.CODE_ISSUED,
            user_id=session.user_id,
            account_id=session.membership.account_id,
            session_id=session.id,
            client_id=client.client_id,
            scope=call.scope,
            acr=family.acr,
        )
        answer = [
            ("code", code),
            *([("state", params["state"])] if params.get("state") else []),
            ("iss", self.server.issuer),
        ]
        return self.server.handle_response(303, "", [("Location", add_params_to_uri(redirect_uri, answer))])

    def _refuse(
        self, tx: Session, client: Client | None, error: OAuth2Error, params: MultiDict[str, str]
    ) -> Issued | Unsafe:
        if error.error not in ("login_required", "account_selection_required"):
            self.audit.record(
                tx, Event.AUTHORIZATION_REFUSED, client_id=client.client_id if client else None, error=error.error
            )
        if not error.redirect_uri:
            return Unsafe(error)
        call = Call(method="GET", headers=Headers(), args=params, form=MultiDict(), issuer=self.server.issuer)
        return Issued(self.server.handle_error_response(call, error))

    def _park(
        self,
        tx: Session,
        params: MultiDict[str, str],
        client: Client,
        redirect_uri: str,
        ask: Ask,
        wish: Wish,
        browser_secret: str,
    ) -> SignInRequest:
        hint = params.get("login_hint")
        return self.sessions.park(
            tx,
            browser_secret=browser_secret,
            continue_to=ENDPOINT + "?request={id}",
            params={"kind": "authorization", "sent": dict(params.items())},
            account_slug=wish.account_slug,
            login_hint=hint if hint and len(hint) <= LONGEST_HINT and hint.isprintable() else None,
            wanted_acr=wish.acr if wish.acr and wish.acr != levels.PASSWORD else None,
            client_id=client.client_id,
            client_name=client.client_name,
            portal_origin=origin_of(redirect_uri),
            password_after=self.clock.now() if ask.reason is Reason.PASSWORD_WANTED else None,
        )

    def _resource(self, tx: Session, params: MultiDict[str, str], scope: str) -> str:
        try:
            return audience_for(
                params.get("resource"), scope, resources=self.server.registry.resources(tx), issuer=self.server.issuer
            )
        except NoSuchTarget as exc:
            raise InvalidTarget("Name one registered resource.") from exc

    def _account(self, tx: Session, params: MultiDict[str, str]) -> Account | None:
        slug = params.get("account")
        if slug is None:
            return None
        account = account_by_slug(tx, slug)
        if account is None:
            raise InvalidRequestError("There is no such account.")
        return account

    def _signed_in(self, tx: Session, session: BrowserSession | None) -> SignedIn | None:
        if session is None:
            return None
        acr = self.families.effective_acr(tx, session)
        return SignedIn(session.membership.account.slug, acr, session.auth_time, session.password_at)

    def _meetable_acr(
        self, tx: Session, params: MultiDict[str, str], session: BrowserSession | None, account: Account | None
    ) -> str | None:
        """The first of acr_values, in the client's order, that can be met; unknown people are asked for it and then seen."""
        asked = [value for value in params.get("acr_values", "").split() if value in levels.ORDER]
        if session is None:
            return asked[0] if asked else None
        membership = next(
            (m for m in session.user.memberships if m.is_active and account is not None and m.account_id == account.id),
            session.membership,
        )
        switch = membership.account.mfa_for(membership.audience)
        chosen = Switch(switch.enabled, tuple(switch.methods), switch.remember_device) if switch else None
        phone = session.user.phone
        usable = (
            phone is not None
            and phone.verified_at is not None
            and isinstance(parse(phone.e164, regions=self.mfa.phone.regions), Parsed)
        )
        policy, person = (
            self.mfa.for_audience(membership.audience),
            Person(usable, app_ready=has_app(tx, session.user_id)),
        )
        return next(
            (a for a in asked if can_meet(WANTED.get(a, Wanted.NOTHING), policy, chosen, person, self.channels)),
            None,
        )


#: Authlib asks "user or not" only for prompt=none, which is answered here with more knowledge.
_ANYONE = object()


def read_wish(params: MultiDict[str, str], account: Account | None, acr: str | None) -> Wish:
    """What the client asks. Raises: InvalidRequestError."""
    prompt = frozenset(params.get("prompt", "").split())
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequestError("prompt none goes with no other value.")
    max_age = params.get("max_age")
    if max_age is not None and not _DIGITS.fullmatch(max_age):
        raise InvalidRequestError("max_age must be a number of seconds.")
    return Wish(
        prompt & PROMPTS, timedelta(seconds=int(max_age)) if max_age else None, acr, account.slug if account else None
    )


def refuse_what_is_not_offered(params: MultiDict[str, str]) -> None:
    """Never ignored: a client that asks for these relies on them. Raises: OAuth2Error."""
    if "request" in params:
        raise RequestNotSupported("Request objects are not supported.")
    if "request_uri" in params:
        raise RequestUriNotSupported("Request objects are not supported.")
    if params.get("response_mode", "query") != "query":
        raise InvalidRequestError("The response_mode must be query.")
    nonce = params.get("nonce", "")
    if len(nonce) > LONGEST_NONCE or "\0" in nonce:
        # It comes back whole or not at all: with a cut one the client would refuse a good answer.
        raise InvalidRequestError("The nonce cannot be kept. Send 500 characters at most.")


def origin_of(url: str) -> str:
    """Scheme, host and port."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"


def parked_params(parked: SignInRequest) -> MultiDict[str, str]:
    """The parameters as they were first sent: nothing on the way through sign-in can change them (security.md AZ-07)."""
    sent: dict[str, Any] = parked.params["sent"]
    return MultiDict(sent.items())
