"""The authorization endpoint: examine the request, ask for a sign-in or a consent if one is needed, issue the code."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidRequestError, OAuth2Error
from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import new_id
from authsvc.mfa.rules import Wanted, can_meet, person_of, switch_of
from authsvc.oauth.authorization_request import AuthorizationRequest, Reader, Sent
from authsvc.oauth.checks import Asked, examine
from authsvc.oauth.clients import Client
from authsvc.oauth.consent import Consents
from authsvc.oauth.errors import InvalidRequestUri
from authsvc.oauth.families import Families
from authsvc.oauth.id_token_hint import Hints
from authsvc.oauth.interaction import FINAL, Ask, Before, Reason, SignedIn, Wish, what_to_ask
from authsvc.oauth.response_mode import Answer, granted, refused
from authsvc.oauth.server import AuthorizationServer
from authsvc.policy.schema import MfaPolicy
from authsvc.sessions import levels
from authsvc.sessions.models import BrowserSession, SignInRequest
from authsvc.sessions.session import Sessions

log = logs.logger(__name__)
ENDPOINT = "/oauth/authorize"
KIND = "authorization"
LONGEST_HINT = 320
#: A client that asks in silence is told so; that is no refusal worth a row of the trail.
UNREMARKABLE = frozenset({"login_required", "account_selection_required", "consent_required"})


@dataclass(frozen=True)
class MustSignIn:
    """The request is parked; the person signs in and comes back with its id."""

    request: SignInRequest


@dataclass(frozen=True)
class MustConsent:
    """The request is parked; the person is asked and comes back with its id."""

    request: SignInRequest


@dataclass(frozen=True)
class Unsafe:
    """Client or redirect address cannot be trusted: a page, never a redirect (RFC 6749 4.1.2.1)."""

    error: OAuth2Error


@dataclass(frozen=True)
class Question:
    """What a person is asked to agree to."""

    client: Client
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class AuthorizationEndpoint:
    """Answers authorization requests, first time and after a sign-in alike."""

    reader: Reader
    server: AuthorizationServer
    hints: Hints
    sessions: Sessions
    families: Families
    consents: Consents
    mfa: MfaPolicy
    channels: Collection[str]
    clock: Clock
    audit: AuditLog

    def answer(
        self,
        tx: Session,
        sent: Sent,
        *,
        session: BrowserSession | None,
        parked: SignInRequest | None,
        browser_secret: str,
    ) -> Answer | MustSignIn | MustConsent | Unsafe:
        """Examine, ask, issue; in that order, in one transaction."""
        sent = self.reader.open_pushed(tx, sent)
        try:
            request = self._examine(tx, sent)
        except OAuth2Error as error:
            return self._refuse(tx, sent, error, waits=_waits(sent))
        ask = self._what_to_ask(tx, request, session, parked)
        if session is not None and ask is None:
            return self._issue(tx, request, session, parked)
        assert ask is not None  # noqa: S101 - without a session there is something to ask
        if ask.reason in FINAL or "none" in request.demand.prompt:
            return self._refuse(tx, sent, OAuth2Error(error=ask.wire_error))
        if ask.reason is Reason.CONSENT_WANTED:
            return MustConsent(parked or self._park(tx, request, ask, session, None, browser_secret))
        # Parked anew each time: what is still missing may be another thing than the first time.
        return MustSignIn(self._park(tx, request, ask, session, parked, browser_secret))

    def question(self, tx: Session, parked: SignInRequest, session: BrowserSession) -> Question | None:
        """What there is to agree to, or None: nothing any more, or something else comes first."""
        try:
            request = self._examine(tx, self.reader.resume(parked, tx))
        except OAuth2Error:
            return None
        ask = self._what_to_ask(tx, request, session, parked)
        is_asked = ask is not None and ask.reason is Reason.CONSENT_WANTED
        return Question(request.client, request.wanted_consent) if is_asked else None

    def agree(self, tx: Session, question: Question, session: BrowserSession) -> None:
        """The person's yes; the request is then answered as if it had been given before."""
        self.consents.grant(tx, session, question.client.client_id, question.scopes)

    def deny(self, tx: Session, question: Question, session: BrowserSession, parked: SignInRequest) -> Answer | Unsafe:
        """The person's no: access_denied, and the request is over (RFC 6749 4.1.2.1)."""
        self.consents.deny(tx, session, question.client.client_id, question.scopes)
        sent = self.reader.resume(parked, tx)
        if sent.pushed is not None:
            self.reader.pushed.use(tx, sent.pushed, by=parked.id)
        parked.answered_at = parked.answered_at or self.clock.now()
        return self._refuse(tx, sent, AccessDeniedError("The person did not agree."))

    def _examine(self, tx: Session, sent: Sent) -> AuthorizationRequest:
        to = sent.to
        if sent.error is not None:
            raise sent.error
        if to is None:
            raise InvalidRequestError("The redirect_uri is missing or not registered for this client.")
        return examine(Asked(sent, to, self.server, self.hints, tx))

    def _what_to_ask(
        self, tx: Session, request: AuthorizationRequest, session: BrowserSession | None, parked: SignInRequest | None
    ) -> Ask | None:
        before = _before(parked)
        shown, agreed = None, True
        if session is not None:
            acr = self.families.effective_acr(tx, session)
            slug = session.membership.account.slug
            shown = SignedIn(slug, acr, session.auth_time, session.password_at, session.user_id)
            agreed = self._agreed(tx, request, session, before)
        return what_to_ask(self._wish(request, session), shown, before=before, now=self.clock.now(), agreed=agreed)

    def _agreed(
        self, tx: Session, request: AuthorizationRequest, session: BrowserSession, before: Before | None
    ) -> bool:
        """Whether the person lets the client have it. IMS's own clients are not asked for."""
        if request.client.first_party:
            return True
        anew = "consent" in request.demand.prompt
        if anew and before is None:
            return False
        since = before.parked_at if anew and before else None
        return self.consents.covers(tx, session, request.client.client_id, request.wanted_consent, since=since)

    def _wish(self, request: AuthorizationRequest, session: BrowserSession | None) -> Wish:
        demand = request.demand
        welcome = [acr for acr in demand.prefers if acr in levels.ORDER and self._can_show(acr, request, session)]
        person = demand.person
        return Wish(
            demand.prompt,
            demand.max_age,
            welcome[0] if welcome else None,
            demand.account.slug if demand.account else None,
            needs=demand.needs,
            reachable=demand.needs is None or self._can_show(demand.needs, request, session),
            user_id=None if person is None else person.user.id if person.user else "",
        )

    def _can_show(self, acr: str, request: AuthorizationRequest, session: BrowserSession | None) -> bool:
        """Whether this person could reach a level in the account to be entered. Whoever is unknown is asked, and then seen."""
        if session is None:
            return True
        account = request.demand.account
        membership = next(
            (m for m in session.user.memberships if m.is_active and account is not None and m.account_id == account.id),
            session.membership,
        )
        policy = self.mfa.for_audience(membership.audience)
        switch = switch_of(membership.account.mfa_for(membership.audience))
        person = person_of(session.user, self.mfa.phone)
        return can_meet(Wanted(levels.rank(acr)), policy, switch, person, self.channels)

    def _issue(
        self, tx: Session, request: AuthorizationRequest, session: BrowserSession, parked: SignInRequest | None
    ) -> Answer | Unsafe:
        pushed = request.sent.pushed
        if pushed is not None and not self.reader.pushed.use(tx, pushed, by=parked.id if parked else new_id()):
            return self._refuse(tx, request.sent, InvalidRequestUri("The request_uri was used."))
        family = self.families.begin(
            tx,
            session,
            client_id=request.client.client_id,
            scope=request.scope,
            resource=request.resource,
            nonce=request.nonce,
            acr=self.families.effective_acr(tx, session),
            asked_claims=request.claims.stored(),
        )
        to = request.to
        code = self.server.codes.issue(tx, family, redirect_uri=to.redirect_uri, code_challenge=request.code_challenge)
        self.audit.record(
            tx,
            Event.CODE_ISSUED,
            user_id=session.user_id,
            account_id=session.membership.account_id,
            session_id=session.id,
            client_id=request.client.client_id,
            scope=request.scope,
            acr=family.acr,
        )
        if parked is not None:
            parked.answered_at = parked.answered_at or self.clock.now()
        return granted(to, self.server.issuer, code)

    def _refuse(self, tx: Session, sent: Sent, error: OAuth2Error, *, waits: bool = False) -> Answer | Unsafe:
        client_id = sent.client.client_id if sent.client else None
        log.info("oauth.refused", error=error.error, reason=error.description or "", client_id=client_id or "-")
        if error.error not in UNREMARKABLE:
            self.audit.record(tx, Event.AUTHORIZATION_REFUSED, client_id=client_id, error=error.error)
        to = sent.to
        return Unsafe(error) if to is None else refused(to, self.server.issuer, error, waits=waits)

    def _park(
        self,
        tx: Session,
        request: AuthorizationRequest,
        ask: Ask,
        session: BrowserSession | None,
        parked: SignInRequest | None,
        browser_secret: str,
    ) -> SignInRequest:
        demand, wish, before = request.demand, self._wish(request, session), _before(parked)
        wanted = max((wish.acr, demand.needs), key=levels.rank)
        since = before.parked_at if before else self.clock.now()
        types_anew = ask.reason in (Reason.PASSWORD_WANTED, Reason.OTHER_PERSON)
        return self.sessions.park(
            tx,
            browser_secret=browser_secret,
            continue_to=ENDPOINT + "?request={id}",
            params={"kind": KIND, "since": since.isoformat(), **request.sent.kept()},
            account_slug=wish.account_slug,
            login_hint=_login_hint(request),
            wanted_acr=wanted if levels.rank(wanted) else None,
            client_id=request.client.client_id,
            client_name=request.client.client_name,
            portal_origin=request.to.origin,
            password_after=self.clock.now() if types_anew else None,
            choose_account="select_account" in demand.prompt,
            signed_in_at=before.signed_in_at if before else None,
        )


def _before(parked: SignInRequest | None) -> Before | None:
    """Since when a request is under way: from its first parking, however often it was parked."""
    if parked is None:
        return None
    return Before(datetime.fromisoformat(parked.params["since"]), parked.signed_in_at)


def _login_hint(request: AuthorizationRequest) -> str | None:
    """What the sign-in page fills in: what the client says, else the address of whom it means."""
    hint, person = request.sent.params.get("login_hint"), request.demand.person
    if hint is None and person is not None and person.user is not None:
        return person.user.email.address
    return hint if hint and len(hint) <= LONGEST_HINT and hint.isprintable() else None


def _waits(sent: Sent) -> bool:
    """Whether an error is shown to the person before it leads on: for clients of others, unless they asked in silence (AZ-06)."""
    quiet = "none" in sent.params.get("prompt", "").split()
    return sent.client is not None and not sent.client.first_party and not quiet
