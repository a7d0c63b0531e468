"""/readyz: whether this process may take traffic, and why not, one line a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.support.service import Service


def ask(service: Service) -> TestResponse:
    """By address, as a probe does."""
    return service.machine().get("/readyz", base_url="http://10.0.0.1:8000")


def differ_by(service: Service, seconds: float) -> None:
    """Let the machine's clock be so much ahead of the database's, which runs."""
    service.clock.advance(datetime.now(UTC) - service.clock.now() + timedelta(seconds=seconds))


def test_a_replica_whose_clock_is_off_is_not_ready(service: Service) -> None:
    """security.md 4.4, clock skew: nothing up to 30 s; beyond, codes fail and tokens look expired, so no traffic."""
    for seconds in (-20, 20):
        differ_by(service, seconds)
        assert ask(service).json == {"ready": True, "problems": []}
    for seconds, how in ((45, "ahead of"), (300, "ahead of"), (-45, "behind"), (-300, "behind")):
        differ_by(service, seconds)
        answer = ask(service)
        assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
        [problem] = answer.json["problems"]
        assert problem.startswith("clock: this machine is ")
        assert f"s {how} the database" in problem


def test_every_reason_has_its_line_and_none_hides_another(service: Service) -> None:
    """Migrations, clock and draining at once; a newer version's migration is none, for it is being rolled out."""
    differ_by(service, 0)
    database = service.services.database

    def at(version: str) -> None:
        with database.transaction() as tx:
            tx.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})

    with database.transaction(read_only=True) as tx:
        present = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    try:
        at("9999")
        assert ask(service).status_code == 200
        at("0001")
        for replica in service.replicas:
            replica.stopping.set()
        differ_by(service, 60)
        reasons = [line.partition(":")[0] for line in ask(service).json["problems"]]
    finally:
        at(present)
    assert reasons == ["migrations", "clock", "draining"]


def test_a_database_that_is_away_is_the_only_thing_said_of_it(service: Service) -> None:
    """And the process lives: restarting it brings no database back."""
    differ_by(service, 0)
    with service.no_database():
        answer = ask(service)
        assert service.machine().get("/healthz").status_code == 200
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert [line.partition(":")[0] for line in answer.json["problems"]] == ["database"]
