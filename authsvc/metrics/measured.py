"""What is looked up when somebody scrapes: readiness, the queue, the trail, the keys. The same for every replica, so take max().

Read where the figures are served, not by the worker: a worker that is gone must be seen by its queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from authsvc import logs
from authsvc.audit.chain import unsealed_since
from authsvc.cache import Cache
from authsvc.clock import Clock
from authsvc.db import Database, DatabaseUnavailable
from authsvc.jobs import Queue
from authsvc.keyring.ring import KeyRing
from authsvc.keyring.schedule import Algorithm, active
from authsvc.policy.load import Policies
from authsvc.settings import Settings
from authsvc.web import readiness
from authsvc.web.capacity import web_workers

log = logs.logger(__name__)


class Needs(readiness.Needs, Protocol):
    """What is measured."""

    @property
    def settings(self) -> Settings: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def cache(self) -> Cache: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def ring(self) -> KeyRing: ...


class Measured(Collector):
    """Looks when it is asked. What cannot be read is left out, and `authsvc_not_ready` says why."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every figure that can be had now."""
        s = self._needs
        info = _gauge("authsvc_info", "Always 1: the version and the policies in force", "version", "policies")
        info.add_metric([version("authsvc"), s.policies.short_hash], 1)
        yield info
        found = {problem.reason for problem in readiness.problems(s)}
        not_ready = _gauge("authsvc_not_ready", "1 where this reason keeps traffic away, as /readyz says it", "reason")
        for reason in readiness.REASONS:
            not_ready.add_metric([reason], reason in found)
        yield not_ready
        if (redis := s.cache.answers()) is not None:
            yield _figure("authsvc_redis_up", "Whether Redis answers; absent where none is configured", redis)
        yield from self._limits()
        yield from self._keys(s.clock.now())
        if "database" not in found and "migrations" not in found:
            yield from self._queue(s.clock.now())

    def _limits(self) -> Iterator[GaugeMetricFamily]:
        settings = self._needs.settings
        workers = web_workers(settings)
        yield _figure(
            "authsvc_hashing_places",
            "Places of the hashing lane, all web processes together",
            workers * settings.hashing_places,
        )
        yield _figure(
            "authsvc_database_connections",
            "Database connections that all web processes together may open",
            workers * settings.connections,
        )

    def _keys(self, now: datetime) -> Iterator[GaugeMetricFamily]:
        age = _gauge("authsvc_key_age_seconds", "How long the signing key of an algorithm has signed", "algorithm")
        left = _gauge(
            "authsvc_key_rotation_in_seconds", "Until the next key must sign; below 0: it is overdue", "algorithm"
        )
        every = self._needs.policies.tokens.keys.rotate_every
        entries = self._needs.ring.entries()
        for algorithm in Algorithm:
            if (key := active(entries, algorithm, now)) is not None:
                age.add_metric([algorithm], (now - key.use_from).total_seconds())
                left.add_metric([algorithm], ((key.use_until or key.use_from + every) - now).total_seconds())
        yield age
        yield left

    def _queue(self, now: datetime) -> Iterator[GaugeMetricFamily]:
        s = self._needs
        try:
            with s.database.transaction(read_only=True) as tx:
                queue, unsealed = s.queue.state(tx), unsealed_since(tx)
        except DatabaseUnavailable as exc:
            log.warning("metrics.database_unavailable", reason=exc.detail)
            return
        yield _figure("authsvc_jobs_due", "Jobs that wait for a worker", queue.due)
        yield _figure("authsvc_jobs_due_seconds", "How long the oldest of them has waited", _age(queue.due_since, now))
        yield _figure(
            "authsvc_jobs_open", "Jobs that are not done, those that wait for another try included", queue.open
        )
        yield _figure("authsvc_jobs_given_up", "Jobs of the last 7 days that failed eight times", queue.given_up)
        yield _figure("authsvc_audit_unsealed_seconds", "Age of the oldest event without a seal", _age(unsealed, now))


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)


def _figure(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=float(value))


def _age(since: datetime | None, now: datetime) -> float:
    return max(timedelta(), now - since).total_seconds() if since else 0.0
