"""Rotation by the worker, rotation in an emergency, and what readiness says: through the service as it runs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from authsvc.app import make_worker
from authsvc.clock import FixedClock
from authsvc.db import Database
from authsvc.keyring.automatic import RotateWhenDue
from authsvc.keyring.models import SigningKeyRow
from authsvc.keyring.ring import RingIsEmpty
from authsvc.opening import open_ring
from authsvc.services import build
from authsvc.settings import Settings
from tests.support.key_ring import SERVICE_SECRET, SMALL_RSA_BITS, Operator


@pytest.fixture
def operator(database_url: str, clock: FixedClock) -> Iterator[Operator]:
    """An installation whose ring lies in its database."""
    made = Operator.of(database_url, clock)
    yield made
    made.close()


def care(operator: Operator) -> RotateWhenDue:
    """The worker's chore, with small keys."""
    s = operator.service.services
    return RotateWhenDue(s.ring, s.policies.tokens, s.database, s.audit, rsa_bits=SMALL_RSA_BITS)


def test_the_worker_rotates_when_the_policy_says_so(operator: Operator) -> None:
    """Every 90 days, published 14 days ahead; both algorithms; a row each; done again it does nothing."""
    operator.service.pass_time(days=75)
    care(operator)()
    assert len(operator.ring.entries()) == 2
    operator.service.pass_time(days=1)
    care(operator)()
    care(operator)()
    keys = operator.read("keys", "list")["keys"]
    assert [(key["algorithm"], key["state"]) for key in keys] == [
        ("ES256", "active"),
        ("RS256", "active"),
        ("ES256", "published"),
        ("RS256", "published"),
    ]
    assert {key["use_from"] for key in keys[2:]} == {"2027-02-20T21:31:00Z"}
    events = operator.service.events("key.rotated")
    assert [(event.fields["algorithm"], event.fields["cause"]) for event in events] == [
        ("ES256", "policy"),
        ("RS256", "policy"),
    ]
    operator.service.pass_time(days=14)
    assert operator.ring.active("ES256").kid == keys[2]["kid"]


def test_the_worker_has_the_chore() -> None:
    """It is a part of every worker, embedded ones too."""
    source = Path(make_worker.__code__.co_filename).read_text()
    assert 'Chore("rotate_keys"' in source


def test_replicas_whose_workers_wake_together_rotate_once(operator: Operator) -> None:
    """Each with a ring of its own; the others find it done and fail nobody."""
    operator.service.pass_time(days=76)
    others = [Operator.of(operator.environment["AUTHSVC_DATABASE_URL"], operator.service.clock) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: care(each)(), [operator, *others]))
    operator.service.pass_time(seconds=10)
    assert len(operator.ring.entries()) == 4
    assert len(operator.service.events("key.rotated")) == 2
    for each in others:
        each.close()


def test_a_ring_that_cannot_be_changed_stops_no_worker(operator: Operator) -> None:
    """Logged and tried again: the present keys sign on."""
    operator.service.pass_time(days=76)
    with operator.service.services.database.transaction() as tx:
        tx.execute(update(SigningKeyRow).values(sealed="AAAA", revision=7))
    care(operator)()
    assert operator.ring.active("ES256")


def test_a_rotation_now_says_what_it_breaks_and_asks(operator: Operator) -> None:
    """For whom new tokens fail and for how long; no is no."""
    refused = operator.run("keys", "rotate", "--alg", "ES256", "--now", answer="n\n")
    assert refused.exit_code == 1
    assert "Any other one refuses new tokens for up to 6 minutes. Tokens of the old key stay valid." in refused.stderr
    assert "Rotate now? [y/N]" in refused.stderr
    assert len(operator.ring.entries()) == 2
    done = operator.run("keys", "rotate", "--alg", "ES256", "--now", answer="y\n")
    assert done.exit_code == 0
    assert "It is published now, but not every verifier has it in time." in done.stdout
    operator.service.pass_time(seconds=10)
    assert operator.ring.active("ES256").kid == operator.ring.entries()[-1].kid
    assert operator.service.events("key.rotated")[-1].fields["cause"] == "now"


def test_a_rotation_now_breaks_nothing_once_the_next_key_is_known(operator: Operator) -> None:
    """It waits in every key set already, so it simply takes over."""
    operator.run("keys", "rotate", "--alg", "ES256")
    operator.service.pass_time(days=1)
    done = operator.run("keys", "rotate", "--alg", "ES256", "--now", "--yes")
    assert "Every verifier has it; nothing breaks." in done.stderr
    operator.service.pass_time(seconds=10)
    assert operator.ring.active("ES256").kid == operator.ring.entries()[-1].kid
    assert len(operator.ring.entries()) == 3


def test_a_replica_that_cannot_open_every_key_is_not_ready(operator: Operator) -> None:
    """/readyz says which key; and no more once it opens."""
    machine = operator.service.machine()

    def of_keys() -> list[str]:
        problems = machine.get("/readyz", base_url=operator.service.services.settings.issuer).json["problems"]
        return [problem for problem in problems if problem.startswith("keys: ")]  # the clock of tests is off

    assert of_keys() == []
    database = operator.service.services.database
    with database.transaction() as tx:
        sealed = tx.query(SigningKeyRow.kid, SigningKeyRow.sealed).all()
        tx.execute(update(SigningKeyRow).values(sealed="AAAA", revision=2))
    operator.service.pass_time(seconds=10)
    [problem] = of_keys()
    assert "cannot be opened" in problem
    with database.transaction() as tx:
        for row in sealed:
            tx.execute(update(SigningKeyRow).where(SigningKeyRow.kid == row.kid).values(sealed=row.sealed, revision=3))
    operator.service.pass_time(seconds=10)
    assert of_keys() == []


@pytest.mark.parametrize("keys_url", ["sql:", "kms:us-east-1"])
def test_production_never_invents_a_key_whatever_its_home(database_url: str, clock: FixedClock, keys_url: str) -> None:
    """A new installation stops with the command that makes the first ones."""
    settings = Settings.read(
        env="production",
        issuer="https://login.ims.example",
        secret=SERVICE_SECRET,
        email_url="smtp://mail.ims.example",
        email_from="no-reply@ims.example",
        sms_url="none:",
        database_url=database_url,
        keys_url=keys_url,
        exports_url="s3://ims-exports",
    )
    database = Database(database_url, pool=1)
    with pytest.raises(RingIsEmpty, match="keys rotate"):
        open_ring(settings, clock, database)
    with pytest.raises(RingIsEmpty):
        build(settings, clock=clock)
    database.dispose()
