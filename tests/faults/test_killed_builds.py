"""kill -9 of a real worker in the middle of an export (security.md TN-10, ASVS 2.4.1)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from tests.support.export_pages import EXPORTS, NEW
from tests.support.processes import poll
from tests.support.profile import press
from tests.support.remote import RemotePerson, Served, served

DANA = "dana@northgate.example"
PROVISIONING = """
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    members:
      - {email: dana@northgate.example, name: Dana Whitfield, role: admin, sensitive_data_access: true,
         email_verified: true, password: {env: DEMO_PASSWORD}}
"""
#: So many that building takes seconds.
MANY = 20_000
ROW = """
INSERT INTO audit_event (at, name, user_id, account_id, remote_address, user_agent, request_id, operator, policy_hash, fields)
SELECT '2026-11-22 21:31:00.000000', 'code.wrong', m.user_id, m.account_id, '', '', ?, '', '', '{}' FROM membership m
"""


def test_tn10_a_worker_killed_in_the_middle_leaves_no_half_file(tmp_path: Path) -> None:
    """The list goes on saying "Processing"; the next worker builds it anew, and what the dead one left is gone."""
    with served(tmp_path, PROVISIONING) as service:
        execute(tmp_path, ROW, MANY)
        dana = RemotePerson(service.issuer)
        dana.open("/sign-in")
        dana.submit(email=DANA, password="quiet harbor maple lantern")
        dana.open(NEW, export="sign_in_activity")
        assert "Processing" in press(dana, NEW).text
        half = poll(lambda: halves(tmp_path), 120, what="a half file")
        killed = worker_of(service)
        killed.kill()
        killed.wait(60)
        assert halves(tmp_path) == half, "it was killed in the middle"
        export_id, file_id = one(tmp_path, "SELECT id, file_id FROM export WHERE status = 'processing'")
        page = dana.open(f"{EXPORTS}/{export_id}/file")
        assert (page.response.mimetype, page.path) == ("text/html", EXPORTS)
        assert "Processing" in page.text
        # A minute later, with less to do: the lease of the dead one is over.
        execute(tmp_path, "DELETE FROM audit_event WHERE request_id <> '0'")
        execute(tmp_path, "UPDATE job SET run_at = '2026-01-01 00:00:00.000000' WHERE kind = 'build_export'")
        poll(lambda: one(tmp_path, "SELECT status FROM export") == ("ready",), 120, what="the export of another worker")
        now = one(tmp_path, "SELECT file_id, size FROM export")
        assert now[0] != file_id
        assert [path.name for path in (tmp_path / "var/exports").iterdir() if file_id in path.name] == []
        body = dana.open(f"{EXPORTS}/{export_id}/file").response
        assert (body.mimetype, len(body.data)) == ("text/csv", now[1])
        assert body.data.count(b"\r\n") > 1


def execute(folder: Path, statement: str, times: int = 1) -> None:
    """Behind the service's back."""
    with closing(sqlite3.connect(folder / "var/authsvc.db", timeout=60)) as database, database:
        database.executemany(statement, [[str(number)] for number in range(times)] if "?" in statement else [[]])


def one(folder: Path, query: str) -> Any:
    """The one row of a query."""
    with closing(sqlite3.connect(folder / "var/authsvc.db", timeout=60)) as database:
        return database.execute(query).fetchone()


def halves(folder: Path) -> list[str]:
    """Files that are being written."""
    place = folder / "var/exports"
    return sorted(path.name for path in place.glob(".*.half")) if place.is_dir() else []


def worker_of(service: Served) -> psutil.Process:
    """The process that does the jobs."""
    tree = psutil.Process(service.process.pid).children(recursive=True)
    return next(child for child in tree if child.cmdline()[-1:] == ["worker"])
