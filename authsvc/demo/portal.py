"""A sample IMS portal: a relying party that keeps every token on its own side and shows what the sign-in said."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Flask, Response, abort, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from authsvc.clock import Clock, SystemClock
from authsvc.demo.calls import Answer, Send, Unreachable, over_network
from authsvc.demo.places import Places, Sample, url_of
from authsvc.demo.relying_party import Registration, RelyingParty, SessionOver, SignInFailed, StepUp, step_up_wanted
from authsvc.demo.sites import new_site, serve
from authsvc.demo.visitors import Pending, Visitor, Visitors
from authsvc.demo.words import lines

COOKIE = "portal_session"
#: The state of the sign-out request; it comes back with the browser (RP-Initiated Logout 2).
SIGNED_OUT = "signed-out"
NOTES = {"over": "Your session has ended. Sign in again.", "signed-out": "You’re signed out."}
#: Page -> path of the microservice, and what the page calls it.
CALLS = {
    "/investors": ("/investors", "Investors"),
    "/bank-details": ("/investors/bank-details", "Investor bank details"),
}


EXPORT = "/investors/bank-details/exports"


@dataclass(frozen=True)
class Shown:
    """A call to the microservice as the page tells it."""

    title: str
    path: str
    status: int
    rows: list[dict[str, str]] = field(default_factory=list)
    refusal: str | None = None
    #: Where an export that was begun is found.
    exports_page: str | None = None
    stepped_up: StepUp | None = None
    method: str = "GET"


@dataclass(frozen=True)
class Portal:
    """The portal's parts."""

    places: Places
    sample: Sample
    party: RelyingParty
    send: Send
    clock: Clock
    visitors: Visitors

    @property
    def url(self) -> str:
        """Its address."""
        return url_of(self.places.portal)


def build(
    places: Places, sample: Sample, *, client_secret: str, send: Send | None = None, clock: Clock | None = None
) -> Portal:
    """The portal of the demonstration; tests pass a way to send and a clock of their own."""
    send, clock = send or over_network(), clock or SystemClock()
    registration = Registration(
        issuer=url_of(places.sign_in),
        client_id=sample.client_id,
        client_secret=client_secret,
        redirect_uri=f"{url_of(places.portal)}/callback",
        scope=sample.scope,
    )
    return Portal(places, sample, RelyingParty(registration, send=send, clock=clock), send, clock, Visitors(clock))


def create_app(portal: Portal) -> Flask:
    """Its pages."""
    sample, visitors = portal.sample, portal.visitors
    app = new_site(
        "portal", url=portal.url, title=sample.name, accent=sample.accent, form_action=url_of(portal.places.sign_in)
    )
    app.jinja_env.globals["addresses"] = {name: url_of(port) for name, port in vars(portal.places).items()}

    @app.get("/")
    def home() -> BaseResponse:
        visitor = visitors.find(request.cookies.get(COOKIE))
        if visitor is None or visitor.tokens is None:
            note = "signed-out" if request.args.get("state") == SIGNED_OUT else request.args.get("note", "")
            return make_response(render_template("demo/welcome.html", note=NOTES.get(note)))
        return make_response(_page(portal, visitor, None))

    @app.get("/sign-in")
    def sign_in() -> BaseResponse:
        return _to_sign_in(portal, Pending(portal.party.begin(account=sample.slug), "/"))

    @app.get("/callback")
    def callback() -> BaseResponse:
        secret = request.cookies.get(COOKIE)
        visitor = visitors.find(secret)
        # A state this browser was not given: somebody else's sign-in, or one that was finished already.
        pending = visitor.take(request.args.get("state", "")) if visitor else None
        if visitor is not None and visitor.tokens is not None and pending is None:
            # Most likely the Back button. The code is left alone, and the person stays who they are.
            return redirect("/", 303)
        if visitor is None or pending is None:
            return _problem("This sign-in was not started here", "Start again from the portal.", 400)
        tokens = portal.party.complete(pending.started, request.args)
        person = portal.party.person(tokens)
        # A new name for the session, so that one planted before the sign-in is worth nothing after it.
        fresh, signed_in = visitors.new()
        visitors.forget(secret)
        signed_in.tokens, signed_in.person = tokens, person
        signed_in.pending, signed_in.stepped_up = visitor.pending, pending.step_up
        return _with_cookie(redirect(pending.return_to, 303), fresh)

    @app.get("/investors", endpoint="investors")
    @app.get("/bank-details", endpoint="bank_details")
    def call() -> BaseResponse:
        visitor = visitors.find(request.cookies.get(COOKIE))
        if visitor is None or visitor.tokens is None:
            return redirect("/", 303)
        path, title = CALLS[request.path]
        answer = portal.party.get(url_of(portal.places.microservice) + path, _fresh(portal, visitor))
        stepped_up, visitor.stepped_up = visitor.stepped_up, None
        wanted = step_up_wanted(answer)
        # Once: a service that is not content with what it asked for would send the browser round for ever.
        if wanted is not None and stepped_up is None:
            started = portal.party.begin(account=sample.slug, step_up=wanted)
            return _to_sign_in(portal, Pending(started, request.path, wanted))
        return make_response(_page(portal, visitor, _shown(title, path, answer, stepped_up)))

    @app.post("/bank-details/export")
    def export_bank_details() -> BaseResponse:
        visitor = visitors.find(request.cookies.get(COOKIE))
        if visitor is None or visitor.tokens is None:
            return redirect("/", 303)
        _refuse_forged(visitor)
        answer = portal.party.post(url_of(portal.places.microservice) + EXPORT, _fresh(portal, visitor))
        if (wanted := step_up_wanted(answer)) is not None:
            # Back to the page with the button: what was asked for before the code is not done behind anybody's back.
            started = portal.party.begin(account=sample.slug, step_up=wanted)
            return _to_sign_in(portal, Pending(started, "/bank-details", wanted))
        visitor.exported = _exported(answer)
        return redirect("/bank-details/export", 303)

    @app.get("/bank-details/export")
    def exported() -> BaseResponse:
        visitor = visitors.find(request.cookies.get(COOKIE))
        if visitor is None or visitor.tokens is None or visitor.exported is None:
            return redirect("/", 303)
        return make_response(_page(portal, visitor, visitor.exported))

    @app.post("/sign-out")
    def sign_out() -> BaseResponse:
        secret = request.cookies.get(COOKIE)
        visitor = visitors.find(secret)
        if visitor is None or visitor.tokens is None:
            return redirect("/", 303)
        _refuse_forged(visitor)
        # First here, then there: whatever becomes of the browser on the way, this portal has let go.
        visitors.forget(secret)
        target = portal.party.sign_out_url(visitor.tokens, return_to=f"{portal.url}/", state=SIGNED_OUT)
        response = redirect(target, 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="Lax")
        return response

    @app.errorhandler(SignInFailed)
    def failed(error: SignInFailed) -> BaseResponse:
        return _problem("You are not signed in", f"{error} Start again from the portal.", 400)

    @app.errorhandler(SessionOver)
    def over(_error: SessionOver) -> BaseResponse:
        visitors.forget(request.cookies.get(COOKIE))
        return redirect("/?note=over", 303)

    @app.errorhandler(Unreachable)
    def unreachable(_error: Unreachable) -> BaseResponse:
        return _problem("A part of the demonstration does not answer", "Try again in a moment.", 503)

    return app


def _fresh(portal: Portal, visitor: Visitor) -> Any:
    """Tokens that last for the next call; renewed shortly before they end. Raises: SessionOver, Unreachable."""
    with visitor.lock:
        if visitor.tokens is not None and portal.party.expires_soon(visitor.tokens):
            visitor.tokens = portal.party.refresh(visitor.tokens)
        return visitor.tokens


def _unread(portal: Portal, visitor: Visitor) -> int | None:
    """The figure on the person's bell, asked for with their own token; None: it cannot be had now, and the page goes on."""
    issuer = url_of(portal.places.sign_in)
    try:
        with visitor.lock:
            if visitor.tokens is None:
                return None
            if visitor.for_the_bell is None or portal.party.expires_soon(visitor.for_the_bell):
                visitor.for_the_bell = portal.party.refresh(visitor.tokens, resource=issuer)
                # One refresh token serves both audiences, and only the newest is good.
                visitor.tokens = replace(visitor.tokens, refresh_token=visitor.for_the_bell.refresh_token)
            answer = portal.party.get(f"{issuer}/api/v1/notifications/unread", visitor.for_the_bell)
        return int(answer.json()["unread"]) if answer.status_code == 200 else None
    except (SessionOver, Unreachable, ValueError, KeyError, TypeError):
        return None


def _to_sign_in(portal: Portal, pending: Pending) -> BaseResponse:
    """To the sign-in service, with a session here that will know the answer."""
    secret = request.cookies.get(COOKIE)
    visitor = portal.visitors.find(secret)
    if secret is None or visitor is None:
        secret, visitor = portal.visitors.new()
    visitor.remember(pending)
    return _with_cookie(redirect(pending.started.url, 303), secret)


def _with_cookie(response: BaseResponse, secret: str) -> BaseResponse:
    # Lax: the way back from the sign-in service must bring it along. Secure and __Host- belong here too, over https.
    response.set_cookie(COOKIE, secret, httponly=True, samesite="Lax", path="/")
    return response


def _shown(title: str, path: str, answer: Answer, stepped_up: StepUp | None) -> Shown:
    try:
        said = answer.json()
        if answer.status_code == 200:
            rows = [{name: _written(value) for name, value in row.items()} for row in said["investors"]]
            return Shown(title, path, 200, rows, stepped_up=stepped_up)
        refusal = f"{said['error_description']} ({said['error']})"
    except (ValueError, KeyError, TypeError, AttributeError):
        refusal = "The service answered with something else than was expected."
    return Shown(title, path, answer.status_code, refusal=refusal, stepped_up=stepped_up)


def _exported(answer: Answer) -> Shown:
    shown = Shown("Export bank details", EXPORT, answer.status_code, method="POST")
    try:
        said = answer.json()
        if answer.status_code == 202:
            return replace(shown, exports_page=str(said["page"]))
        return replace(shown, refusal=str(said["error_description"]))
    except (ValueError, KeyError, TypeError):
        return replace(shown, refusal="The service answered with something else than was expected.")


def _refuse_forged(visitor: Visitor) -> None:
    """Only forms of this portal act."""
    if not secrets.compare_digest(request.form.get("csrf", "").encode(), visitor.csrf.encode()):
        abort(403)


def _written(value: Any) -> str:
    return f"${value:,}" if isinstance(value, int) else str(value)


def _page(portal: Portal, visitor: Visitor, shown: Shown | None) -> str:
    tokens = visitor.tokens
    assert tokens is not None  # noqa: S101 - the views looked
    unread = _unread(portal, visitor)
    name = str(visitor.person.get("name") or visitor.person.get("email", ""))
    now = portal.clock.now()
    return render_template(
        "demo/portal.html",
        name=name,
        initials="".join(part[:1] for part in name.split()[:2]).upper(),
        lines=lines(
            tokens.claims, visitor.person, account=portal.sample.name, now=now, fallback_zone=portal.sample.time_zone
        ),
        raw=json.dumps(dict(tokens.claims), indent=2, ensure_ascii=False),
        lasts_s=max(0, int((tokens.expires_at - now).total_seconds())),
        shown=shown,
        unread=unread,
        csrf=visitor.csrf,
    )


def _problem(heading: str, text: str, status: int) -> Response:
    return make_response(render_template("demo/problem.html", heading=heading, text=text), status)


def main() -> None:
    """Serve it where the demonstration says."""
    places = Places.read(os.environ)
    serve(create_app(build(places, Sample.read(), client_secret=os.environ["PORTAL_SECRET"])), places.portal)


if __name__ == "__main__":
    main()
