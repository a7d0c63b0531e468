"""`authsvc keys status` and `keys withdraw`: what lives by a key, what its end reaches, and one report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from authsvc.clock import FixedClock
from authsvc.keyring.schedule import KeyState, state
from authsvc.oauth.models import TokenFamily
from authsvc.sessions.models import BrowserSession
from tests.support.key_ring import Operator, verifies

PRIYA = "priya@northgate.example"


@pytest.fixture
def operator(database_url: str, clock: FixedClock) -> Iterator[Operator]:
    """An installation with a portal and two people whose account asks for codes; the ring lies in the database."""
    made = Operator.of(database_url, clock)
    account = made.service.account(mfa="email")
    made.service.member(account)
    made.service.member(account, PRIYA)
    made.service.client()
    yield made
    made.close()


def live(operator: Operator, algorithm: str = "ES256") -> list[dict[str, int]]:
    """What `keys status` says of each key of `algorithm`."""
    return [key["live"] for key in operator.read("keys", "status")["keys"] if key["algorithm"] == algorithm]


def test_status_counts_what_lives_by_each_key(operator: Operator) -> None:
    """Sessions and families since that key signs; a key that does not sign yet has none; RS256 signs for nobody here."""
    operator.sign_in(operator.service.person())
    operator.sign_in(operator.service.person(), PRIYA)
    everything = {"sessions": 2, "families": 2, "clients": 1, "devices": 2}
    nothing = dict.fromkeys(everything, 0)
    assert (live(operator), live(operator, "RS256")) == ([everything], [nothing | {"devices": 2}])
    assert operator.run("keys", "rotate", "--alg", "ES256").exit_code == 0
    assert live(operator) == [everything, nothing]
    shown = operator.run("keys", "status").stdout
    assert "live since then  2 sessions, 2 token families, 1 client, 2 remembered devices\n" in shown
    assert "The key ring lies in the database. Running processes notice a change within 10 seconds." in shown


def test_a_client_that_wants_rs256_lives_by_that_key(operator: Operator) -> None:
    """Its ID tokens are signed with it, so its families and their sessions descend from both keys."""
    operator.service.client("mobile", id_token_signed_response_alg="RS256")
    operator.sign_in(operator.service.person())
    assert live(operator, "RS256")[0]["families"] == 0
    with operator.service.services.database.transaction() as tx:
        [family] = tx.scalars(select(TokenFamily))
        family.client_id = "mobile"
    assert live(operator, "RS256")[0] | {"devices": 0} == {"sessions": 1, "families": 1, "clients": 1, "devices": 0}


def test_what_ended_before_is_not_counted(operator: Operator) -> None:
    """Signed out, run out, or never seen while the key signed."""
    operator.sign_in(operator.service.person())
    operator.service.pass_time(hours=13)
    assert (live(operator)[0]["sessions"], live(operator)[0]["families"]) == (0, 1)
    operator.service.pass_time(days=31)
    assert live(operator) == [{"sessions": 0, "families": 0, "clients": 0, "devices": 0}]


def test_withdrawing_says_first_what_it_ends_and_asks(operator: Operator) -> None:
    """No is no: nothing has changed."""
    operator.sign_in(operator.service.person())
    before = operator.ring.entries()
    result = operator.run("keys", "withdraw", "ES256", answer="n\n")
    assert result.exit_code == 1
    assert f"Key {before[0].kid} (ES256, active)\n" in result.stderr
    assert "ends 1 session, 1 token family, 1 client, 1 remembered device." in result.stderr
    assert "Withdraw it? [y/N]" in result.stderr
    assert operator.ring.entries() == before
    assert live(operator)[0]["sessions"] == 1


def test_withdrawing_ends_what_descends_from_the_key(operator: Operator) -> None:
    """The key is gone, another signs; signed-in people, refresh tokens and remembered devices end; one report, two rows."""
    dana, priya = operator.service.person(), operator.service.person()
    tokens = operator.sign_in(dana)
    operator.sign_in(priya, PRIYA)
    old = operator.ring.active("ES256").kid
    operator.service.pass_time(minutes=2)
    report = operator.read("keys", "withdraw", "ES256", "--yes")
    assert (report["withdrawn"]["kid"], report["withdrawn"]["state"]) == (old, "gone")
    assert report["successor"]["state"] == "active"
    assert report["ended"] == {"sessions": 2, "families": 2, "clients": 1, "devices": 2}
    assert report["refused_everywhere_by"] == "2026-11-22T21:38:10+00:00"
    operator.service.pass_time(seconds=10)
    assert not verifies(operator.ring, tokens["access_token"])
    assert operator.refresh(tokens).json["error"] == "invalid_grant"
    dana.open("/")
    assert dana.here.h1 != "You’re signed in"
    operator.service.sign_in(dana)
    assert dana.here.h1 == "Enter your code"
    with operator.service.services.database.transaction(read_only=True) as tx:
        assert set(tx.scalars(select(BrowserSession.ended_reason))) == {"key_withdrawn"}
    [left], [ended] = operator.service.events("key.withdrawn"), operator.service.events("key.descendants_ended")
    assert left.fields == {"algorithm": "ES256", "kid": old, "successor": report["successor"]["kid"]}
    assert ended.fields == {"kid": old, **report["ended"]}
    assert left.operator != ""


def test_people_who_come_after_it_stay(operator: Operator) -> None:
    """Run again because somebody was not sure: the sessions of the new key live on."""
    operator.sign_in(operator.service.person())
    old = operator.ring.active("ES256").kid
    operator.read("keys", "withdraw", old, "--yes")
    operator.service.pass_time(minutes=5)
    tokens = operator.sign_in(operator.service.person(), PRIYA)
    again = operator.read("keys", "withdraw", old, "--yes")
    assert (again["successor"], again["ended"]["sessions"], again["ended"]["families"]) == (None, 0, 0)
    assert operator.refresh(tokens).status_code == 200


def test_a_key_that_never_signed_ends_nothing(operator: Operator) -> None:
    """The one that waits leaks: it leaves, the present one goes on, nobody is signed out."""
    operator.sign_in(operator.service.person())
    operator.run("keys", "rotate", "--alg", "ES256")
    operator.service.pass_time(seconds=10)
    waiting = operator.ring.entries()[-1].kid
    result = operator.run("keys", "withdraw", waiting, "--yes")
    assert "Nothing lives by it." in result.stderr
    assert "No other key had to take its place." in result.stdout
    assert live(operator) == [{"sessions": 1, "families": 1, "clients": 1, "devices": 1}]


def test_the_report_is_in_words_an_operator_can_act_on(operator: Operator) -> None:
    """Local time and UTC, until when the key is believed, what signs, what ended, what to do next."""
    operator.sign_in(operator.service.person())
    result = operator.run("keys", "withdraw", "ES256", "--yes")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("(ES256) is withdrawn.")
    assert lines[1].endswith("(2026-11-22T21:31:00Z).")
    assert lines[2].endswith("(2026-11-22T21:31:10Z).")
    assert lines[3].endswith("(2026-11-22T21:36:10Z),")
    assert lines[-2] == "  Ended: 1 session, 1 token family, 1 client, 1 remembered device."
    assert lines[-1] == "Keep this report. Back up the key ring."


def test_an_unknown_key_is_one_sentence(operator: Operator) -> None:
    """What to type instead."""
    for name in ("x" * 43, "EdDSA", "HS256"):
        result = operator.run("keys", "withdraw", name, "--yes")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Error: The ring has no such key; `authsvc keys list` shows those it has.\n"


def test_an_emergency_does_not_wait_for_the_database(operator: Operator, clock: FixedClock, tmp_path: Path) -> None:
    """A ring in a folder: the key leaves the set, and what could not end is said with the command that ends it later."""
    folder = f"dir:{tmp_path}/keys"
    away = "postgresql://nobody@127.0.0.1:1/none"
    other = Operator.of(operator.environment["AUTHSVC_DATABASE_URL"], clock, keys_url=folder)
    other.sign_in(other.service.person())
    kid = other.ring.active("ES256").kid
    clock.advance(timedelta(minutes=1))
    result = other.run("keys", "withdraw", "ES256", "--yes", AUTHSVC_DATABASE_URL=away)
    assert result.exit_code == 1
    assert "nobody can say what this ends" in result.stderr
    assert f"Run this again when it is back: authsvc keys withdraw {kid}" in result.stderr
    clock.advance(timedelta(seconds=5))
    assert [state(entry, clock.now()) for entry in other.ring.entries() if entry.kid == kid] == [KeyState.GONE]
    finished = json.loads(other.run("keys", "withdraw", kid, "--yes", "--json").stdout)
    assert finished["ended"] == {"sessions": 1, "families": 1, "clients": 1, "devices": 1}
    other.close()
