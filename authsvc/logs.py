"""One JSON line an event on standard error, request id on every line, secrets nowhere."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

#: Fields that may carry a secret or an address never reach a line, whoever logs them (security.md PL-04).
WITHHELD = frozenset(
    {
        "password",
        "code",
        "token",
        "secret",
        "access_token",
        "refresh_token",
        "id_token",
        "client_secret",
        "state",
        "cookie",
        "email",
        "phone",
    }
)
LONGEST = 500


def _clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if name in WITHHELD:
            event[name] = "[withheld]"
        elif isinstance(value, str) and len(value) > LONGEST:
            event[name] = value[:LONGEST] + "…"
    return event


def story(exc_info: tuple[Any, BaseException | None, Any]) -> str:
    """An exception and its causes: where, which class, and the first line of what it says.

    Further lines are where databases quote the values of a row, and where SQLAlchemy puts statement and parameters.
    """
    told, error = list[str](), exc_info[1]
    while error is not None:
        told += traceback.format_tb(error.__traceback__)
        first_line = str(error).partition("\n")[0][:LONGEST]
        told.append(f"{type(error).__module__}.{type(error).__qualname__}: {first_line}\n")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(told)


#: What others add to every line; a trace adds its ids.
_more: list[Processor] = []


def add(processor: Processor) -> None:
    """Let `processor` add its fields to every line from now on."""
    if processor not in _more:
        _more.append(processor)


def _add_more(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    for processor in _more:
        processor(logger, method, event)
    return event


def configure(level: str) -> None:
    """Send structlog and the standard library's loggers through one JSON renderer."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_more,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _clean,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(story),
                structlog.processors.JSONRenderer(sort_keys=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Authlib prints whole token answers at DEBUG (libraries.md 1.5, 14).
    logging.getLogger("authlib").setLevel(logging.INFO)
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one feature."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound
