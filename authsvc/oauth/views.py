"""The OAuth pages: where browsers, not machines, arrive."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from authsvc.crypto.tokens import new_secret
from authsvc.oauth.authorize import Issued, MustSignIn, Unsafe, origin_of, parked_params
from authsvc.oauth.logout import is_about
from authsvc.web.context import services
from authsvc.web.cookies import BROWSER, SESSION
from authsvc.web.problems import error_page

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
    resumed = set(request.args) == {"request"} and len(request.args.getlist("request")) == 1
    with s.database.transaction() as tx:
        session = s.sessions.find(tx, s.cookies.read(request, SESSION))
        parked = s.sessions.parked(tx, request.args["request"], browser_secret=browser_secret) if resumed else None
        if resumed and (parked is None or parked.params.get("kind") != "authorization"):
            return error_page(
                400,
                "This page was open too long",
                "Nothing was changed. Go back to the portal and sign in again.",
                button=None,
            )
        params = parked_params(parked) if parked else MultiDict(request.args.items(multi=True))
        if session is not None:
            s.sessions.touch(session)
        outcome = s.authorization.answer(tx, params, session=session, parked=parked, browser_secret=fresh)
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
    """RP-Initiated Logout: at once for the session the hint names, else after asking."""
    s = services()
    browser_secret = s.cookies.read(request, BROWSER) or new_secret()
    with s.database.transaction() as tx:
        session = s.sessions.find(tx, s.cookies.read(request, SESSION))
        asked = s.logout.read(MultiDict(request.args.items(multi=True)))
        target = (asked.redirect_uri if asked else None) or url_for("login.sign_in", note="signed-out")
        if session is None or (asked is not None and is_about(asked, session)):
            if session is not None:
                s.sessions.end(tx, session, "signed_out")
            response = redirect(target, 303)
            s.cookies.drop(response, SESSION)
            return response
        # No hint, or one about somebody else: ask, for a link on any page could have brought the person here.
        parked = s.sessions.park(
            tx,
            browser_secret=browser_secret,
            continue_to=target.replace("{", "%7B").replace("}", "%7D"),
            params={"kind": "logout"},
            portal_origin=origin_of(target) if asked and asked.redirect_uri else None,
        )
    response = redirect(url_for("login.sign_out", request=parked.id), 303)
    s.cookies.write(response, BROWSER, browser_secret, lasts=s.browser_lasts)
    return response


@bp.post("/oauth/logout")
def logout_by_post() -> Response:
    """The same by POST: sent on as GET, for only then does the browser bring its cookies along (SameSite)."""
    return redirect(f"{url_for('oauth.logout')}?{urlencode(request.form.to_dict())}", 303)
