"""`authsvc after-restore`: a database that came back from a backup brings nothing back to life (security.md TK-15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, text

from authsvc.accounts.models import Membership
from authsvc.clock import FixedClock
from authsvc.db import Database
from authsvc.mfa.models import RecoveryCode
from authsvc.tables import metadata
from tests.support.key_ring import Operator
from tests.support.links import newest_link
from tests.support.service import CALLBACK, DANA, PASSWORD, pkce

PRIYA = "priya@northgate.example"


@pytest.fixture
def operator(database_url: str, clock: FixedClock) -> Iterator[Operator]:
    """An installation with a portal and two people whose account asks for codes."""
    made = Operator.of(database_url, clock)
    account = made.service.account(mfa="email")
    made.service.member(account)
    made.service.member(account, PRIYA)
    made.service.client()
    yield made
    made.close()


def backup(database: Database) -> Callable[[], None]:
    """Every row as it is now; answers what puts them back, as pg_restore or a copied file does."""
    with database.transaction(read_only=True) as tx:
        rows: dict[str, list[dict[str, Any]]] = {
            table.name: [dict(row) for row in tx.execute(table.select()).mappings()] for table in metadata.sorted_tables
        }

    def restore() -> None:
        with database.transaction() as tx:
            for table in reversed(metadata.sorted_tables):
                tx.execute(table.delete())
            for table in metadata.sorted_tables:
                if rows[table.name]:
                    tx.execute(table.insert(), rows[table.name])
            if not database.is_sqlite:
                tx.execute(text("SELECT setval('audit_event_id_seq', (SELECT max(id) + 1 FROM audit_event))"))

    return restore


def test_tk_15_nothing_that_ended_since_the_backup_lives_again(operator: Operator) -> None:
    """A used refresh token, a spent code, a session and a device of before: all worth nothing, and the counts are told."""
    service, database = operator.service, operator.service.services.database
    dana, priya = service.person(), service.person()
    tokens = operator.sign_in(dana)
    verifier, challenge = pkce()
    dana.open("/oauth/authorize", **service.authorization_request(challenge))
    code = dana.callback()["code"]
    priya.open("/oauth/authorize", **service.authorization_request(pkce()[1]))
    priya.submit(email=PRIYA, password=PASSWORD)
    texted = service.code_for(PRIYA)

    forgetful = service.person()
    forgetful.open("/forgot")
    forgetful.submit(email=DANA)
    link = newest_link(service, "reset")
    with database.transaction() as tx:
        member = tx.scalars(select(Membership)).first()
        tx.add(RecoveryCode(code_digest="d" * 64, user_id=member.user_id, created_at=service.clock.now()))
        service.services.invitations.issue(tx, member, invited_by=None)
    put_back = backup(database)
    assert operator.refresh(tokens).status_code == 200
    service.redeem(dana, verifier)
    service.pass_time(seconds=20)
    dana.open("/sign-out")
    if dana.here.h1 == "Sign out?":
        dana.submit(form=0)
    put_back()
    ended = operator.read("after-restore", "--yes")["ended"]
    assert ended == {
        "sessions": 1,
        "families": 2,
        "codes": 1,
        "challenges": 1,
        "attempts": 2,
        "requests": 2,
        "links": 1,
        "invitations": 1,
        "recovery_codes": 1,
        "devices": 1,
    }
    assert operator.refresh(tokens).json["error"] == "invalid_grant"
    again = service.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=verifier)
    assert again.json["error"] == "invalid_grant"
    dana.open("/")
    assert dana.here.h1 != "You’re signed in"
    service.sign_in(dana, DANA)
    assert dana.here.h1 == "Enter your code"
    priya.submit(code=texted)
    assert priya.here.h1 != "You’re signed in"
    assert service.person().open(link).h1 == "This link was replaced"
    [row] = service.events("database.cleaned_after_restore")
    assert row.fields == ended
    assert not service.events("token.code_reused")


def test_people_and_clients_are_as_before(operator: Operator) -> None:
    """Everybody can sign in again, and a second run has nothing left to end."""
    operator.sign_in(operator.service.person())
    operator.read("after-restore", "--yes")
    assert set(operator.read("after-restore", "--yes")["ended"].values()) == {0}
    operator.service.pass_time(minutes=1)
    tokens = operator.sign_in(operator.service.person())
    assert operator.refresh(tokens).status_code == 200


def test_it_says_what_it_ends_and_asks(operator: Operator) -> None:
    """No is no; and yes ends with the keys that an operator must think of."""
    tokens = operator.sign_in(operator.service.person())
    refused = operator.run("after-restore", answer="n\n")
    assert refused.exit_code == 1
    assert "  1 session\n  1 token family\n" in refused.stderr
    assert operator.refresh(tokens).status_code == 200
    done = operator.run("after-restore", answer="y\n")
    assert done.exit_code == 0
    assert f"{operator.ring.active('ES256').kid}  ES256  signs since" in done.stdout
    assert "withdrawn after the backup was made" in done.stdout
