"""`authsvc keys` as an operator meets it at 3 a.m."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import RSAKey

from authsvc.audit import AuditLog
from authsvc.audit.models import AuditEvent
from authsvc.clock import FixedClock
from authsvc.db import Database
from authsvc.keyring.cli import keys, local_and_utc, rotation_rules
from authsvc.settings import Settings
from tests.support.key_ring import NOON, OTHER_SECRET, SECRET, Home


@dataclass(frozen=True)
class Keys:
    """As in policies/tokens.yaml."""

    publish_ahead: timedelta = timedelta(days=14)
    rotate_every: timedelta = timedelta(days=90)


@dataclass(frozen=True)
class Tokens:
    """As in policies/tokens.yaml; ID tokens live longer here, so that the longest one counts."""

    jwks_max_age: timedelta = timedelta(minutes=5)
    clock_skew: timedelta = timedelta(minutes=1)
    access_token: timedelta = timedelta(minutes=5)
    id_token: timedelta = timedelta(minutes=20)
    keys: Keys = Keys()


@dataclass(frozen=True)
class Policies:
    """The one file that the commands read."""

    tokens: Tokens = Tokens()


@dataclass(frozen=True)
class Context:
    """What the command line hands to its commands."""

    settings: Settings
    clock: FixedClock
    database: Database
    audit: AuditLog
    policies: Policies = Policies()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty place."""
    return Home(tmp_path / "keys")


def run(home: Home, *arguments: str, secret: str = SECRET) -> Result:
    """`authsvc keys ...`"""
    settings = Settings.read(keys_url=home.url, secret=secret)
    database = Database(f"sqlite:///{home.path.parent}/trail.db", pool=1)
    AuditEvent.metadata.tables["audit_event"].create(database.engine, checkfirst=True)
    try:
        return CliRunner().invoke(
            keys, arguments, obj=Context(settings, home.clock, database, AuditLog(home.clock, "0" * 16))
        )
    finally:
        database.dispose()


def read(home: Home, *arguments: str) -> dict[str, Any]:
    """The JSON answer of a command that succeeds."""
    result = run(home, *arguments, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_an_empty_ring_says_what_to_do(home: Home) -> None:
    """Listing makes nothing."""
    result = run(home, "list")
    assert (result.exit_code, result.stdout) == (
        0,
        "The key ring is empty. `authsvc keys rotate` makes the first keys.\n",
    )
    assert read(home, "list") == {"keys": [], "problem": None}
    assert not home.path.exists()


def test_production_starts_with_rotate(home: Home) -> None:
    """On an empty ring it makes the first keys, ES256 and RS256 with 3072 bits, and says that they sign now."""
    result = run(home, "rotate")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("It is published and signs from now on.") == 2
    assert "Back up" in result.stdout
    ring = home.open()
    assert ring.algorithms() == ("ES256", "RS256")
    key = ring.active("RS256").key
    assert isinstance(key, RSAKey)
    assert key.raw_value.key_size == 3072


def test_a_rotation_is_said_in_words(home: Home) -> None:
    """Which key, from when, what happens to the old one, and what is left to do."""
    run(home, "rotate", "--alg", "ES256")
    result = run(home, "rotate", "--alg", "ES256")
    old, new = home.open().entries()
    zone_free = [line.split("(")[-1] for line in result.stdout.splitlines() if "Z)" in line]
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"ES256: new key {new.kid}\n  It is published now")
    assert f"Until then key {old.kid} signs." in result.stdout
    assert zone_free == ["2026-12-06T12:00:00Z).", "2026-12-06T12:21:00Z), so that its last tokens stay valid."]
    assert "notice within 5 seconds; restart nothing" in result.stdout


def test_a_rotation_answers_machines(home: Home) -> None:
    """The same instants as JSON, in UTC."""
    [first] = read(home, "rotate", "--alg", "ES256")["rotations"]
    [second] = read(home, "rotate", "--alg", "ES256")["rotations"]
    assert first["predecessor"] is None
    assert second == {
        "successor": {
            "kid": second["successor"]["kid"],
            "use": "sign",
            "algorithm": "ES256",
            "state": "published",
            "publish_from": "2026-11-22T12:00:00Z",
            "use_from": "2026-12-06T12:00:00Z",
            "use_until": None,
            "publish_until": None,
            "rotate_by": None,
        },
        "predecessor": first["successor"]
        | {"use_until": "2026-12-06T12:00:00Z", "publish_until": "2026-12-06T12:21:00Z", "rotate_by": None},
    }


def test_an_unsafe_rotation_is_refused_in_one_sentence(home: Home) -> None:
    """Exit 1, one line on standard error, nothing on standard output, nothing changed."""
    run(home, "rotate", "--alg", "ES256")
    run(home, "rotate", "--alg", "ES256")
    before = home.open().entries()
    for arguments in (("rotate", "--alg", "ES256"), ("rotate", "--alg", "ES256", "--json"), ("rotate",)):
        result = run(home, *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            f"Error: A rotation of ES256 is already under way: key {before[1].kid} starts signing at "
            "2026-12-06T12:00:00Z; rotate again after that.\n"
        )
    assert home.open().entries() == before


def test_an_unknown_algorithm_is_a_usage_error(home: Home) -> None:
    """Exit 2, as for every command."""
    for algorithm in ("HS256", "none", "ES512", "EDDSA"):
        assert run(home, "rotate", "--alg", algorithm).exit_code == 2
    assert not home.path.exists()


def test_an_eddsa_key_is_made_by_its_name_and_rotates_with_the_others(home: Home) -> None:
    """claims.md: "EdDSA optional". Nobody gets one who did not ask; whoever has one has it rotated too."""
    run(home, "rotate")
    made = run(home, "rotate", "--alg", "EdDSA")
    assert made.exit_code == 0, made.output
    assert home.open().algorithms() == ("ES256", "EdDSA", "RS256")
    assert [rotation["successor"]["algorithm"] for rotation in read(home, "rotate")["rotations"]] == [
        "ES256",
        "RS256",
        "EdDSA",
    ]


def test_the_list_shows_every_key_with_its_instants(home: Home) -> None:
    """kid, algorithm, state, and four instants in local time and UTC; the signing key says when to rotate."""
    run(home, "rotate", "--alg", "ES256")
    kid = home.open().entries()[0].kid
    here = f"{NOON.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    due = NOON + timedelta(days=90)
    assert run(home, "list").stdout == (
        f"{kid}  ES256  active\n"
        f"  published from   {here} (2026-11-22T12:00:00Z)\n"
        f"  signs from       {here} (2026-11-22T12:00:00Z)\n"
        "  signs until      no end set\n"
        "  published until  no end set\n"
        f"  rotate by        {due.astimezone():%Y-%m-%d %H:%M:%S %Z} (2027-02-20T12:00:00Z)\n"
    )
    run(home, "rotate", "--alg", "ES256")
    home.clock.advance(timedelta(days=14))
    assert [key["state"] for key in read(home, "list")["keys"]] == ["retiring", "active"]
    home.clock.advance(timedelta(days=1))
    shown = run(home, "list").stdout
    assert f"{kid}  ES256  gone\n" in shown
    assert shown.count("rotate by") == 1


def test_local_time_names_its_zone() -> None:
    """An operator in New York and a log in UTC speak of the same instant."""
    new_york = timezone(timedelta(hours=-5), "EST")
    assert local_and_utc(NOON, zone=new_york) == "2026-11-22 07:00:00 EST (2026-11-22T12:00:00Z)"
    assert (
        local_and_utc(datetime(2026, 11, 22, 7, tzinfo=new_york), zone=UTC)
        == "2026-11-22 12:00:00 UTC (2026-11-22T12:00:00Z)"
    )
    assert local_and_utc(None) == "no end set"


def test_the_schedule_is_shown_when_a_key_does_not_open(home: Home) -> None:
    """Wrong secret: the table still comes, then one sentence and exit 1; --json has the problem in its answer too."""
    run(home, "rotate", "--alg", "ES256")
    kid = home.open().entries()[0].kid
    plain, machine = (run(home, "list", *more, secret=OTHER_SECRET) for more in ((), ("--json",)))
    for result in (plain, machine):
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: Key {kid} cannot be opened: AUTHSVC_SECRET is not the one")
        assert result.stderr.count("\n") == 1
    assert plain.stdout.startswith(f"{kid}  ES256  active\n")
    answer = json.loads(machine.stdout)
    assert answer["keys"][0]["kid"] == kid
    assert "AUTHSVC_SECRET" in answer["problem"]


def empty_document(place: Path) -> None:
    """Cut to nothing by a full disk."""
    place.write_text("")


def no_document(place: Path) -> None:
    """Deleted by mistake."""
    place.unlink()


@pytest.mark.parametrize("harm", [empty_document, no_document])
@pytest.mark.parametrize("command", ["list", "rotate"])
def test_a_damaged_ring_is_one_sentence(home: Home, harm: Callable[[Path], None], command: str) -> None:
    """No traceback, no fresh key."""
    run(home, "rotate", "--alg", "ES256")
    harm(home.path / "ring.yaml")
    result = run(home, command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("restore it from the backup.\n")
    assert result.stderr.count("\n") == 1
    assert len(list(home.path.glob("*.sealed"))) == 1


def test_the_rules_come_from_the_policy() -> None:
    """The longest token is the longer one of the two we sign."""
    rules = rotation_rules(Tokens())
    assert (rules.longest_token, rules.publish_ahead) == (timedelta(minutes=20), timedelta(days=14))
    assert (rules.jwks_max_age, rules.clock_skew) == (timedelta(minutes=5), timedelta(minutes=1))


def test_a_rotation_is_in_the_audit_trail(home: Home) -> None:
    """Everything an operator does is a row: which algorithm, which key, by whom."""
    assert run(home, "rotate").exit_code == 0
    database = Database(f"sqlite:///{home.path.parent}/trail.db", pool=1)
    with database.transaction(read_only=True) as tx:
        events = tx.query(AuditEvent).all()
    database.dispose()
    assert [(event.name, event.fields["algorithm"]) for event in events] == [
        ("key.rotated", "ES256"),
        ("key.rotated", "RS256"),
    ]


def test_keys_rotate_with_the_database_away(home: Home) -> None:
    """An emergency does not wait for the database; what the trail lacks is said."""
    settings = Settings.read(keys_url=home.url, secret=SECRET)
    database = Database("postgresql://nobody@127.0.0.1:1/none", pool=1)
    context = Context(settings, home.clock, database, AuditLog(home.clock, "0" * 16))
    result = CliRunner().invoke(keys, ["rotate"], obj=context)
    assert result.exit_code == 0
    assert "the audit trail has no row" in result.stderr
