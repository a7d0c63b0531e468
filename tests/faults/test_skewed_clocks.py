"""A replica whose clock differs as far as /readyz lets it (security.md 4.5, P10): nobody is refused for it.

The other replica's clock, phones and services are right; each request goes to the other replica.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from authsvc.accounts.models import Membership, User
from authsvc.clock import FixedClock
from authsvc.mfa.models import AuthenticatorApp
from authsvc.resource_server import TokenVerifier
from authsvc.web.readiness import CLOCK_TOLERANCE
from tests.protocol.portal import Portal, body
from tests.support.assertions import GRANT, Signer, register, send
from tests.support.journey import Person
from tests.support.links import NEW_PASSWORD, newest_link
from tests.support.pair import InTurn, Replicas, replicas_on
from tests.support.service import API, CLIENT_SECRET, DANA, ISSUER, PASSWORD

PRIYA = "priya@northgate.example"
SIGNED_IN = "You’re signed in"


@pytest.fixture(params=[1, -1], ids=["ahead", "behind"])
def replicas(
    request: pytest.FixtureRequest, database_url: str, clock: FixedClock, ring_folder: Path
) -> Iterator[Replicas]:
    """The first is wrong, the second right, as `clock` is."""
    clock.advance(timedelta(hours=1))  # the keys were made at START, so both know them
    wrong, right = FixedClock(clock.now() + request.param * CLOCK_TOLERANCE), FixedClock(clock.now())
    with replicas_on(database_url, ring_folder, wrong, right) as both:
        yield both


class Api:
    """Services with the kit, one for each clock there is."""

    def __init__(self, replicas: Replicas, right: FixedClock) -> None:
        self.replicas, self.right, self.passed = replicas, right, 0
        clocks = [right, *(replica.clock for replica in replicas.both)]
        self.verifiers = [
            TokenVerifier(ISSUER, API, fetch=self.fetch, now=lambda clock=clock: clock.now().timestamp())
            for clock in clocks
        ]

    def fetch(self, url: str) -> tuple[bytes, dict[str, str]]:
        """From either replica."""
        answer = self.replicas.machine().get(url.removeprefix(ISSUER), base_url=ISSUER)
        return answer.get_data(), dict(answer.headers)

    def take(self, token: str) -> None:
        """Each of them accepts it."""
        for verify in self.verifiers:
            verify(token)
            self.passed += 1


def wait(replicas: Replicas, right: FixedClock, **amount: float) -> None:
    """All three clocks go on."""
    replicas.pass_time(**amount)
    right.advance(timedelta(**amount))


def tokens_and_clients(replicas: Replicas, right: FixedClock, api: Api) -> Person:
    """A sign-in with a code that is remembered, and all that its tokens are good for, until their last second."""
    portal = Portal.on(replicas, mfa="email")
    tokens = portal.tokens(method="email", remember=True)
    for turn in range(4):
        api.take(tokens["access_token"])
        for _ in range(2):
            assert portal.userinfo(tokens["access_token"]).status_code == 200
            asked = replicas.machine().post(
                "/oauth/introspect",
                base_url=ISSUER,
                data={"token": tokens["access_token"]},
                auth=("ims-portal", CLIENT_SECRET),
            )
            assert asked.json["active"] is True
        parent = tokens["refresh_token"]
        tokens = body(portal.refresh(parent))
        if turn % 2:  # so the calls after it meet the other replica
            assert body(portal.refresh(parent))["refresh_token"] == tokens["refresh_token"]
        wait(replicas, right, seconds=70)
    fresh = body(portal.refresh(tokens["refresh_token"]))["access_token"]
    wait(replicas, right, seconds=269)  # 300 s, less the 30 s of a replica behind, and one
    api.take(fresh)
    signer = Signer()
    register(replicas, signer)
    for at in (*replicas.both, *replicas.both[::-1]):
        assert send(replicas, **GRANT, **signer.form(at, "robot")).status_code == 200
    wait(replicas, right, minutes=5)
    return portal.dana


def pages(replicas: Replicas, right: FixedClock, dana: Person) -> None:
    """The remembered device, a code of an app that goes right, a reset, an invitation."""
    dana.open("/sign-out")
    dana.submit(form=0)
    dana.open("/sign-in")
    assert dana.submit(email=DANA, password=PASSWORD).h1 == SIGNED_IN, "the device was not recognised"
    assert dana.open("/profile").h1 == "My Profile"

    account = replicas.account("westgate", mfa="totp")
    priya, s, key = replicas.member(account, PRIYA), replicas.services, pyotp.random_base32()
    sealed = s.apps.sealer.seal(key.encode(), where=f"authenticator_app/secret/{priya.user_id}")
    with s.database.transaction() as tx:
        now = right.now() - timedelta(days=1)
        app: dict[str, Any] = {"secret_sealed": sealed, "created_at": now, "confirmed_at": now, "last_step": 0}
        tx.add(AuthenticatorApp(user_id=priya.user_id, **app))
    for _ in range(2):
        person = replicas.person(address="203.0.113.9")
        person.open("/sign-in")
        person.submit(email=PRIYA, password=PASSWORD)
        assert person.submit(code=pyotp.TOTP(key).at(right.now())).h1 == SIGNED_IN, person.here.text
        wait(replicas, right, seconds=30)

    asks = replicas.person(address="203.0.113.10")
    asks.open("/forgot")
    asks.submit(email=PRIYA)
    asks.open(newest_link(replicas, "reset", to=PRIYA))
    assert asks.submit(password=NEW_PASSWORD).h1 == "Sign in"

    joins = replicas.member(account, "new@westgate.example", password=None, verified=False, phone=None, accepted=False)
    with s.database.transaction() as tx:
        by = tx.get_one(User, priya.user_id).id
        invitation = s.invitations.issue(tx, tx.get_one(Membership, joins.id), invited_by=by)
        s.courier.send_invitation(tx, invitation.id)
    guest = replicas.person(address="203.0.113.11")
    guest.open(newest_link(replicas, "invite", to="new@westgate.example"))
    assert not re.search("expired|not work", guest.submit(name="New", password=NEW_PASSWORD).text)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_promise_p10_nobody_is_refused_for_a_clock(replicas: Replicas, clock: FixedClock) -> None:
    """P10: +-30 s skew, 0 false refusals: codes, remembered devices, links, tokens here, elsewhere and in the kit."""
    api = Api(replicas, clock)
    dana = tokens_and_clients(replicas, clock, api)
    pages(replicas, clock, dana)
    in_turn: Any = replicas.app
    assert isinstance(in_turn, InTurn)
    refused = [(path, status) for path, status in in_turn.answered if not status.startswith(("2", "3"))]
    print(  # noqa: T201 - the figure
        f"\nP10: clocks {CLOCK_TOLERANCE.seconds} s apart: {len(in_turn.answered)} requests and {api.passed} tokens"
        f" at services, {len(refused)} refused"
    )
    assert refused == []
    assert [event.name for event in replicas.events() if re.search("refused|reused|failed|rejected", event.name)] == []
