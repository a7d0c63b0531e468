"""Keys rotate and are withdrawn while services check tokens (security.md P9): nobody notices, and no forgery passes.

Three validators of the kit fetch over real HTTP from the whole service, whose keys lie in the database. 200 tokens a second
go through them, good and bad ones in turn, while the clock stands at each instant of a key's life and moves past it.
"""

from __future__ import annotations

import itertools
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from authsvc.clock import FixedClock
from authsvc.crypto.seal import Sealer
from authsvc.db import Database
from authsvc.keyring.ring import KeyRing
from authsvc.keyring.rules import rotation_rules
from authsvc.keyring.schedule import entry_of
from authsvc.resource_server import TokenError, TokenVerifier
from tests.support.pair import on_port
from tests.support.processes import free_port, poll
from tests.support.service import API, CLIENT_SECRET, SECRET, Service

PER_SECOND = 200
#: Tokens through the validators at each instant: every kind meets every validator several times.
AT_EACH_INSTANT = 48
SECOND = timedelta(seconds=1)
#: The kit's: no second fetch begins within it.
COOL_DOWN_S = 30.0


@dataclass
class World:
    """Which tokens must pass now and which must not. One that may do either stands in neither."""

    good: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)

    def turns(self) -> list[tuple[str, str]]:
        """(kind, token): each good one beside each bad one; the bad ones alone where no good one can be told."""
        good, bad = [("good", token) for token in self.good], list(self.bad.items())
        if not good:
            return bad
        longest = max(len(good), len(bad))
        sides = [itertools.islice(itertools.cycle(side), longest) for side in (good, bad)]
        return [turn for pair in zip(*sides, strict=True) for turn in pair]


class Validator:
    """A service's copy of the kit under load: a thread, what it fetched and when, and what it made of the tokens."""

    def __init__(self, issuer: str, clock: FixedClock) -> None:
        self.clock, self.fetched_at = clock, list[float]()
        self.verify = TokenVerifier(issuer, API, fetch=self.fetch, now=self.now, monotonic=self.now)
        self.seen: Counter[str] = Counter()
        self.mistakes: list[str] = []
        #: Held for each token, and by whoever moves the clock: no token is judged by two clocks.
        self.at_rest = threading.Lock()

    def now(self) -> float:
        """Seconds, on the clock of the test."""
        return self.clock.now().timestamp()

    def fetch(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        """Over HTTP, and written down."""
        if url.endswith("/jwks"):
            self.fetched_at.append(self.now())
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read(), dict(answer.headers)

    def judge(self, kind: str, token: str) -> None:
        """One request."""
        try:
            self.verify(token)
            accepted, reason = True, ""
        except TokenError as refused:
            accepted, reason = False, refused.reason
        self.seen[kind] += 1
        if accepted != (kind == "good"):
            self.mistakes.append(
                f"{self.clock.now():%d %H:%M:%S} {kind} {'accepted' if accepted else 'refused: ' + reason}"
            )


class Load:
    """PER_SECOND tokens a second over the validators, for as long as it runs."""

    def __init__(self, validators: list[Validator]) -> None:
        self.validators, self.world = validators, World()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(validator,)) for validator in validators]
        self.elapsed_s = 0.0

    @property
    def judged(self) -> int:
        """How many tokens went through."""
        return sum(sum(validator.seen.values()) for validator in self.validators)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Begin, and end."""
        start = time.monotonic()
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(20)
            self.elapsed_s = time.monotonic() - start

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """No token is under way."""
        for validator in self.validators:
            validator.at_rest.acquire()
        try:
            yield
        finally:
            for validator in self.validators:
                validator.at_rest.release()

    def linger(self) -> None:
        """Let AT_EACH_INSTANT more tokens through."""
        goal = self.judged + AT_EACH_INSTANT
        poll(lambda: self.judged >= goal, 30, what="the load")

    def _run(self, validator: Validator) -> None:
        due = time.monotonic()
        for number in itertools.count():
            due += len(self.validators) / PER_SECOND
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            with validator.at_rest:
                turns = self.world.turns()
                validator.judge(*turns[number % len(turns)])


class Scene:
    """The service, its ring, and the hands that move clock and tokens together."""

    def __init__(self, service: Service, ring: KeyRing) -> None:
        self.service, self.ring, self.clock = service, ring, service.clock
        self.rules = rotation_rules(service.services.policies.tokens)
        self.load = Load([Validator(service.services.settings.issuer, self.clock) for _ in range(3)])
        self.issued: list[tuple[str, str, float]] = []
        #: From when each withdrawn key must be refused.
        self.withdrawn: dict[str, datetime] = {}
        self.knocks = True
        self.stranger = ECKey.generate_key("P-256")

    def issue(self) -> None:
        """A token from the token endpoint, as a client gets it."""
        answer = self.service.token(
            client=("robot", CLIENT_SECRET), grant_type="client_credentials", scope="investors.read"
        )
        assert answer.status_code == 200, answer.text
        token = answer.json["access_token"]
        self.issued.append((token, self.ring.active("ES256").kid, self.clock.now().timestamp() + 300))

    def present(self) -> World:
        """Good: not expired, of a key that was not withdrawn. Bad: every other kind there is."""
        now, kid = self.clock.now().timestamp(), self.ring.active("ES256").kid
        good = [token for token, signer, ends in self.issued if now < ends and signer not in self.withdrawn]
        # The validators allow 60 s of skew; in between a token may do either.
        expired = [token for token, _, ends in self.issued if now >= ends + 60]
        gone = [
            token
            for token, signer, ends in self.issued
            if signer in self.withdrawn and self.clock.now() >= self.withdrawn[signer] and now < ends + 60
        ]
        bad = {kind: tokens[-1] for kind, tokens in (("expired", expired), ("withdrawn key", gone)) if tokens}
        claims = jwt.decode(self.issued[-1][0], self.ring.verification_key_set(), algorithms=["ES256"]).claims
        if not self.knocks:
            bad.clear()  # what is left of earlier keys names one that is in no set
        else:
            unknown = {"alg": "ES256", "typ": "at+jwt", "kid": f"nobody-{now}"}
            bad["unknown key"] = jwt.encode(unknown, claims, self.stranger)
        bad["forged"] = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims, self.stranger)
        return World(good[-6:], bad)

    def move(self, by: timedelta, *, issues: bool = True) -> None:
        """To another instant, with a new token, and let the load meet it."""
        with self.load.at_rest():
            self.clock.advance(by)
            if issues:
                self.issue()
            self.load.world = self.present()
        self.load.linger()

    def to(self, instant: datetime) -> timedelta:
        """How far away an instant is."""
        return instant - self.clock.now()

    def withdraw(self) -> None:
        """The key that signs, under load. Until every key set is newer, its tokens may pass or not."""
        kid = self.ring.active("ES256").kid
        with self.load.at_rest():
            self.withdrawn[kid] = self.clock.now() + self.rules.jwks_max_age
            self.load.world = self.present()
        self.load.linger()
        self.ring.withdraw(kid)
        self.load.linger()


@pytest.fixture
def scene(database_url: str, clock: FixedClock) -> Iterator[Scene]:
    """The service on real HTTP with a ring in its database."""
    port, database = free_port(), Database(database_url)
    ring = KeyRing.open("sql:", sealer=Sealer([SECRET], "keyring"), clock=clock, database=database)
    ring.create_first_keys(rsa_bits=2048)
    service = Service.on(database_url, clock=clock, ring=ring, issuer=f"http://127.0.0.1:{port}")
    service.client("robot", grant_types=["client_credentials"], scope="investors.read")
    with on_port(service, port):
        yield Scene(service, ring)
    service.services.database.dispose()
    database.dispose()


def test_nobody_notices_a_rotation_or_a_withdrawal(scene: Scene) -> None:
    """Zero valid tokens refused, zero invalid accepted, at most one fetch of the key set a validator and 30 s."""
    load, ring = scene.load, scene.ring
    scene.issue()
    load.world = scene.present()
    with load.running():
        load.linger()

        # A rotation, past each of its instants.
        [rotation] = ring.rotate("ES256", rules=scene.rules)
        assert rotation.predecessor is not None
        for _ in range(8):
            scene.move(5 * SECOND)
        scene.move(scene.to(rotation.successor.use_from) - SECOND)
        scene.move(SECOND)
        assert ring.active("ES256").kid == rotation.successor.kid
        scene.move(SECOND)
        old = entry_of(ring.entries(), rotation.predecessor.kid)
        assert old.publish_until is not None
        scene.move(297 * SECOND, issues=False)  # the last second of the last token of the old key
        scene.move(scene.to(old.publish_until) - SECOND)
        scene.move(SECOND)
        scene.move(SECOND)

        # A withdrawal while the next key is published: it signs at once, and everybody has it.
        [successor] = ring.rotate("ES256", rules=scene.rules)
        scene.move(scene.rules.lead + 10 * SECOND)
        scene.withdraw()
        assert ring.active("ES256").kid == successor.successor.kid
        scene.move(SECOND * 0)
        scene.move(scene.rules.jwks_max_age - 10 * SECOND)
        scene.move(10 * SECOND)
        scene.move(10 * SECOND)

        # A withdrawal without one: the new key is new to everybody. Ids of no key, an earlier withdrawn one's too, would use
        # up the one look in 30 s; keys/README.md says how not to depend on it.
        scene.knocks = False
        scene.move(timedelta(seconds=COOL_DOWN_S + 1))
        scene.withdraw()
        scene.move(SECOND * 0)
        # Whoever has met a token of the new key has a key set without the old one.
        scene.withdrawn = dict.fromkeys(scene.withdrawn, scene.clock.now())
        scene.knocks = True
        scene.move(SECOND)
        scene.move(SECOND)
        scene.move(scene.rules.jwks_max_age)

    seen = sum((validator.seen for validator in load.validators), Counter[str]())
    mistakes = [mistake for validator in load.validators for mistake in validator.mistakes]
    gaps = [later - sooner for each in load.validators for sooner, later in itertools.pairwise(each.fetched_at)]
    print(  # noqa: T201 - the figure
        f"\nP9: {load.judged} tokens in {load.elapsed_s:.1f} s ({load.judged / load.elapsed_s:.0f} a second): {dict(seen)};"
        f" valid refused {sum('good' in each for each in mistakes)},"
        f" invalid accepted {sum('accepted' in each for each in mistakes)};"
        f" key set fetched {[len(each.fetched_at) for each in load.validators]} times,"
        f" {min(gaps):.0f} s apart at least"
    )
    assert mistakes == []
    assert min(gaps) >= COOL_DOWN_S
    assert seen.keys() == {"good", "expired", "forged", "unknown key", "withdrawn key"}
    assert all(each.verify(scene.load.world.good[-1]) for each in load.validators)
