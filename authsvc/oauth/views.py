"""The OAuth pages: where browsers, not machines, arrive."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from authsvc.accounts.models import Account
from authsvc.crypto.tokens import new_secret
from authsvc.oauth.asking import KIND
from authsvc.oauth.authorize import MustConsent, MustSignIn, Question, Unsafe
from authsvc.oauth.consent import in_plain_words
from authsvc.oauth.response_mode import FORM_POST, Answer
from authsvc.sessions.models import BrowserSession, SignInRequest
from authsvc.web import csrf, headers
from authsvc.web.context import services
from authsvc.web.cookies import BROWSER, SESSION
from authsvc.web.page import page_for
from authsvc.web.problems import error_page, unusable_link
from authsvc.web.text import host_of

bp = Blueprint("oauth", __name__, template_folder="templates")

#: A relying party posts here from its own site; the answer is a redirect to the same by GET and nothing else.
CSRF_EXEMPT = frozenset({"oauth.logout_by_post", "oauth.authorize_by_post"})
#: Longer than any address that a server lets in (gunicorn_conf.py), with room for host and method.
LONGEST_QUERY = 8000


@bp.get("/oauth/authorize")
def authorize() -> Response:
    """The authorization endpoint; `request` alone means: back from signing in or from consent."""
    s = services()
    if not s.windows.admit("authorize_per_address", request.remote_addr or ""):
        return error_page(429)
    browser_secret = s.cookies.read(request, BROWSER)
    fresh = browser_secret or new_secret()
    is_back = set(request.args) == {"request"}
    sent = None if is_back else s.authorization.reader.read(MultiDict(request.args.items(multi=True)))
    with s.database.transaction() as tx:
        session = s.sessions.find(tx, s.cookies.read(request, SESSION))
        parked = _parked(tx, browser_secret, KIND)
        if sent is None:
            if parked is None:
                return unusable_link()
            if session is not None and s.sessions.was_answered(parked):
                # Back, after all is done: on to the portal. Its callback would refuse the same state twice (ux.md, rule 4).
                return redirect(session.membership.account.portal_url, 303)
            sent = s.authorization.reader.resume(parked, tx)
        if session is not None:
            s.sessions.touch(session)
        outcome = s.authorization.answer(tx, sent, session=session, parked=parked, browser_secret=fresh)
        account = session.membership.account if session else None
    response = _show(outcome, account)
    if browser_secret is None and isinstance(outcome, MustSignIn | MustConsent):
        s.cookies.write(response, BROWSER, fresh, lasts=s.browser_lasts)
    return response


@bp.post("/oauth/authorize")
def authorize_by_post() -> Response:
    """The same by POST (OpenID Connect Core 3.1.2.1): sent on as GET, for only then does the browser bring its cookies along.

    A query beside the body is refused: each parameter is sent in one place (security.md AZ-05).
    """
    query = urlencode(list(request.form.items(multi=True)))
    if request.args or len(query) > LONGEST_QUERY:
        return _wrong_link()
    return redirect(f"{url_for('oauth.authorize')}?{query}", 303)


@bp.get("/oauth/consent")
def consent() -> Response:
    """What a client of somebody else asks for, to whoever is signed in here; for the browser that was sent (LG-11)."""
    s = services()
    with s.database.transaction() as tx:
        parked, session, question = _question(tx)
        if parked is None:
            return unusable_link()
        if session is None or question is None:
            return redirect(parked.continue_to, 303)
        return _consent_page(parked, session, question)


@bp.post("/oauth/consent")
def submit_consent() -> Response:
    """The answer. It counts for the account that was on the page: another tab may have entered another one since."""
    s, choice = services(), request.form.get("choice")
    with s.database.transaction() as tx:
        parked, session, question = _question(tx)
        if parked is None:
            return unusable_link()
        if session is None or question is None:
            return redirect(parked.continue_to, 303)
        if choice not in ("allow", "deny") or request.form.get("account") != session.membership.account_id:
            return _consent_page(parked, session, question)
        if choice == "allow":
            s.authorization.agree(tx, question, session)
            return redirect(parked.continue_to, 303)
        outcome = s.authorization.deny(tx, question, session, parked)
        account = session.membership.account
    return _show(outcome, account)


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
            portal_origin=headers.origin_of(target) if "://" in target else None,
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


def _question(tx: Session) -> tuple[SignInRequest | None, BrowserSession | None, Question | None]:
    s = services()
    parked = _parked(tx, s.cookies.read(request, BROWSER), KIND)
    session = s.sessions.find(tx, s.cookies.read(request, SESSION))
    question = s.authorization.question(tx, parked, session) if parked and session else None
    return parked, session, question


def _show(outcome: Answer | MustSignIn | MustConsent | Unsafe, account: Account | None) -> Response:
    """From an outcome to what the browser gets."""
    match outcome:
        case MustSignIn():
            return redirect(url_for("login.sign_in", request=outcome.request.id), 303)
        case MustConsent():
            return redirect(url_for("oauth.consent", request=outcome.request.id), 303)
        case Unsafe():
            return _wrong_link()
        case Answer():
            return _answer(outcome, account)


def _answer(answer: Answer, account: Account | None) -> Response:
    """To the client: by redirect, or through a page that posts it or waits for the person."""
    by_form = answer.to.mode == FORM_POST
    if not by_form and not answer.waits:
        # No body: werkzeug's would repeat the code.
        return Response("", 303, {"Location": answer.location})
    headers.may_end_at(answer.to.origin)
    body = render_template(
        "oauth/return.html",
        page=page_for(account, services().assets),
        client_name=answer.to.client.client_name,
        host=host_of(answer.to.redirect_uri),
        action=answer.to.redirect_uri if by_form else None,
        fields=answer.params if by_form else (),
        location=None if by_form else answer.location,
        failed=answer.waits,
    )
    return Response(body, mimetype="text/html")


def _consent_page(parked: SignInRequest, session: BrowserSession, question: Question) -> Response:
    headers.may_end_at(parked.portal_origin)
    metadata, account = question.client.metadata, session.membership.account
    body = render_template(
        "oauth/consent.html",
        page=page_for(account, services().assets),
        csrf_field=csrf.field(),
        action=url_for("oauth.submit_consent", request=parked.id),
        client_name=metadata.client_name,
        host=host_of(parked.portal_origin),
        email=session.user.email.address,
        account_id=account.id,
        account_name=account.name,
        wishes=in_plain_words(question.scopes),
        links=[
            (words, address)
            for words, address in (
                ("About this app", metadata.client_uri),
                ("Its privacy policy", metadata.policy_uri),
                ("Its terms of use", metadata.tos_uri),
            )
            if address
        ],
    )
    return Response(body, mimetype="text/html")


def _wrong_link() -> Response:
    text = "Go back to the portal and try again."
    return error_page(400, "This sign-in link is wrong", text, button=None)
