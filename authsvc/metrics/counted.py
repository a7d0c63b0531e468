"""What each process counts while it works. Acts are counted by their audit events, once those are committed.

With PROMETHEUS_MULTIPROC_DIR set (authsvc/metrics/serving.py) every process counts into a file of its own there; without,
in memory. Labels come from closed lists, so that nobody can grow the number of series: what is not listed is `other`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from authsvc.audit import Event
from authsvc.policy.throttle import LimitName

OTHER = "other"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CHANNELS = frozenset({"email", "sms", "totp", "recovery"})
PURPOSES = frozenset({"sign_in", "verify_email", "change_email", "enrol_phone", "change_phone"})
LIMITS = frozenset({*get_args(LimitName), "wrong_passwords", "wrong_passwords_stopped"})
#: What became of a code: by event, and for a wrong one by its reason.
CODES = {
    Event.CODE_REQUESTED: "requested",
    Event.CODE_SENT: "sent",
    Event.CODE_NOT_DELIVERED: "not_delivered",
    Event.CODE_ACCEPTED: "accepted",
    Event.CODE_WRONG: "wrong",
    Event.CODE_TRIES_EXHAUSTED: "exhausted",
}
WHY_WRONG = frozenset({"wrong", "superseded", "expired", "exhausted", "gone", "spent"})
#: The steps of a sign-in that are no codes: event -> step, what its result is called, or the field that says so.
STEPS: dict[Event, tuple[str, str]] = {
    Event.PASSWORD_WRONG: ("password", "reason"),
    Event.SIGN_IN_REFUSED: ("account", "reason"),
    Event.EMAIL_VERIFICATION_SKIPPED: ("email", "=skipped"),
    Event.EMAIL_VERIFIED: ("email", "=verified"),
    Event.PHONE_ADDED: ("phone", "=added"),
    Event.MFA_EMAIL_FALLBACK: ("phone", "=email_instead"),
    Event.DEVICE_USED: ("device", "=recognized"),
    Event.DEVICE_REMEMBERED: ("device", "=remembered"),
    Event.SESSION_STARTED: ("session", "acr"),
}
RESULTS = frozenset(
    {
        *("wrong", "unknown_person", "invitation_not_accepted"),
        *("not_a_member", "deactivated", "closed", "no_us_number"),
        *("password", "remembered", "two-step", "two-factor"),
    }
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nothing reads


class Metrics:
    """The counters of one process. Nothing here can fail, and nothing here is asked for a decision."""

    def __init__(self) -> None:
        #: What a process that serves its own figures shows.
        self.registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "authsvc_http_request_duration_seconds",
            "Requests by route template, method and class of status; 429 stands alone",
            ("route", "method", "status"),
            registry=registry,
            buckets=BUCKETS,
        )
        #: Looked up here in a tenth of the time.
        self._series: dict[tuple[str, str, int], Histogram] = {}
        self._last_occupied = (0, 0)
        self._events = Counter(
            "authsvc_audit_events", "Rows written to the audit trail, by event", ("event",), registry=registry
        )
        self._steps = Counter(
            "authsvc_sign_in_steps", "Steps of sign-ins and what came of them", ("step", "result"), registry=registry
        )
        self._codes = Counter(
            "authsvc_codes",
            "One-time codes by channel, purpose and what became of them",
            ("channel", "purpose", "result"),
            registry=registry,
        )
        self._throttled = Counter(
            "authsvc_throttled",
            "Acts refused by an exact limit of policies/throttle.yaml",
            ("limit",),
            registry=registry,
        )
        self._jobs = Counter(
            "authsvc_jobs", "Jobs by kind and what came of a try", ("kind", "result"), registry=registry
        )
        self._hashing = Gauge(
            "authsvc_hashing_places_taken",
            "Places of the hashing lane that are taken, as the last request saw them",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._connections = Gauge(
            "authsvc_database_connections_in_use",
            "Database connections at work, as the last request saw them",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a template or a fixed path, never what was asked for."""
        if (series := self._series.get((route, method, status))) is None:
            group = "429" if status == 429 else f"{status // 100}xx"
            series = self._requests.labels(route, _known(METHODS, method), group)
            if method in METHODS:  # any other word is a client's to choose
                self._series[route, method, status] = series
        series.observe(seconds)

    def occupied(self, *, hashing: int, connections: int) -> None:
        """How much of the hashing lane and of the pool this process uses at this moment."""
        if (hashing, connections) != self._last_occupied:
            self._last_occupied = hashing, connections
            self._hashing.set(hashing)
            self._connections.set(connections)

    def seen(self, event: Event, fields: Mapping[str, object]) -> None:
        """An audit event was committed."""
        self._events.labels(event.value).inc()
        if (result := CODES.get(event)) is not None:
            if event is Event.CODE_WRONG:
                result = _known(WHY_WRONG, fields.get("reason"))
            elif event is Event.CODE_REQUESTED and fields.get("resend"):
                result = "requested_again"
            channel, purpose = _known(CHANNELS, fields.get("channel")), _known(PURPOSES, fields.get("purpose"))
            self._codes.labels(channel, purpose, result).inc()
        elif (step := STEPS.get(event)) is not None:
            name, said = step
            told = said[1:] if said.startswith("=") else _known(RESULTS, str(fields.get(said)).rpartition(":")[2])
            self._steps.labels(name, told).inc()
        elif event is Event.SIGN_IN_THROTTLED:
            self._throttled.labels(_known(LIMITS, fields.get("limit"))).inc()

    def worked(self, kind: str, result: str) -> None:
        """A job was tried: `done`, or `retry` because it could not be done now. `kind` is one of the table in app.py."""
        self._jobs.labels(kind, result).inc()


def _known(listed: Collection[str], value: object) -> str:
    return value if isinstance(value, str) and value in listed else OTHER
