"""The second fence around one account, on PostgreSQL, as the role that the service has in production: owner, not superuser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.engine import make_url

from authsvc.accounts.models import Membership
from authsvc.audit.models import AuditEvent
from authsvc.clock import FixedClock
from authsvc.db.fence import FENCED, SETTING, within
from tests.support import migrate
from tests.support.postgres import connect, new_database
from tests.support.service import DANA, Service, make_ring

MARCUS = "marcus@harborview.example"


@pytest.fixture(scope="module")
def app_url(postgres_server: str, worker_folder: Path) -> Iterator[str]:
    """Address of a database that an ordinary role owns and has migrated."""
    role = f"app_{worker_folder.parent.name}_{worker_folder.name}".replace("-", "_")
    with new_database(postgres_server, f"fence-{worker_folder.parent.name}-{worker_folder.name}") as url:
        with connect(url) as admin:
            admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'fence'")
            admin.execute(f'ALTER DATABASE "{make_url(url).database}" OWNER TO {role}')
        mine = make_url(url).set(username=role, password="fence").render_as_string(hide_password=False)
        migrate(mine)
        yield mine
    with connect(postgres_server) as admin:
        admin.execute(f"DROP ROLE {role}")


@pytest.fixture
def service(app_url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Service]:
    """The service as that role: Dana administers one account, Marcus is in another. Each test is the database's first."""
    with connect(app_url) as app:
        for table in ("account", "app_user", "audit_event", "job", "throttle_bucket"):
            app.execute(f"TRUNCATE {table} CASCADE")
    service = Service.on(app_url, clock=clock, ring=make_ring(ring_folder, clock))
    service.member(service.account(mfa="email"), role="admin", sensitive=True)
    service.member(service.account("harborview", mfa="email"), MARCUS)
    for email in (DANA, MARCUS):
        person = service.person()
        service.sign_in(person, email)
        assert person.submit(code=service.code_for(email), remember="1").h1 == "You’re signed in"
    yield service
    service.services.database.dispose()


def account_ids(service: Service) -> tuple[str, str]:
    """Dana's and Marcus's."""
    with service.services.database.transaction(read_only=True) as tx:
        found = {user.account.slug: user.account_id for user in tx.scalars(select(Membership))}
    return found["northgate"], found["harborview"]


def test_tn_01_raw_sql_as_the_service_sees_the_named_account_alone(service: Service, app_url: str) -> None:
    """ASVS 8.4.1: every fenced table, without a WHERE; nothing of another account is changed, moved or added."""
    ours, theirs = account_ids(service)
    with connect(app_url) as app:
        assert app.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone() == (False,)
        fenced = app.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity").fetchall()
        assert {name for (name,) in fenced} == FENCED.keys()
        for table in ("membership", "remembered_device", "browser_session"):
            assert app.execute(f"SELECT count(*) FROM {table}").fetchone() == (2,), table
        with app.transaction():
            app.execute("SELECT set_config(%s, %s, true)", [SETTING, ours])
            assert app.execute("SELECT DISTINCT account_id FROM membership").fetchall() == [(ours,)]
            for table in ("remembered_device", "browser_session"):
                assert app.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,), table
            trail = app.execute("SELECT DISTINCT account_id FROM audit_event").fetchall()
            assert (theirs,) not in trail
            assert (ours,) in trail
            assert app.execute("UPDATE membership SET role = 'admin' WHERE account_id = %s", [theirs]).rowcount == 0
            assert app.execute("DELETE FROM browser_session").rowcount == 1
            columns = "at, name, remote_address, user_agent, request_id, operator, policy_hash, fields, account_id"
            add = f"INSERT INTO audit_event ({columns}) VALUES (now(), 'x', '', '', '', '', '', '{{}}', %s)"
            for change in ("UPDATE membership SET account_id = %s", add):
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level"), app.transaction():
                    app.execute(change, [theirs])
        assert app.execute("SELECT count(*) FROM membership").fetchone() == (2,)


def test_a_query_that_forgets_its_account_is_held_back(service: Service) -> None:
    """The slip that the fence is for; after the block, and in the next transaction, nothing is fenced."""
    ours, theirs = account_ids(service)
    everybody = select(func.count()).select_from(Membership)
    with service.services.database.transaction() as tx:
        with within(tx, ours):
            assert tx.scalar(everybody) == 1
            assert set(tx.scalars(select(AuditEvent.account_id))) <= {ours, None}
            gone = update(Membership).values(view_only=True).returning(Membership.account_id)
            assert list(tx.scalars(gone)) == [ours]
        assert tx.scalar(everybody) == 2
        with within(tx, theirs):
            assert tx.scalar(everybody) == 1
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.scalar(everybody) == 2


def test_the_pages_of_an_account_work_behind_the_fence(service: Service) -> None:
    """As the role of production: lists, the trail and what a person sees of themselves."""
    dana = service.person()
    service.sign_in(dana)
    dana.submit(code=service.code_for(DANA))
    page = dana.open("/admin/team")
    assert (page.status, page.h1) == (200, "Admin Settings")
    assert DANA in page.text
    assert MARCUS not in page.text
    page = dana.open("/admin/activity")
    assert (page.status, "Signed in with a code by email" in page.text) == (200, True)
    assert dana.open("/profile/security").status == 200
