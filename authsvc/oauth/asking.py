"""What a person must show or say before a request is answered, and keeping the request meanwhile."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from authsvc.clock import Clock
from authsvc.mfa.enrolment import has_app
from authsvc.mfa.rules import Wanted, can_meet, person_of, switch_of
from authsvc.oauth.authorization_request import AuthorizationRequest
from authsvc.oauth.consent import Consents
from authsvc.oauth.families import Families
from authsvc.oauth.interaction import Ask, Before, Reason, SignedIn, Wish, what_to_ask
from authsvc.oauth.subjects import Subjects
from authsvc.policy.schema import MfaPolicy
from authsvc.sessions import levels
from authsvc.sessions.models import BrowserSession, SignInRequest
from authsvc.sessions.session import Sessions

ENDPOINT = "/oauth/authorize"
KIND = "authorization"
LONGEST_HINT = 320


@dataclass(frozen=True)
class Asking:
    """Holds a request against who is at the browser."""

    sessions: Sessions
    families: Families
    consents: Consents
    subjects: Subjects
    mfa: MfaPolicy
    channels: Collection[str]
    clock: Clock

    def what_is_missing(
        self, tx: Session, request: AuthorizationRequest, session: BrowserSession | None, parked: SignInRequest | None
    ) -> Ask | None:
        """Why the person must be asked, or None."""
        before = _before(parked)
        shown, agreed = None, True
        if session is not None:
            acr = self.families.effective_acr(tx, session)
            slug = session.membership.account.slug
            sub = self.subjects.sub(request.client, session.user_id)
            shown = SignedIn(slug, acr, session.auth_time, session.password_at, sub)
            agreed = self._agreed(tx, request, session, before)
        return what_to_ask(self._wish(tx, request, session), shown, before=before, now=self.clock.now(), agreed=agreed)

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

    def _wish(self, tx: Session, request: AuthorizationRequest, session: BrowserSession | None) -> Wish:
        demand = request.demand
        welcome = [acr for acr in demand.prefers if acr in levels.ORDER and self._can_show(tx, acr, request, session)]
        return Wish(
            demand.prompt,
            demand.max_age,
            welcome[0] if welcome else None,
            demand.account.slug if demand.account else None,
            needs=demand.needs,
            reachable=demand.needs is None or self._can_show(tx, demand.needs, request, session),
            sub=demand.person.sub if demand.person else None,
        )

    def _can_show(self, tx: Session, acr: str, request: AuthorizationRequest, session: BrowserSession | None) -> bool:
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
        person = person_of(session.user, self.mfa.phone, app_ready=has_app(tx, session.user_id))
        return can_meet(Wanted(levels.rank(acr)), policy, switch, person, self.channels)

    def park(
        self,
        tx: Session,
        request: AuthorizationRequest,
        ask: Ask,
        session: BrowserSession | None,
        parked: SignInRequest | None,
        browser_secret: str,
    ) -> SignInRequest:
        """Keep the request until the person is back, and tell the sign-in pages what is wanted of them."""
        demand, wish, before = request.demand, self._wish(tx, request, session), _before(parked)
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
