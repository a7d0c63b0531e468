"""The authorization endpoint: examine the request, ask for a sign-in or a consent if one is needed, issue the code."""

from __future__ import annotations

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidRequestError, OAuth2Error
from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import new_id
from authsvc.oauth.asking import Asking
from authsvc.oauth.authorization_request import AuthorizationRequest, Reader, Sent
from authsvc.oauth.checks import Asked, examine
from authsvc.oauth.clients import Client
from authsvc.oauth.consent import Consents
from authsvc.oauth.errors import InvalidRequestUri
from authsvc.oauth.families import Families
from authsvc.oauth.id_token_hint import Hints
from authsvc.oauth.interaction import FINAL, Reason
from authsvc.oauth.response_mode import Answer, granted, refused
from authsvc.oauth.server import AuthorizationServer
from authsvc.sessions.models import BrowserSession, SignInRequest

log = logs.logger(__name__)
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
    asking: Asking
    families: Families
    consents: Consents
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
        ask = self.asking.what_is_missing(tx, request, session, parked)
        if session is not None and ask is None:
            return self._issue(tx, request, session, parked)
        assert ask is not None  # noqa: S101 - without a session there is something to ask
        if ask.reason in FINAL or "none" in request.demand.prompt:
            return self._refuse(tx, sent, OAuth2Error(error=ask.wire_error))
        if ask.reason is Reason.CONSENT_WANTED:
            return MustConsent(parked or self.asking.park(tx, request, ask, session, None, browser_secret))
        # Parked anew each time: what is still missing may be another thing than the first time.
        return MustSignIn(self.asking.park(tx, request, ask, session, parked, browser_secret))

    def question(self, tx: Session, parked: SignInRequest, session: BrowserSession) -> Question | None:
        """What there is to agree to, or None: nothing any more, or something else comes first."""
        try:
            request = self._examine(tx, self.reader.resume(parked, tx))
        except OAuth2Error:
            return None
        ask = self.asking.what_is_missing(tx, request, session, parked)
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


def _waits(sent: Sent) -> bool:
    """Whether an error is shown to the person before it leads on: for clients of others, unless they asked in silence (AZ-06)."""
    quiet = "none" in sent.params.get("prompt", "").split()
    return sent.client is not None and not sent.client.first_party and not quiet
