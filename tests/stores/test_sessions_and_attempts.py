"""Sessions, sign-ins under way and parked requests: rows that live by the injected clock and belong to one browser."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from authsvc.accounts.models import Membership, User
from authsvc.audit import Event
from authsvc.crypto.tokens import new_secret
from authsvc.login.models import LoginAttempt
from authsvc.sessions import levels
from authsvc.sessions.models import BrowserSession, KnownBrowser, SignInRequest
from authsvc.sessions.session import Standing
from tests.support.service import Service


@pytest.fixture
def dana(service: Service) -> Membership:
    """Somebody to sign in."""
    return service.member(service.account())


def standing(
    service: Service,
    acr: str = levels.PASSWORD,
    amr: tuple[str, ...] = ("pwd",),
    *,
    password_at: datetime | None = None,
) -> Standing:
    """What a sign-in has shown now; the password then, too, unless told otherwise."""
    now = service.clock.now()
    return Standing(acr, list(amr), auth_time=now, password_at=password_at or now)


def start(
    service: Service, member: Membership, shown: Standing | None = None, *, previous: str | None = None
) -> tuple[str, str]:
    """Sign in on a browser that holds the session secret `previous`; answers (sid, secret)."""
    sessions = service.services.sessions
    with service.services.database.transaction() as tx:
        found = tx.get_one(Membership, member.id)
        before = sessions.find(tx, previous)
        session, secret = sessions.start(
            tx, found, shown or standing(service), browser="Chrome on macOS", previous=before
        )
        return session.id, secret


def sid(service: Service, secret: str | None) -> str | None:
    """The live session behind a secret."""
    with service.services.database.transaction(read_only=True) as tx:
        found = service.services.sessions.find(tx, secret)
        return found.id if found else None


def open_attempt(service: Service, member: Membership) -> str:
    """A sign-in whose password was right; answers its secret."""
    with service.services.database.transaction() as tx:
        found = tx.get_one(Membership, member.id)
        _, secret = service.services.attempts.open(tx, found.user, membership=found, password_at=service.clock.now())
        return secret


def has_attempt(service: Service, secret: str | None) -> bool:
    """Whether the sign-in behind a secret can go on."""
    with service.services.database.transaction() as tx:
        return service.services.attempts.find(tx, secret, lock=True) is not None


def test_lg_10_a_step_up_keeps_the_sid_and_makes_a_new_secret(service: Service, dana: Membership) -> None:
    """New token at every rise, the old one dead (ASVS 7.2.4); tokens go on naming the same session."""
    first_sid, first = start(service, dana)
    password_at = service.clock.now()
    service.pass_time(minutes=5)
    raised = standing(service, levels.TWO_STEP, ("pwd", "otp", "mca"), password_at=password_at)
    second_sid, second = start(service, dana, raised, previous=first)
    assert (second_sid, second != first) == (first_sid, True)
    assert (sid(service, first), sid(service, second)) == (None, first_sid)
    started = service.events(Event.SESSION_STARTED)
    assert [event.fields.get("raised_from") for event in started] == [None, levels.PASSWORD]


def test_another_persons_sign_in_ends_the_session_of_the_browser(service: Service, dana: Membership) -> None:
    """LG-13: what B does on A's browser is never A's session."""
    priya = service.member(service.account("westgate"), "priya@westgate.example")
    danas_sid, danas = start(service, dana)
    priyas_sid, priyas = start(service, priya, previous=danas)
    assert (sid(service, danas), sid(service, priyas)) == (None, priyas_sid)
    assert priyas_sid != danas_sid
    assert [event.fields["reason"] for event in service.events(Event.SESSION_ENDED)] == ["replaced"]


def test_d20_a_session_ends_after_half_an_hour_without_use(service: Service, dana: Membership) -> None:
    """By what the server saw, not by the cookie's age."""
    _, secret = start(service, dana)
    service.pass_time(minutes=30, seconds=-1)
    assert sid(service, secret)
    service.pass_time(seconds=1)
    assert sid(service, secret) is None


def test_d20_use_keeps_a_session_alive_for_twelve_hours_at_most(service: Service, dana: Membership) -> None:
    """Absolute 12 h: no use, and no code, moves that end."""
    _, secret = start(service, dana)
    password_at = service.clock.now()
    for _ in range(35):
        service.pass_time(minutes=20)
        touch(service, secret)
    raised = standing(service, levels.TWO_STEP, ("pwd", "otp", "mca"), password_at=password_at)
    _, secret = start(service, dana, raised, previous=secret)
    service.pass_time(minutes=19, seconds=59)
    assert sid(service, secret)
    service.pass_time(seconds=1)
    assert sid(service, secret) is None


def test_d20_signing_in_anew_begins_twelve_new_hours(service: Service, dana: Membership) -> None:
    """The password typed again, and a code some minutes later, is a whole sign-in: the old end is over."""
    first_sid, secret = start(service, dana)
    for _ in range(35):
        service.pass_time(minutes=20)
        touch(service, secret)
    password_at = service.clock.now()
    service.pass_time(minutes=2)
    anew = standing(service, levels.TWO_STEP, ("pwd", "otp", "mca"), password_at=password_at)
    assert start(service, dana, anew, previous=secret)[0] == first_sid
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(BrowserSession, first_sid).expires_at == service.clock.now() + timedelta(hours=12)


def touch(service: Service, secret: str) -> None:
    """What a request of this browser does."""
    with service.services.database.transaction() as tx:
        found = service.services.sessions.find(tx, secret)
        assert found is not None
        service.services.sessions.touch(found)


def test_being_seen_is_written_once_a_minute(service: Service, dana: Membership) -> None:
    """One write a minute and browser, not one a page."""
    first_sid, secret = start(service, dana)
    seen = []
    for _ in range(3):
        service.pass_time(seconds=30)
        touch(service, secret)
        with service.services.database.transaction(read_only=True) as tx:
            seen.append(tx.get_one(BrowserSession, first_sid).last_seen_at)
    assert seen[1] - seen[0] == timedelta(minutes=1)
    assert seen[2] == seen[1]


def test_a_signed_out_session_is_gone_and_is_recorded_once(service: Service, dana: Membership) -> None:
    """Ended, unusable, and one row in the trail however often it is ended (ASVS 7.4.1)."""
    first_sid, secret = start(service, dana)

    def end() -> bool:
        with service.services.database.transaction() as tx:
            return service.services.sessions.end(tx, tx.get_one(BrowserSession, first_sid), "signed_out")

    assert sorted(service.at_once(end, end, end)) == [False, False, True]
    assert sid(service, secret) is None
    assert len(service.events(Event.SESSION_ENDED)) == 1


def test_signing_out_everywhere_ends_one_persons_sessions(service: Service, dana: Membership) -> None:
    """Of a person, or of one membership; nobody else's."""
    priya = service.member(service.account("westgate"), "priya@westgate.example")
    mine, others = [start(service, dana)[1] for _ in range(3)], start(service, priya)[1]
    with service.services.database.transaction() as tx:
        assert service.services.sessions.end_all(tx, "password_changed", user_id=dana.user_id) == 3
        assert service.services.sessions.end_all(tx, "password_changed", membership_id=dana.id) == 0
    assert [sid(service, secret) for secret in mine] == [None] * 3
    assert sid(service, others)


def test_the_twenty_first_session_ends_the_oldest(service: Service, dana: Membership) -> None:
    """`per_user` of the policy (ASVS 7.1.2): by when they were last seen."""
    secrets = []
    for _ in range(20):
        secrets.append(start(service, dana)[1])
        service.pass_time(seconds=10)
    service.pass_time(minutes=1)
    touch(service, secrets[0])
    assert all(sid(service, secret) for secret in secrets)
    newest = start(service, dana)[1]
    assert [sid(service, secret) is not None for secret in secrets[:3]] == [True, False, True]
    assert sid(service, newest)


def test_the_newest_session_is_never_the_one_that_ends(service: Service, dana: Membership) -> None:
    """Also when another replica's clock is ahead, and the others seem to have been seen later."""
    others = [start(service, dana)[0] for _ in range(20)]
    with service.services.database.transaction() as tx:
        for other in others:
            tx.get_one(BrowserSession, other).last_seen_at += timedelta(seconds=30)
    assert sid(service, start(service, dana)[1])


@pytest.mark.parametrize("change", ["deactivated_at", "accepted_at", "closed_at"])
def test_whoever_may_no_longer_enter_is_no_longer_signed_in(service: Service, dana: Membership, change: str) -> None:
    """Looked up live at each request, never cached (ASVS 7.4.2)."""
    _, secret = start(service, dana)
    end_access(service, dana, change)
    assert sid(service, secret) is None


def end_access(service: Service, member: Membership, change: str) -> None:
    """Deactivate, take the acceptance back, or close the account."""
    with service.services.database.transaction() as tx:
        found = tx.get_one(Membership, member.id)
        if change == "closed_at":
            found.account.closed_at = service.clock.now()
        else:
            setattr(found, change, None if change == "accepted_at" else service.clock.now())


def test_an_edited_cookie_is_nobody(service: Service, dana: Membership) -> None:
    """ASVS 7.2: checked here, by a digest, and an empty one never matches."""
    start(service, dana)
    for secret in (None, "", "x", "0" * 64, "0" * 65, "x" * 10_000, "\0", "\ud800", "' OR 1=1 --"):
        assert sid(service, secret) is None
        assert not has_attempt(service, secret)


def test_only_digests_of_secrets_are_stored(service: Service, dana: Membership) -> None:
    """A copy of the database signs nobody in; a session's secret is not an attempt's (AZ-13)."""
    _, session = start(service, dana)
    attempt = open_attempt(service, dana)
    stored = service.everything_stored()
    assert session not in stored
    assert attempt not in stored
    assert not has_attempt(service, session)
    assert sid(service, attempt) is None


def test_a_sign_in_under_way_lasts_a_quarter_of_an_hour(service: Service, dana: Membership) -> None:
    """`attempt` of policies/sessions.yaml."""
    secret = open_attempt(service, dana)
    service.pass_time(minutes=15, seconds=-1)
    assert has_attempt(service, secret)
    service.pass_time(seconds=1)
    assert not has_attempt(service, secret)


@pytest.mark.parametrize("change", ["deactivated_at", "accepted_at", "closed_at"])
def test_a_sign_in_under_way_ends_with_the_access(service: Service, dana: Membership, change: str) -> None:
    """No code is sent to, no device remembered for, and no session written about somebody who may not enter."""
    secret = open_attempt(service, dana)
    end_access(service, dana, change)
    assert not has_attempt(service, secret)


def test_a_sign_in_under_way_ends_when_its_password_is_changed(service: Service, dana: Membership) -> None:
    """Whoever proved the old password has proved nothing any more (domain D15); the new one begins a new sign-in."""
    secret = open_attempt(service, dana)
    service.pass_time(minutes=1)
    with service.services.database.transaction() as tx:
        tx.get_one(User, dana.user_id).password_changed_at = service.clock.now()
    assert not has_attempt(service, secret)
    assert has_attempt(service, open_attempt(service, dana))


def test_lg_11_a_parked_request_belongs_to_the_browser_that_parked_it(service: Service, dana: Membership) -> None:
    """Its id alone, as in a link, opens nothing; nor does another browser's secret, or none."""
    sessions, secret = service.services.sessions, new_secret()
    with service.services.database.transaction() as tx:
        parked = sessions.park(tx, browser_secret=secret, continue_to="/go?request={id}", params={})
        assert parked.continue_to == f"/go?request={parked.id}"
    with service.services.database.transaction(read_only=True) as tx:
        assert sessions.parked(tx, parked.id, browser_secret=secret) is not None
        for request_id, browser in (
            (parked.id, None),
            (parked.id, ""),
            (parked.id, new_secret()),
            (None, secret),
            ("", secret),
            ("0" * 32, secret),
            (f"{parked.id}x", secret),
            ("\0" * 32, secret),
            ("\ud800" * 32, secret),
        ):
            assert sessions.parked(tx, request_id, browser_secret=browser) is None


def test_a_parked_request_waits_for_an_hour(service: Service) -> None:
    """Longer than a sign-in may take, so that one can be begun again (security.md 4.4, expired tab)."""
    sessions, secret = service.services.sessions, new_secret()
    with service.services.database.transaction() as tx:
        parked = sessions.park(tx, browser_secret=secret, continue_to="/", params={})
    for minutes, found in ((59, True), (1, False)):
        service.pass_time(minutes=minutes)
        with service.services.database.transaction(read_only=True) as tx:
            assert (sessions.parked(tx, parked.id, browser_secret=secret) is not None) == found


def test_d31_a_browser_is_known_per_person_and_only_a_second_one_is_new(service: Service, dana: Membership) -> None:
    """The first browser of a person is no news; the next is, once; what is known of one person is nothing of another."""
    browsers = service.services.browsers
    priya = service.member(service.account("westgate"), "priya@westgate.example")
    with service.services.database.transaction() as tx:
        assert [browsers.note(tx, dana.user_id, browser) for browser in ("a", "a", "b", "b")] == [
            False,
            False,
            True,
            False,
        ]
        assert browsers.is_known(tx, dana.user_id, "a")
        assert not browsers.is_known(tx, priya.user_id, "a")
        assert not browsers.is_known(tx, dana.user_id, "c")
        assert not browsers.is_known(tx, dana.user_id, None)


def test_what_is_over_is_swept_and_what_lives_stays(service: Service, dana: Membership) -> None:
    """Attempts and requests when they ran out, sessions after a month, browsers after a year."""
    s = service.services
    _, session = start(service, dana)
    open_attempt(service, dana)
    with s.database.transaction() as tx:
        s.sessions.park(tx, browser_secret="b", continue_to="/", params={})
        s.browsers.note(tx, dana.user_id, "b")
    left = []
    for days in (0, 1, 40, 410):
        with s.database.transaction() as tx:
            for part in (s.sessions, s.attempts, s.browsers):
                part.sweep(tx, now=service.clock.now() + timedelta(days=days))
            tables = (LoginAttempt, SignInRequest, BrowserSession, KnownBrowser)
            left.append([len(tx.execute(select(table)).all()) for table in tables])
    assert left == [[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert sid(service, session) is None
