"""OpenID Connect Back-Channel Logout 1.0: every client of a session is told that it ended (security.md TK-19)."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from authsvc.app import make_worker
from authsvc.jobs.models import Job
from authsvc.jobs.queue import MAX_ATTEMPTS
from authsvc.oauth.models import LogoutDelivery, OAuthClient
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import announce_ended
from tests.protocol.portal import LOGOUT, Portal, header
from tests.support.client_site import ClientSite
from tests.support.service import CALLBACK, ISSUER, PASSWORD, PORTAL, Service

HEARS = "/backchannel"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Listening:
    """Dana's portal, and its own site where it hears of logouts."""

    def __init__(self, service: Service, site: ClientSite, **client: Any) -> None:
        self.service, self.site = service, site
        self.portal = Portal.on(service, backchannel_logout_uri=site.answer(HEARS), **client)

    def other_client(self, client_id: str, **metadata: Any) -> Portal:
        """Another client that Dana enters with the same session."""
        self.service.client(client_id, **metadata)
        other = Portal(self.service, self.portal.membership, client_id)
        other.dana = self.portal.dana
        return other

    def sign_out(self) -> None:
        """Dana presses the button."""
        self.portal.dana.open("/sign-out")
        self.portal.dana.submit()

    def end_everywhere(self) -> int:
        """As a changed password does."""
        with self.service.services.database.transaction() as tx:
            return self.service.services.sessions.end_all(
                tx, "password_changed", user_id=self.portal.membership.user_id
            )

    def heard(self, path: str = HEARS) -> list[dict[str, Any]]:
        """The claims of every logout token that arrived, each checked as a client must (section 2.6)."""
        return [self.checked(asked.form()["logout_token"]) for asked in self.site.asked if asked.path == path]

    def checked(self, token: str) -> dict[str, Any]:
        """Signature, type, and the claims that must and must not be there."""
        keys = KeySet.import_key_set(self.service.machine().get("/oauth/jwks", base_url=ISSUER).json)
        decoded = jwt.decode(token, keys, algorithms=["ES256", "RS256"])
        now = int(self.service.clock.now().timestamp())
        assert decoded.header["typ"] == "logout+jwt"
        claims: dict[str, Any] = decoded.claims
        assert claims["iss"] == ISSUER
        assert claims["events"] == {EVENT: {}}
        assert (claims["iat"], claims["exp"]) == (now, now + 120)
        assert "nonce" not in claims
        assert set(claims) <= {"iss", "sub", "aud", "iat", "exp", "jti", "events", "sid"}
        return claims

    def receipts(self) -> list[LogoutDelivery]:
        """What is written down."""
        with self.service.services.database.transaction(read_only=True) as tx:
            return list(
                tx.scalars(select(LogoutDelivery).order_by(LogoutDelivery.client_id, LogoutDelivery.session_id))
            )


@pytest.fixture
def listening(near: tuple[Service, ClientSite]) -> Listening:
    """A portal that hears."""
    return Listening(*near)


def test_signing_out_tells_the_client(listening: Listening) -> None:
    """Section 2.4 and 2.5: iss, aud, iat, exp, jti, events, sub and sid; posted as a form; signed as its ID tokens are."""
    tokens = listening.portal.tokens()
    id_token = listening.portal.claims(tokens["id_token"])

    listening.sign_out()
    assert listening.heard() == [], "not while the person waits"
    listening.service.deliver()

    [claims] = listening.heard()
    assert (claims["aud"], claims["sub"], claims["sid"]) == ("ims-portal", id_token["sub"], id_token["sid"])
    [asked] = listening.site.asked
    assert (asked.method, asked.headers["Content-Type"]) == ("POST", "application/x-www-form-urlencoded")
    assert header(asked.form()["logout_token"])["kid"] == header(tokens["id_token"])["kid"]
    [receipt] = listening.receipts()
    assert (receipt.status, receipt.attempts, receipt.problem) == ("delivered", 1, "")
    assert receipt.delivered_at == listening.service.clock.now()
    [sent] = listening.service.events("logout.sent")
    assert (sent.client_id, sent.session_id, sent.fields) == ("ims-portal", id_token["sid"], {"attempts": 1})


def test_rp_initiated_logout_tells_the_client_too(listening: Listening) -> None:
    """OpenID conformance, backchannel-rp-initiated-logout."""
    hint = listening.portal.tokens()["id_token"]
    answer = listening.portal.get(
        LOGOUT, {"id_token_hint": hint, "post_logout_redirect_uri": f"{PORTAL}/"}, listening.portal.dana
    )
    assert answer.headers["Location"] == f"{PORTAL}/"
    listening.service.deliver()
    assert [claims["sid"] for claims in listening.heard()] == [listening.portal.claims(hint)["sid"]]


def test_a_session_that_ends_for_any_other_reason_tells_too(listening: Listening) -> None:
    """Replaced by another person on the same browser; one too many."""
    listening.portal.tokens()
    listening.service.member(listening.service.account("harbor"), "sam@harbor.example", phone=None)
    listening.portal.dana.open("/oauth/authorize", **listening.portal.request(prompt="login"))
    listening.portal.dana.submit(email="sam@harbor.example", password=PASSWORD)
    listening.service.deliver()
    assert len(listening.heard()) == 1
    first = listening.portal
    for _ in range(21):
        first.dana = listening.service.person()
        first.tokens()
    listening.service.deliver()
    assert len(listening.heard()) == 2


def test_every_client_of_the_session_is_told_and_no_other(listening: Listening) -> None:
    """Those that got tokens in it, also where those have been used up; not those that do not listen."""
    listening.portal.tokens()
    second = listening.other_client("second", backchannel_logout_uri=listening.site.answer("/second"))
    second.tokens()
    listening.other_client("deaf").tokens()
    listening.other_client("never-entered", backchannel_logout_uri=listening.site.answer("/never"))
    elsewhere = Portal(listening.service, listening.portal.membership, "second")
    elsewhere.tokens()
    listening.service.pass_time(minutes=10)

    listening.sign_out()
    listening.service.deliver()

    assert [claims["aud"] for claims in listening.heard()] == ["ims-portal"]
    assert [claims["aud"] for claims in listening.heard("/second")] == ["second"], "one session of two"
    assert listening.heard("/never") == []
    assert [receipt.client_id for receipt in listening.receipts()] == ["ims-portal", "second"]


def test_signing_out_everywhere_is_one_event_a_client_without_a_sid(listening: Listening) -> None:
    """Section 2.4: without sid "the intent is that all sessions at the RP for the End-User [...] be logged out". A client that
    registered that it needs a sid gets one for each session.
    """
    strict = listening.other_client(
        "strict", backchannel_logout_uri=listening.site.answer("/strict"), backchannel_logout_session_required=True
    )
    for browser in (listening.portal.dana, listening.service.person()):
        listening.portal.dana = strict.dana = browser
        listening.portal.tokens()
        strict.tokens()

    assert listening.end_everywhere() == 2
    listening.service.deliver()

    [claims] = listening.heard()
    assert "sid" not in claims
    assert claims["sub"] == listening.portal.membership.user_id
    assert len({claims["sid"] for claims in listening.heard("/strict")}) == 2


def test_leaving_one_account_ends_its_sessions_by_name(listening: Listening) -> None:
    """The person may be signed in to another account at the same client: not everything of theirs ends."""
    listening.portal.tokens()
    s = listening.service.services
    with s.database.transaction() as tx:
        s.sessions.end_all(tx, "membership_ended", membership_id=listening.portal.membership.id)
    listening.service.deliver()
    [claims] = listening.heard()
    assert claims["sid"]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_the_token_is_signed_as_the_clients_id_tokens_are(near: tuple[Service, ClientSite], algorithm: str) -> None:
    """Section 2.4: "It is RECOMMENDED that [...] the same algorithm as for ID Tokens" be used."""
    listening = Listening(*near, id_token_signed_response_alg=algorithm)
    listening.portal.tokens()
    listening.sign_out()
    listening.service.deliver()
    assert len(listening.heard()) == 1
    assert header(listening.site.asked[0].form()["logout_token"])["alg"] == algorithm


@pytest.mark.parametrize("status", [400, 404, 500, 302])
def test_a_client_that_does_not_answer_is_tried_again(listening: Listening, status: int) -> None:
    """Section 2.8: 400 when it failed; anything but success counts as that. The queue's pauses; a new token each time, so
    that a try whose answer was lost is no replay (TK-19); and it goes on although every token of the session has run out.
    """
    listening.site.answer(HEARS, status, b"", Location=f"{listening.site.url}/other")
    listening.portal.tokens()
    listening.sign_out()
    listening.service.deliver()
    [receipt] = listening.receipts()
    assert (receipt.status, receipt.attempts) == ("pending", 1)
    assert receipt.problem == f"it answered with status {status}"
    listening.service.pass_time(minutes=5)
    listening.site.answer(HEARS)
    listening.service.deliver()
    [receipt] = listening.receipts()
    assert (receipt.status, receipt.attempts, receipt.problem) == ("delivered", 2, "")
    tokens = [asked.form()["logout_token"] for asked in listening.site.asked]
    assert {asked.path for asked in listening.site.asked} == {HEARS}, "a redirect is not followed"
    assert tokens[0] != tokens[1]
    assert [event.fields["attempts"] for event in listening.service.events("logout.sent")] == [2]


def test_a_client_that_never_answers_is_given_up_and_seen(listening: Listening) -> None:
    """After the queue's tries; and it keeps no other client waiting."""
    listening.site.answer(HEARS, 500)
    listening.portal.tokens()
    listening.other_client("second", backchannel_logout_uri=listening.site.answer("/second")).tokens()
    listening.sign_out()
    for _ in range(MAX_ATTEMPTS + 2):
        listening.service.deliver()
        listening.service.pass_time(minutes=6)
    first, second = listening.receipts()
    assert (first.status, first.attempts, first.problem) == ("failed", MAX_ATTEMPTS, "it answered with status 500")
    assert (second.status, second.attempts) == ("delivered", 1)
    [failed] = listening.service.events("logout.failed")
    assert (failed.client_id, failed.fields) == (
        "ims-portal",
        {"attempts": MAX_ATTEMPTS, "reason": "it answered with status 500"},
    )


def test_az16_an_address_that_leads_inside_is_not_called(service: Service, near: tuple[Service, ClientSite]) -> None:
    """The row may be older than the rule; the name may lead elsewhere today."""
    site = near[1]
    listening = Listening(service, site)
    listening.portal.tokens()
    listening.sign_out()
    service.deliver()
    assert site.asked == []
    [receipt] = listening.receipts()
    assert (receipt.status, receipt.problem) == ("pending", "it is no plain https address")


def test_a_client_that_was_deactivated_in_between_is_not_told(listening: Listening) -> None:
    """It has nothing to end any more."""
    listening.site.answer(HEARS, 500)
    listening.portal.tokens()
    listening.sign_out()
    listening.service.deliver()
    s = listening.service.services
    with s.database.transaction() as tx:
        s.registration.deactivate_client(tx, "ims-portal", by="operator")
    listening.service.pass_time(minutes=5)
    listening.service.deliver()
    [receipt] = listening.receipts()
    assert (receipt.status, receipt.problem) == ("failed", "the client does not want it any more")
    assert len(listening.site.asked) == 1


def test_whoever_ends_many_sessions_by_one_statement_tells_too(listening: Listening) -> None:
    """`keys withdraw` and `after-restore`; a thousand sessions are a few jobs."""
    sid = listening.portal.claims(listening.portal.tokens()["id_token"])["sid"]
    s = listening.service.services
    with s.database.transaction() as tx:
        announce_ended(tx, s.queue, ["gone"] * 999 + [sid])
        assert tx.query(Job).count() == 2
    listening.service.deliver()
    assert [claims["sid"] for claims in listening.heard()] == [sid]


def test_the_job_is_in_the_transaction_that_ends_the_session(listening: Listening) -> None:
    """No end without its message, and no message without the end."""
    sid = listening.portal.claims(listening.portal.tokens()["id_token"])["sid"]
    s = listening.service.services

    def end_and_crash() -> None:
        with s.database.transaction() as tx:
            s.sessions.end(tx, tx.get_one(BrowserSession, sid), "signed_out")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        end_and_crash()
    listening.service.deliver()
    assert listening.heard() == []
    with s.database.transaction() as tx:
        session = tx.get_one(BrowserSession, sid)
        assert s.sessions.end(tx, session, "signed_out")
        assert not s.sessions.end(tx, session, "signed_out")
    listening.service.deliver()
    assert len(listening.heard()) == 1


def test_a_job_that_runs_twice_tells_once(listening: Listening) -> None:
    """A worker may die after its work and before it says so; two may have the same job when a lease runs out."""
    listening.portal.tokens()
    listening.sign_out()
    s = listening.service.services
    with s.database.transaction(read_only=True) as tx:
        [args] = [job.args for job in tx.scalars(select(Job).where(Job.kind == "session_ended"))]
    fan_out = make_worker(s).handlers["session_ended"]

    def once() -> str:
        try:
            fan_out(args)
        except Exception as exc:
            return type(exc).__name__
        return ""

    assert set(listening.service.at_once(once, once, once)) <= {"", "IntegrityError"}
    fan_out(args)
    listening.service.deliver()
    assert len(listening.receipts()) == 1
    assert len(listening.heard()) == 1
    assert len(listening.service.events("logout.sent")) == 1


def test_tk19_a_logout_token_is_nothing_else(listening: Listening) -> None:
    """No ID token, no access token, no hint (RFC 8725 3.11)."""
    listening.portal.tokens()
    listening.sign_out()
    listening.service.deliver()
    token = listening.site.asked[0].form()["logout_token"]
    assert listening.portal.userinfo(token).status_code == 401
    listening.portal.tokens()
    answer = listening.portal.get(
        LOGOUT, {"id_token_hint": token, "post_logout_redirect_uri": f"{PORTAL}/"}, listening.portal.dana
    )
    assert answer.headers["Location"].startswith("/sign-out?request=")


def test_no_token_is_kept_anywhere(listening: Listening) -> None:
    """Not in the job, not in the receipt, not in the trail."""
    listening.site.answer(HEARS, 500)
    listening.portal.tokens()
    listening.sign_out()
    listening.service.deliver()
    assert listening.site.asked[0].form()["logout_token"] not in listening.service.everything_stored()


def test_receipts_that_hang_are_given_up_and_old_ones_forgotten(listening: Listening) -> None:
    """A worker that dies at its last try leaves nothing pending for ever."""
    listening.site.answer(HEARS, 500)
    listening.portal.tokens()
    listening.sign_out()
    listening.service.deliver()
    s = listening.service.services
    listening.service.pass_time(hours=2)
    with s.database.transaction() as tx:
        s.logout_deliveries.sweep(tx, now=s.clock.now())
    assert [receipt.status for receipt in listening.receipts()] == ["failed"]
    assert len(listening.service.events("logout.failed")) == 1
    listening.service.pass_time(days=31)
    with s.database.transaction() as tx:
        s.logout_deliveries.sweep(tx, now=s.clock.now())
    assert listening.receipts() == []


def test_discovery_says_so(listening: Listening) -> None:
    """OpenID conformance, backchannel-logout-discovery-endpoint-verification."""
    found = listening.portal.get("/.well-known/openid-configuration").get_json()
    assert found["backchannel_logout_supported"] is found["backchannel_logout_session_supported"] is True
    assert found["end_session_endpoint"] == f"{ISSUER}{LOGOUT}"
    assert found["registration_endpoint"] == f"{ISSUER}/oauth/register"


def test_a_deactivated_client_loses_its_codes_and_tokens(portal: Portal) -> None:
    """Everything it held; a code that comes later is unknown, and no theft."""
    tokens = portal.tokens()
    code = portal.code(prompt="login")
    s = portal.service.services
    with s.database.transaction() as tx:
        assert s.registration.deactivate_client(tx, "ims-portal", by="operator") == 2
    assert portal.redeem(code).status_code == 401
    with s.database.transaction() as tx:
        s.registration.reactivate_client(tx, "ims-portal")
    assert portal.redeem(code).get_json()["error"] == "invalid_grant"
    assert portal.is_dead(tokens)
    assert portal.service.events("token.code_reused") == []
    with s.database.transaction(read_only=True) as tx:
        assert tx.get_one(OAuthClient, "ims-portal").deactivated_at is None
    assert CALLBACK in portal.request().values()
