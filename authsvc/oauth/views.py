"""The OAuth pages: where browsers, not machines, arrive."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from authsvc.crypto.tokens import new_secret
from authsvc.oauth.authorize import Issued, MustSignIn, Unsafe, origin_of, parked_params
from authsvc.sessions.models import SignInRequest
from authsvc.web.context import services
from authsvc.web.cookies import BROWSER, SESSION
from authsvc.web.problems import error_page, unusable_link

bp = Blueprint("oauth", __name__)

#: A relying party posts here from its own site; the answer is a redirect to the same by GET and nothing else.
CSRF_EXEMPT = frozenset({"oauth.logout_by_post"})


@bp.get("/oauth/authorize")
def authorize() -> Response:
    """The authorization endpoint; `request` alone means: back from signing in."""
    s = services()
    if not s.windows.admit("authorize_per_address", request.remote_addr or ""):
        return error_page(429)
    browser_secret = s.cookies.read(request, BROWSER)
    fresh = browser_secret or new_secret()
    with s.database.transaction() as tx:
        session = s.sessions.find(tx, s.cookies.read(request, SESSION))
        parked = _parked(tx, browser_secret, "authorization")
        if parked is None and set(request.args) == {"request"}:
            return unusable_link()
        if parked is not None and session is not None and s.sessions.was_answered(parked):
            # Back, after all is done: on to the portal. Its callback would refuse the same state twice (ux.md, rule 4).
            return redirect(session.membership.account.portal_url, 303)
        params = parked_params(parked) if parked else MultiDict(request.args.items(multi=True))
        if session is not None:
            s.sessions.touch(session)
        outcome = s.authorization.answer(tx, params, session=session, parked=parked, browser_secret=fresh)
        if parked is not None and isinstance(outcome, Issued):
            parked.answered_at = parked.answered_at or s.clock.now()
    if isinstance(outcome, Issued):
        return outcome.response
    if isinstance(outcome, Unsafe):
        text = "Go back to the portal and try again."
        return error_page(400, "This sign-in link is wrong", text, button=None)
    assert isinstance(outcome, MustSignIn)  # noqa: S101 - the third of three
    response = redirect(url_for("login.sign_in", request=outcome.request.id), 303)
    if browser_secret is None:
        s.cookies.write(response, BROWSER, fresh, lasts=s.browser_lasts)
    return response


@bp.get("/oauth/logout")
def logout() -> Response:
    """RP-Initiated Logout: at once for the session the hint names, else after asking; `request` alone: back from there."""
    s = services()
    browser_secret = s.cookies.read(request, BROWSER) or new_secret()
    with s.database.transaction() as tx:
        session = s.sessions.find(tx, s.cookies.read(request, SESSION))
        if (parked := _parked(tx, browser_secret, "logout")) is not None:
            target = url_for("login.sign_out", request=parked.id) if session else parked.params["target"]
            return redirect(target, 303)
        asked = s.logout.read(MultiDict(request.args.items(multi=True)))
        target = s.logout.onward(asked, session) or url_for("login.sign_in", note="signed-out")
        if session is None or (asked is not None and s.logout.is_about(asked, session)):
            if session is not None:
                s.sessions.end(tx, session, "signed_out")
            response = redirect(target, 303)
            s.cookies.drop(response, SESSION)
            return response
        # No hint, or one about another session: ask, for a link on any page could have brought the person here. The target
        # waits in the row, whole: with its state it may be longer than an address of ours.
        parked = s.sessions.park(
            tx,
            browser_secret=browser_secret,
            continue_to=url_for("oauth.logout") + "?request={id}",
            params={"kind": "logout", "target": target},
            portal_origin=origin_of(target) if "://" in target else None,
        )
    response = redirect(url_for("login.sign_out", request=parked.id), 303)
    s.cookies.write(response, BROWSER, browser_secret, lasts=s.browser_lasts)
    return response


@bp.post("/oauth/logout")
def logout_by_post() -> Response:
    """The same by POST: sent on as GET, for only then does the browser bring its cookies along (SameSite)."""
    return redirect(f"{url_for('oauth.logout')}?{urlencode(list(request.form.items(multi=True)))}", 303)


def _parked(tx: Session, browser_secret: str | None, kind: str) -> SignInRequest | None:
    """What this browser parked, when the request is its id and nothing else."""
    ids = request.args.getlist("request")
    if set(request.args) != {"request"} or len(ids) != 1 or not ids[0].isalnum():
        return None
    parked = services().sessions.parked(tx, ids[0], browser_secret=browser_secret)
    return parked if parked is not None and parked.params.get("kind") == kind else None
