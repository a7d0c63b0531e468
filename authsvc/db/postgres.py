"""PostgreSQL as a service that must not hang needs it: every wait has an end, and connections that are no good go at once."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from psycopg.errors import ReadOnlySqlTransaction, _WaitTimeout
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DisconnectionError

#: What a connection attempt may take, for each host of the address; libpq takes no less.
CONNECT_S = 2
#: How much longer than a statement may take on the server we wait for the server to say so.
GRACE_S = 1.5


class BoundedConnection(psycopg.Connection[Any]):
    """Gives up on a server that says nothing. A statement's own time-out is the server's, and a frozen one keeps none."""

    patience_s = 0.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer. Raises: psycopg.OperationalError, the connection closed, when none comes."""
        try:
            return super().wait(gen, interval=interval, timeout=timeout or self.patience_s or None)
        except _WaitTimeout as exc:  # psycopg's own word for it, which nothing public stands for
            self.pgconn.finish()
            raise psycopg.OperationalError("the server gave no answer in time") from exc


def make_postgres_engine(url: str, *, pool: int, statement_s: float) -> Engine:
    """The engine for `url`, which may name several hosts: the one that takes writes is used."""
    statement_ms = round(statement_s * 1000)
    # A little less for locks, so that what waits for one is told apart from what is slow.
    options = (
        f"-c statement_timeout={statement_ms} -c lock_timeout={statement_ms * 4 // 5}"
        " -c idle_in_transaction_session_timeout=10000"
    )
    arguments = {"connect_timeout": CONNECT_S, "options": options}
    if "target_session_attrs" not in make_url(url).query:
        # After a failover the old primary may be reached and refuse every write.
        arguments["target_session_attrs"] = "read-write"
    engine = create_engine(
        url, pool_size=pool, max_overflow=0, pool_timeout=2, pool_use_lifo=True, connect_args=arguments
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, positional: list[Any], named: dict[str, Any]) -> BoundedConnection:
        connection = BoundedConnection.connect(*positional, **named)
        connection.patience_s = statement_s + GRACE_S
        return connection

    @event.listens_for(engine, "checkout")
    def look_alive(connection: BoundedConnection, _record: Any, _proxy: Any) -> None:
        # An idle server says nothing. One that was stopped has said good-bye, or the line is cut: no round trip needed.
        said = select.poll()
        said.register(connection.fileno(), select.POLLIN)
        if said.poll(0):
            raise DisconnectionError("the server has closed this connection")
        if connection.read_only is not None:
            # SQLAlchemy leaves False behind a reader: BEGIN READ WRITE, against the default that an operator may have set.
            connection.read_only = None

    @event.listens_for(engine, "handle_error")
    def evict(context: ExceptionContext) -> None:
        # The server has become a reader: whatever the pool holds to it refuses writes for ever (Keycloak 24493).
        reading = context.connection is not None and context.connection.get_execution_options().get("read_only")
        if isinstance(context.original_exception, ReadOnlySqlTransaction) and not reading:
            context.is_disconnect = True

    return engine
