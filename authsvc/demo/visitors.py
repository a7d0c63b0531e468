"""The portal's own sessions: everything stays here, and the browser holds a random name and nothing more."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from authsvc.clock import Clock
from authsvc.demo.relying_party import Started, StepUp, Tokens

LASTS = timedelta(hours=12)
MOST = 200
#: Tabs that may be on their way through sign-in at once.
MOST_PENDING = 8


@dataclass(frozen=True)
class Pending:
    """A sign-in that is under way, and what to do after it. `step_up`: what an API asked for, if one did."""

    started: Started
    return_to: str
    step_up: StepUp | None = None


@dataclass
class Visitor:
    """One browser. `lock` is held while its tokens are renewed, so that two tabs do not spend one refresh token."""

    until: datetime
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    pending: OrderedDict[str, Pending] = field(default_factory=OrderedDict)
    tokens: Tokens | None = None
    #: The same sign-in's, for the sign-in service itself: an access token is for one audience.
    for_the_bell: Tokens | None = None
    person: dict[str, Any] = field(default_factory=dict)
    #: What the last step-up was for; the page that asked for it looks once.
    stepped_up: StepUp | None = None
    #: What came of the last export that was asked for (portal.Shown).
    exported: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def remember(self, pending: Pending) -> None:
        """Keep a sign-in until its answer comes."""
        self.pending[pending.started.state] = pending
        while len(self.pending) > MOST_PENDING:
            self.pending.popitem(last=False)

    def take(self, state: str) -> Pending | None:
        """The sign-in that this state belongs to, once."""
        return self.pending.pop(state, None)


class Visitors:
    """All browsers, by the secret in their cookie."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Visitor] = OrderedDict()

    def find(self, secret: str | None) -> Visitor | None:
        """The visitor of this cookie, unless it ended."""
        with self._lock:
            found = self._known.get(secret or "")
        return found if found is not None and found.until > self._clock.now() else None

    def new(self) -> tuple[str, Visitor]:
        """A fresh one, with the cookie's value."""
        secret, visitor = secrets.token_urlsafe(32), Visitor(self._clock.now() + LASTS)
        with self._lock:
            self._known[secret] = visitor
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return secret, visitor

    def forget(self, secret: str | None) -> None:
        """End one."""
        with self._lock:
            self._known.pop(secret or "", None)
