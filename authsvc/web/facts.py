"""Who is asking, for the log and the audit trail: set once a request by web/observe.py, or once a command."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What is known of the present request. `operator` is set for commands: the OS user."""

    request_id: str = "-"
    remote_address: str = ""
    user_agent: str = ""
    operator: str = ""


_NOBODY = RequestFacts()
_facts: ContextVar[RequestFacts] = ContextVar("authsvc_request_facts", default=_NOBODY)


def current() -> RequestFacts:
    """The facts of this request, or empty ones outside any."""
    return _facts.get()


def remember(facts: RequestFacts) -> None:
    """Set the facts for everything that follows in this context."""
    _facts.set(facts)
