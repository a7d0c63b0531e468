"""What works once, and fifty who use it at the same moment at two replicas (security.md 4.5, P2).

Each replica has a pool of its own on one PostgreSQL, each of the fifty a connection. The promise's 10,000 races are
shortened by 7: 200 of each of the seven kinds with `make faults`, one of each in the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select

from authsvc.accounts.invitations import Accepted
from authsvc.accounts.models import Account, Membership, User
from authsvc.clock import FixedClock
from authsvc.db import DatabaseUnavailable
from authsvc.mfa.challenge import CodeOutcome
from authsvc.mfa.enrolment import OwnCode
from authsvc.mfa.models import AuthenticatorApp
from authsvc.oauth.models import TokenFamily
from authsvc.sessions.levels import PASSWORD
from authsvc.sessions.models import BrowserSession
from tests.protocol.portal import Portal
from tests.support.journey import CHROME
from tests.support.pair import Replicas, replicas_on
from tests.support.rounds import rounds
from tests.support.service import API, CALLBACK, DANA, Service

AT_ONCE = 50
RACES = rounds(1, full=200)
#: One try at one replica: whether it was let through.
Spend = Callable[[Service], bool]


@pytest.fixture
def replicas(database_url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Replicas]:
    """With a connection for each thread."""
    with replicas_on(database_url, ring_folder, clock, clock, threads=AT_ONCE // 2) as both:
        yield both


def authorization_codes(service: Service) -> Iterator[Spend]:
    """One session, and a family and a code for each race."""
    portal = Portal.on(service)
    portal.sign_in()
    while True:
        with service.services.database.transaction() as tx:
            session = tx.scalars(select(BrowserSession)).one()
            family: TokenFamily = service.services.families.begin(
                tx, session, client_id="ims-portal", scope="openid", resource=API, nonce=None, acr=PASSWORD
            )
            code = service.services.server.codes.issue(tx, family, redirect_uri=CALLBACK, code_challenge="x" * 43)

        def spend(at: Service, code: str = code) -> bool:
            with at.services.database.transaction() as tx:
                return at.services.server.codes.consume(tx, code, client_id="ims-portal") is not None

        yield spend


def emailed_codes(service: Service) -> Iterator[Spend]:
    """One person, and a challenge for each race."""
    dana = service.member(service.account(mfa="email"))
    while True:
        with service.services.database.transaction() as tx:
            challenge = service.services.codes.issue(
                tx,
                "a sign-in",
                user_id=dana.user_id,
                account_id=dana.account_id,
                purpose="sign_in",
                channel="email",
                target=DANA,
            )
            typed = service.services.codes.code(challenge)

        def spend(at: Service, challenge_id: str = challenge.id, typed: str = typed) -> bool:
            with at.services.database.transaction() as tx:
                return at.services.codes.verify(tx, challenge_id, typed=typed).outcome is CodeOutcome.ACCEPTED

        yield spend


def reset_links(service: Service) -> Iterator[Spend]:
    """One person, and the newest link for each race."""
    dana = service.member(service.account())
    while True:
        with service.services.database.transaction() as tx:
            link = service.services.links.issue(tx, tx.get_one(User, dana.user_id), "reset")
        secret = service.services.links.secret("reset", link.id)

        def spend(at: Service, secret: str = secret) -> bool:
            with at.services.database.transaction() as tx:
                return at.services.links.use(tx, secret, "reset") is not None

        yield spend


def invitations(service: Service) -> Iterator[Spend]:
    """Somebody new for each race."""
    account: Account = service.account()
    number = 0
    while True:
        number += 1
        email = f"p{number}@northgate.example"
        waits = service.member(account, email, password=None, verified=False, phone=None, accepted=False)
        with service.services.database.transaction() as tx:
            issued = service.services.invitations.issue(tx, tx.get_one(Membership, waits.id), invited_by=None)
        token = service.services.invitations.token(issued.id)

        def spend(at: Service, token: str = token) -> bool:
            with at.services.database.transaction() as tx:
                return isinstance(at.services.joining.accept(tx, token, name="P", password_hash="$argon2id$"), Accepted)

        yield spend


def with_app(service: Service) -> tuple[Membership, str]:
    """Somebody with an authenticator app, and its key."""
    dana, s, key = service.member(service.account(mfa="totp")), service.services, pyotp.random_base32()
    sealed = s.apps.sealer.seal(key.encode(), where=f"authenticator_app/secret/{dana.user_id}")
    now = service.clock.now()
    with s.database.transaction() as tx:
        tx.add(
            AuthenticatorApp(user_id=dana.user_id, secret_sealed=sealed, created_at=now, confirmed_at=now, last_step=0)
        )
    return dana, key


def app_codes(service: Service) -> Iterator[Spend]:
    """One app, and its next code for each race."""
    dana, key = with_app(service)
    while True:
        service.pass_time(seconds=30)
        typed = pyotp.TOTP(key).at(service.clock.now())

        def spend(at: Service, typed: str = typed) -> bool:
            with at.services.database.transaction() as tx:
                return at.services.apps.verify(tx, dana.user_id, typed=typed) is OwnCode.ACCEPTED

        yield spend


def recovery_codes(service: Service) -> Iterator[Spend]:
    """One person, and a new list for each race."""
    dana, _ = with_app(service)
    while True:
        with service.services.database.transaction() as tx:
            typed = service.services.recovery_codes.make(tx, dana.user_id, account_id=dana.account_id)[0]

        def spend(at: Service, typed: str = typed) -> bool:
            with at.services.database.transaction() as tx:
                used = at.services.recovery_codes.use(
                    tx, dana.user_id, typed=typed, account_id=dana.account_id, browser=CHROME
                )
            return used is OwnCode.ACCEPTED

        yield spend


def remembered_devices(service: Service) -> Iterator[Spend]:
    """A device for each race. Within the grace all are spared the code; the renewed secret is handed out once."""
    dana = service.member(service.account(mfa="email"))
    while True:
        with service.services.database.transaction() as tx:
            member = tx.get_one(Membership, dana.id)
            _, cookie = service.services.devices.remember(
                tx, member, mfa_amr=["pwd", "otp", "mfa"], browser="Chrome on macOS", cookie=None
            )

        def spend(at: Service, cookie: str = cookie) -> bool:
            with at.services.database.transaction() as tx:
                member = tx.get_one(Membership, dana.id)
                device = at.services.devices.recognise(tx, member, cookie)
                assert device is not None, "a parallel tab is asked for no code"
                return at.services.devices.use(tx, device, member, cookie) is not None

        yield spend


def tried(spend: Spend, at: Service) -> bool | None:
    """One try; None for one that is told to come again. Fifty behind one account's lock can be too many for lock_timeout."""
    try:
        return spend(at)
    except DatabaseUnavailable:
        return None


KINDS = [
    *(authorization_codes, emailed_codes, reset_links, invitations),
    *(app_codes, recovery_codes, remembered_devices),
]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_promise_p2_of_fifty_at_two_replicas_one_is_let_through(
    replicas: Replicas, kind: Callable[[Service], Iterator[Spend]]
) -> None:
    """P2: 0 double spends, and nobody who came in time is turned away altogether: exactly one, each time."""
    things, let_through, busy = kind(replicas), [], 0
    for _ in range(RACES):
        spend = next(things)
        tries = [partial(tried, spend, replica) for replica in replicas.both] * (AT_ONCE // 2)
        answers = replicas.at_once(*tries)
        let_through.append(answers.count(True))
        busy += answers.count(None)
    print(  # noqa: T201 - the figure
        f"\nP2: {kind.__name__}: {RACES} races of {AT_ONCE} over 2 replicas,"
        f" {sum(count > 1 for count in let_through)} spent twice, {let_through.count(0)} spent by nobody,"
        f" {busy} tries answered 503"
    )
    assert let_through == [1] * RACES
