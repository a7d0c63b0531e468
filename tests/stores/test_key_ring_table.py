"""The key ring in the database: sealed rows, writers at the same moment, replicas that agree, a database that is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog
from authsvc.audit.models import AuditEvent
from authsvc.crypto.seal import Sealer
from authsvc.db import Database
from authsvc.errors import ConfigurationError
from authsvc.keyring.errors import KeyUnreadable, NoSuchKey, RingBusy, RingUnreadable
from authsvc.keyring.models import SigningKeyRow
from authsvc.keyring.ring import KeyRing, Rotation
from authsvc.keyring.schedule import KeyState, RotationUnsafe, state
from authsvc.keyring.table import LOCK, NOTICED_WITHIN
from authsvc.keyring.trail import Trail
from tests.support.key_ring import (
    NOON,
    OTHER_SECRET,
    RULES,
    SECRET,
    SMALL_RSA_BITS,
    Table,
    assert_one_schedule,
    rotates,
    signed,
    verifies,
)


@pytest.fixture
def home(database_url: str) -> Iterator[Table]:
    """An empty table, on each kind of database."""
    table = Table(database_url)
    yield table
    table.close()


def only_row(home: Table) -> SigningKeyRow:
    """The row of the only key."""
    with home.databases[0].transaction(read_only=True) as tx:
        return tx.scalars(select(SigningKeyRow)).one()


def test_a_ring_in_rows_lives_as_one_in_files_does(home: Table) -> None:
    """First keys sign at once, a rotation runs its course by the clock alone, old tokens stay good while they live."""
    ring = home.open()
    assert len(ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)) == 2
    assert ring.create_first_keys(rsa_bits=SMALL_RSA_BITS) == ()
    old = signed(ring)
    [rotation] = ring.rotate("ES256", rules=RULES)
    home.clock.advance(RULES.publish_ahead)
    assert ring.active("ES256").kid == rotation.successor.kid
    assert verifies(ring, old)
    assert verifies(ring, signed(ring))
    home.clock.advance(RULES.longest_token + RULES.clock_skew)
    assert not verifies(ring, old)
    assert (home.open().version, home.open().entries()) == (ring.version, ring.entries())


def test_private_keys_are_sealed_in_their_rows_and_bound_to_them(home: Table) -> None:
    """A copy of the database is no key, and one row's secret cannot stand in for another's."""
    ring = home.with_es256()
    secret = str(ring.active("ES256").key.as_dict(private=True)["d"])
    row = only_row(home)
    assert secret not in str(vars(row))
    assert Sealer([SECRET], "keyring").open(row.sealed, where=f"keyring/{row.kid}")
    ring.rotate("ES256", rules=RULES)
    with home.databases[0].transaction() as tx:
        tx.execute(update(SigningKeyRow).values(sealed=row.sealed, revision=9))
    with pytest.raises(KeyUnreadable):
        home.open()
    with pytest.raises(KeyUnreadable, match="AUTHSVC_SECRET is not the one"):
        home.open(OTHER_SECRET)


@pytest.mark.parametrize("keys_before", [0, 1])
def test_of_twenty_replicas_that_rotate_at_once_one_does(home: Table, keys_before: int) -> None:
    """security.md 4.4: one decision, one schedule, never two active keys; on an empty ring too."""
    if keys_before:
        home.with_es256()
    rings = [home.open() for _ in range(20)]
    together = threading.Barrier(len(rings))

    def work(ring: KeyRing) -> bool:
        together.wait(30)
        return rotates(ring)

    with ThreadPoolExecutor(len(rings)) as pool:
        assert sum(pool.map(work, rings)) == 1
    assert_one_schedule(home.open().entries(), keys=keys_before + 1, now=home.clock.now())
    home.clock.advance(NOTICED_WITHIN)
    assert len({(ring.version, ring.active("ES256").kid) for ring in rings}) == 1


def test_of_twenty_workers_whose_clocks_say_that_it_is_time_one_rotates(home: Table) -> None:
    """The policy's rotation runs in every worker: one successor, and nobody fails."""
    home.with_es256()
    home.clock.advance(timedelta(days=76))
    rings = [home.open() for _ in range(20)]
    together = threading.Barrier(len(rings))

    def work(ring: KeyRing) -> int:
        together.wait(30)
        return len(ring.rotate_due(rules=RULES, every=timedelta(days=90)))

    with ThreadPoolExecutor(len(rings)) as pool:
        assert sorted(pool.map(work, rings)) == [0] * 19 + [1]
    [old, new] = home.open().entries()
    assert (new.publish_from, new.use_from) == (NOON + timedelta(days=76), NOON + timedelta(days=90))
    assert old.use_until == new.use_from


def test_of_several_first_starts_one_makes_the_keys(home: Table) -> None:
    """Replicas of a fresh installation start together and sign with the same key."""
    rings = [home.open() for _ in range(4)]
    with ThreadPoolExecutor(len(rings)) as pool:
        made = list(pool.map(lambda ring: len(ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)), rings))
    assert sorted(made) == [0] * 3 + [2]


def test_a_replica_notices_within_thirty_seconds(home: Table) -> None:
    """Without a restart, and between two looks without a query."""
    here, there = home.with_es256(), home.open()
    here.rotate("ES256", rules=RULES)
    assert timedelta(seconds=30) >= NOTICED_WITHIN
    home.clock.advance(NOTICED_WITHIN - timedelta(seconds=1))
    assert len(there.public_jwks()["keys"]) == 1
    home.clock.advance(timedelta(seconds=1))
    assert there.public_jwks() == here.public_jwks()
    assert there.version == here.version


def test_a_token_is_signed_while_a_transaction_is_open(home: Table) -> None:
    """The token endpoint signs inside its transaction, and just then it may be time to look at the ring."""
    ring = home.with_es256()
    home.clock.advance(NOTICED_WITHIN)
    with home.databases[0].transaction() as tx:
        tx.execute(text("SELECT 1"))
        assert verifies(ring, signed(ring))


def test_the_database_itself_refuses_a_second_key_without_an_end(home: Table) -> None:
    """Whatever writes there: one active key an algorithm."""
    home.with_es256()
    row = only_row(home)
    values = {column.key: getattr(row, column.key) for column in SigningKeyRow.__table__.columns}
    with pytest.raises(IntegrityError), home.databases[0].transaction() as tx:
        tx.execute(insert(SigningKeyRow).values(values | {"kid": "x" * 43, "position": 2}))
    with pytest.raises(IntegrityError), home.databases[0].transaction() as tx:
        tx.execute(update(SigningKeyRow).values(use_until=NOON - timedelta(1), publish_until=NOON))


def test_the_trail_has_the_row_of_the_same_transaction(home: Table) -> None:
    """A rotation whose row cannot be written does not happen."""
    ring = home.with_es256()
    before = ring.entries()

    def fail(_tx: Session, _rotations: object) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        ring.rotate("ES256", rules=RULES, note=fail)
    assert home.open().entries() == before
    trail = Trail(AuditLog(home.clock, "0" * 16), "planned")
    done: tuple[Rotation, ...] = ring.rotate("ES256", rules=RULES, note=trail.rotations)
    assert trail.make_sure(home.databases[0], lambda tx: trail.rotations(tx, done))
    with home.databases[0].transaction(read_only=True) as tx:
        assert [event.fields["kid"] for event in tx.scalars(select(AuditEvent))] == [done[0].successor.kid]


def test_a_lost_table_is_not_an_empty_ring(home: Table) -> None:
    """A running process signs on and says so; nothing is made in its place."""
    ring = home.with_es256()
    with home.databases[0].transaction() as tx:
        tx.execute(delete(SigningKeyRow))
    home.clock.advance(NOTICED_WITHIN)
    assert "has lost its keys" in str(ring.problem)
    assert verifies(ring, signed(ring))
    with pytest.raises(RingUnreadable):
        ring.rotate("ES256", rules=RULES)


def test_a_replica_that_cannot_open_every_key_is_not_ready(home: Table) -> None:
    """A key sealed with a secret that this replica was not given: it signs on with what it has, and says which key."""
    replica = home.with_es256()
    other = home.open(OTHER_SECRET, SECRET)
    [rotation] = other.rotate("ES256", rules=RULES)
    home.clock.advance(NOTICED_WITHIN)
    assert rotation.successor.kid in str(replica.problem)
    assert verifies(replica, signed(replica))
    with pytest.raises(KeyUnreadable):
        home.open()
    other.reseal(Sealer([SECRET], "keyring"))
    home.clock.advance(NOTICED_WITHIN)
    assert replica.problem is None


def test_a_database_without_the_table_says_which_command_makes_it(tmp_path: Path) -> None:
    """Not a stack trace."""
    with pytest.raises(RingUnreadable, match="authsvc migrate"):
        Table(f"sqlite:///{tmp_path}/new.db").open()


def test_a_database_that_is_away_is_no_empty_ring() -> None:
    """A process that starts then stops with a sentence."""
    with pytest.raises(RingUnreadable, match="cannot answer"):
        Table("postgresql://nobody@127.0.0.1:1/none").open()


def test_a_table_needs_a_database() -> None:
    """What the caller forgot is said at start."""
    for url in ("sql:", "kms:us-east-1"):
        with pytest.raises(ConfigurationError, match="needs a database"):
            KeyRing.open(url, sealer=Sealer([SECRET], "keyring"), clock=Table("").clock)


def test_a_ring_that_another_holds_is_busy(database_url: str) -> None:
    """An operator waits seconds, not for ever."""
    home = Table(database_url)
    ring, holder = home.with_es256(), Database(database_url, pool=1)
    before = ring.entries()
    with holder.transaction() as tx:
        tx.connection()
        if not holder.is_sqlite:
            tx.execute(select(func.pg_advisory_xact_lock(LOCK)))
        with pytest.raises(RingBusy):
            ring.rotate("ES256", rules=RULES)
    assert ring.entries() == before
    holder.dispose()
    home.close()


def test_a_withdrawn_key_is_gone_and_another_signs(home: Table) -> None:
    """At once here, on a replica within its time; done again, nothing changes."""
    here, there = home.with_es256(), home.open()
    old, token = here.active("ES256").kid, signed(here)
    home.clock.advance(timedelta(days=3))
    withdrawal = here.withdraw(old)
    assert withdrawal.successor is not None
    assert here.active("ES256").kid == withdrawal.successor.kid
    assert not verifies(here, token)
    home.clock.advance(NOTICED_WITHIN)
    assert not verifies(there, token)
    assert here.withdraw(old).successor is None
    assert [state(entry, home.clock.now()) for entry in here.entries()] == [KeyState.GONE, KeyState.ACTIVE]
    with pytest.raises(NoSuchKey):
        here.withdraw("x" * 43)


def test_a_rotation_after_a_withdrawal_goes_on_as_ever(home: Table) -> None:
    """The schedule stays whole."""
    ring = home.with_es256()
    ring.withdraw(ring.active("ES256").kid)
    ring.rotate("ES256", rules=RULES)
    with pytest.raises(RotationUnsafe):
        ring.rotate("ES256", rules=RULES)
    assert_one_schedule([entry for entry in ring.entries() if entry.publish_until != NOON], keys=2, now=NOON)
