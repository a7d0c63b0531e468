"""A folder for a key ring, a clock that stands still, and processes that open the ring."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from authsvc.clock import FixedClock
from authsvc.crypto.seal import Sealer
from authsvc.keyring.ring import KeyRing
from authsvc.keyring.schedule import RotationRules

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
