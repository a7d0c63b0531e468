"""A folder for a key ring, a clock that stands still, and processes that open the ring."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from joserfc import jwt
from joserfc.errors import JoseError
from werkzeug.test import TestResponse

from authsvc.cli import main
from authsvc.cli.context import LazyServices
from authsvc.clock import FixedClock
from authsvc.crypto.seal import Sealer
from authsvc.db import Database
from authsvc.keyring.ring import KeyRing
from authsvc.keyring.schedule import KeyEntry, KeyState, RotationRules, RotationUnsafe, active, state
from authsvc.keyring.table import RingTable
from tests.support.journey import Person
from tests.support.service import DANA, ISSUER, PASSWORD, Service, pkce
from tests.support.service import SECRET as SERVICE_SECRET

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULES = RotationRules(
    jwks_max_age=timedelta(minutes=5),
    clock_skew=timedelta(minutes=1),
    longest_token=timedelta(minutes=5),
    publish_ahead=timedelta(days=14),
)
SECRET, OTHER_SECRET = "first-secret-of-thirty-two-characters", "another-secret-of-thirty-two-characters"
#: Production makes 3072 bits, which takes four times as long.
SMALL_RSA_BITS = 2048


@dataclass
class Home:
    """Where a ring lies."""

    path: Path
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON))

    @property
    def url(self) -> str:
        """As AUTHSVC_KEYS_URL has it."""
        return f"dir:{self.path}"

    def open(self, *secrets: str) -> KeyRing:
        """As a new process opens it: nothing is remembered."""
        return KeyRing.open(self.url, sealer=Sealer(secrets or [SECRET], "keyring"), clock=self.clock)

    def with_es256(self) -> KeyRing:
        """An open ring with one ES256 key."""
        ring = self.open()
        ring.rotate("ES256", rules=RULES)
        return ring

    def key_file(self) -> Path:
        """The sealed file of the only key."""
        [found] = self.path.glob("*.sealed")
        return found


@dataclass
class Table:
    """A ring in a database, and processes that open it: each with connections of its own."""

    database_url: str
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON))
    url: str = "sql:"
    aws_endpoint_url: str = ""
    databases: list[Database] = field(default_factory=list)

    def open(self, *secrets: str) -> KeyRing:
        """As a new process opens it: nothing is remembered."""
        self.databases.append(Database(self.database_url, pool=2))
        return KeyRing.open(
            self.url,
            sealer=Sealer(secrets or [SECRET], "keyring"),
            clock=self.clock,
            database=self.databases[-1],
            aws_endpoint_url=self.aws_endpoint_url,
        )

    def with_es256(self) -> KeyRing:
        """An open ring with one ES256 key."""
        ring = self.open()
        ring.rotate("ES256", rules=RULES)
        return ring

    def close(self) -> None:
        """Let go of every connection."""
        for database in self.databases:
            database.dispose()


def signed(ring: KeyRing, algorithm: str = "ES256") -> str:
    """A token as the service makes it."""
    return jwt.encode({"alg": algorithm}, {"sub": "u"}, ring.active_as_key_set(algorithm))


def verifies(ring: KeyRing, token: str) -> bool:
    """Whether the published keys say that it is ours."""
    try:
        jwt.decode(token, ring.verification_key_set(), algorithms=["ES256", "RS256"])
    except (JoseError, ValueError):
        return False
    return True


def assert_one_schedule(entries: Sequence[KeyEntry], *, keys: int, now: datetime) -> None:
    """`keys` keys, and exactly one that signs at any instant from now on."""
    assert len(entries) == keys
    for ahead in (timedelta(0), RULES.publish_ahead - timedelta(seconds=1), RULES.publish_ahead, timedelta(days=9000)):
        signing = [entry for entry in entries if state(entry, now + ahead) is KeyState.ACTIVE]
        assert signing == [active(entries, "ES256", now + ahead)]


def rotates(ring: KeyRing) -> bool:
    """Whether this one of many rotated."""
    try:
        ring.rotate("ES256", rules=RULES)
    except RotationUnsafe:
        return False
    return True


@dataclass
class Operator:
    """The service with a ring of its own, and somebody at its command line, both by one clock."""

    service: Service
    ring: KeyRing
    environment: dict[str, str]

    @classmethod
    def of(cls, database_url: str, clock: FixedClock, *, keys_url: str = "sql:") -> Operator:
        """An installation whose first keys are made."""
        database = Database(database_url, pool=2)
        ring = KeyRing.open(keys_url, sealer=Sealer([SERVICE_SECRET], "keyring"), clock=clock, database=database)
        ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)
        environment = {
            "AUTHSVC_DATABASE_URL": database_url,
            "AUTHSVC_KEYS_URL": keys_url,
            "AUTHSVC_SECRET": SERVICE_SECRET,
            "AUTHSVC_ISSUER": ISSUER,
            "AUTHSVC_LOG_LEVEL": "error",
        }
        return cls(Service.on(database_url, clock=clock, ring=ring), ring, environment)

    def run(self, *arguments: str, answer: str = "", **environment: str) -> Result:
        """`authsvc ...`, at the instant of the service's clock; `answer` is typed when it asks."""
        needs = LazyServices()
        needs.clock = self.service.clock
        command, *rest = arguments
        result = CliRunner().invoke(
            main.commands[command], rest, obj=needs, env={**self.environment, **environment}, input=answer
        )
        needs.close()
        return result

    def read(self, *arguments: str) -> dict[str, Any]:
        """The JSON answer of a command that succeeds."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    def sign_in(self, person: Person, email: str = DANA) -> dict[str, Any]:
        """Somebody comes from the portal, enters a code, has the device remembered; answers their tokens."""
        verifier, challenge = pkce()
        person.open("/oauth/authorize", **self.service.authorization_request(challenge))
        person.submit(email=email, password=PASSWORD)
        person.submit(code=self.service.code_for(email), remember="1")
        return self.service.redeem(person, verifier)

    def refresh(self, tokens: dict[str, Any]) -> TestResponse:
        """Use a refresh token."""
        return self.service.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    def close(self) -> None:
        """Let go of every connection."""
        self.service.dispose()
        home = self.ring.home
        if isinstance(home, RingTable):
            home.database.dispose()
