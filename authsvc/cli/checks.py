"""What `authsvc doctor` tries, one function each: a sentence on how it is, and where it is not well, one on what to do.

A new dependency is one function here and one row in CHECKS. A check changes nothing that stays, sends no message, makes no
key, and is bounded in time by what it asks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from joserfc import jwt
from sqlalchemy import insert, text
from sqlalchemy.engine import make_url

from authsvc.audit.chain import unsealed_since
from authsvc.cache import Cache
from authsvc.cli.context import LazyServices
from authsvc.crypto.seal import Sealer
from authsvc.db import DatabaseUnavailable, revision
from authsvc.exports.files import StoreUnavailable
from authsvc.exports.stores import store_for, try_out
from authsvc.jobs import Queue
from authsvc.keyring.cli import open_ring
from authsvc.keyring.ring import KeyRing
from authsvc.keyring.schedule import active
from authsvc.keyring.words import span
from authsvc.messaging.message import MessageSender, Outcome, Reachable
from authsvc.opening import open_senders
from authsvc.settings import DEVELOPMENT_SECRET
from authsvc.throttle.models import ThrottleBucket
from authsvc.web import readiness

#: Older than this, and no worker can be at work.
WORKER_PATIENCE = timedelta(minutes=2)
#: File systems on which SQLite's write-ahead log does not work between processes, or not safely (spikes.md 4).
FAR_AWAY = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.s3fs")


class State(StrEnum):
    """How it is."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Finding:
    """How one dependency is, and what to do about it."""

    state: State
    says: str
    do: str = ""


Check = Callable[[LazyServices], Finding]


def ok(says: str) -> Finding:
    """Nothing to do."""
    return Finding(State.OK, says)


def wrong(says: str, do: str) -> Finding:
    """Somebody has to do something."""
    return Finding(State.WRONG, says, do)


def note(says: str, do: str = "") -> Finding:
    """Right for development, or not in use."""
    return Finding(State.NOTE, says, do)


def check_settings(needs: LazyServices) -> Finding:
    """Whatever is wrong with the environment stops every command, in one list; so here it is right."""
    settings = needs.settings
    if settings.is_production:
        return ok(f"production, as {settings.issuer}")
    if DEVELOPMENT_SECRET in settings.secrets:
        return note(f"development, as {settings.issuer}, with the secret everybody knows")
    return note(f"development, as {settings.issuer}")


def check_policies(needs: LazyServices) -> Finding:
    """Every policy file is read and fits."""
    policies = needs.policies
    return ok(f"read from {needs.settings.policies_dir or 'the package'}; in the trail as {policies.short_hash}")


def check_database(needs: LazyServices) -> Finding:
    """It can be reached, and a row can be written; the row is taken back."""
    url = make_url(needs.settings.database_url)
    if is_sqlite := url.get_backend_name() == "sqlite":
        file = Path(url.database or "").absolute()
        if not file.exists():
            return wrong(f"there is no file {file}", "Run `authsvc migrate`, or correct AUTHSVC_DATABASE_URL.")
        if kind := far_away(file, Path("/proc/self/mounts")):
            return wrong(
                f"{file} lies on a network file system ({kind}), where SQLite loses data",
                "Move it to a local disk, or use PostgreSQL.",
            )
    began = time.monotonic()
    try:
        version = _write(needs, "SELECT sqlite_version()" if is_sqlite else "SHOW server_version")
    except DatabaseUnavailable as exc:
        where = "the file" if is_sqlite else f"PostgreSQL at {url.host or 'this machine'}"
        return wrong(
            f"{where} does not answer, or takes no writes ({_first_line(exc)})",
            "See that the database runs and has room, and that AUTHSVC_DATABASE_URL is right.",
        )
    took = round((time.monotonic() - began) * 1000)
    name = f"SQLite {version} at {file}" if is_sqlite else f"PostgreSQL {version} at {url.host or 'this machine'}"
    return ok(f"{name} takes writes ({took} ms)")


def check_migrations(needs: LazyServices) -> Finding:
    """The database has the tables of this version."""
    with needs.database.transaction(read_only=True) as tx:
        missing = revision.missing(tx)
    if missing:
        return wrong(f"{len(missing)} missing: {', '.join(missing)}", "Run `authsvc migrate`.")
    return ok(f"up to date ({revision.known()[-1]})")


def check_clock(needs: LazyServices) -> Finding:
    """This machine and the database agree on the time."""
    with needs.database.transaction() as tx:
        asked_at = needs.clock.now()
        theirs = needs.database.look(tx)
        ours = asked_at + (needs.clock.now() - asked_at) / 2
    if problem := readiness.clock_difference(ours, theirs):
        return wrong(
            problem, "Let both follow a time server (chrony, systemd-timesyncd); until then this replica is not ready."
        )
    return ok(f"agrees with the database's within {max(0.1, abs((ours - theirs).total_seconds())):.1f} s")


def check_redis(needs: LazyServices) -> Finding:
    """It answers within its 0.2 s, where one is configured."""
    if not needs.settings.redis_url:
        return note("none configured: rate windows count per process, the worker looks twice a second")
    began = time.monotonic()
    if Cache(needs.settings.redis_url).answers():
        return ok(f"answers ({round((time.monotonic() - began) * 1000)} ms)")
    return wrong(
        "does not answer within 0.2 s; sign-in goes on, rate windows per address count per process meanwhile",
        "See that Redis runs and that AUTHSVC_REDIS_URL names it.",
    )


def check_email(needs: LazyServices) -> Finding:
    """The mail gateway would take a mail; none is sent."""
    return _reach(open_senders(needs.settings)["email"], "AUTHSVC_EMAIL_URL")


def check_sms(needs: LazyServices) -> Finding:
    """The text gateway would take a message; none is sent."""
    sender = open_senders(needs.settings).get("sms")
    if sender is None:
        return note("none configured: codes by text message are offered to nobody")
    return _reach(sender, "AUTHSVC_SMS_URL")


def check_keys(needs: LazyServices) -> Finding:
    """Every key opens; each that signs now signs, and what it signed verifies against the published set."""
    ring = open_ring(needs)
    now = needs.clock.now()
    if not ring.entries():
        if needs.settings.is_production:
            return wrong(
                f"the ring in {ring.home.place} is empty",
                "Run `authsvc keys rotate`; no process makes a key by itself.",
            )
        return note(f"the ring in {ring.home.place} is empty; the first start makes its keys")
    if problem := ring.problem:
        return wrong(problem, "See keys/README.md; tokens are signed from memory by the processes that run already.")
    ring.prove()
    algorithms = ring.algorithms()
    if broken := [algorithm for algorithm in algorithms if not _signs(ring, algorithm)]:
        return wrong(f"what {', '.join(broken)} signs does not verify", "Run `authsvc keys withdraw` for that key.")
    every = needs.policies.tokens.keys.rotate_every
    late = [
        a
        for a in algorithms
        if (key := active(ring.entries(), a, now)) and not key.use_until and now > key.use_from + every
    ]
    if late:
        return wrong(f"{', '.join(late)}: rotation is overdue", "See that a worker runs, or run `authsvc keys rotate`.")
    return ok(f"{', '.join(algorithms)} in {ring.home.place} open and sign")


def check_worker(needs: LazyServices) -> Finding:
    """Jobs do not wait, and the trail is sealed: somebody is at work."""
    now = needs.clock.now()
    with needs.database.transaction(read_only=True) as tx:
        if revision.missing(tx):
            return note("cannot be told before the migrations")
        state, unsealed = Queue(needs.clock, Cache("")).state(tx), unsealed_since(tx)
    since = min((at for at in (state.due_since, unsealed) if at is not None), default=now)
    if now - since > WORKER_PATIENCE:
        waited = span(timedelta(seconds=(now - since) // timedelta(seconds=1)))
        return wrong(
            f"{state.due} jobs wait, the oldest work for {waited}: no mail and no text message leaves",
            "Start `authsvc worker`, or look in its log why it stands still.",
        )
    if state.given_up:
        return note(
            f"at work; {state.given_up} jobs of the last 7 days were given up", "Look for job.retry in the log."
        )
    return ok(f"nothing waits ({state.open} jobs open)")


def check_exports(needs: LazyServices) -> Finding:
    """A file of a few bytes can be kept, read and deleted; readiness does not ask, for sign-in does without exports."""
    settings = needs.settings
    store = store_for(
        settings.exports_url, sealer=Sealer(settings.secrets, "fields"), aws_endpoint_url=settings.aws_endpoint_url
    )
    try:
        try_out(store)
    except StoreUnavailable as exc:
        return wrong(
            f"{exc.detail}; exports wait, and none can be downloaded",
            "See that AUTHSVC_EXPORTS_URL names a folder or bucket with room, which this process may write to.",
        )
    return ok(f"{settings.exports_url.partition('?')[0]} keeps a file, reads it and deletes it")


#: In the order of a start: what is wrong above explains what is wrong below.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("settings", check_settings),
    ("policies", check_policies),
    ("database", check_database),
    ("migrations", check_migrations),
    ("clock", check_clock),
    ("redis", check_redis),
    ("email", check_email),
    ("sms", check_sms),
    ("keys", check_keys),
    ("exports", check_exports),
    ("worker", check_worker),
)


def far_away(file: Path, mounts: Path) -> str | None:
    """The kind of network file system that `file` lies on, by the table of mounts; None: a local one, or no such table."""
    if not mounts.exists():
        return None
    table = [line.split() for line in mounts.read_text().splitlines()]
    ours = [(row[1], row[2]) for row in table if len(row) > 2 and file.is_relative_to(row[1].replace("\\040", " "))]
    kind = max(ours, key=lambda mount: len(mount[0]), default=("", ""))[1]
    return kind if kind.startswith(FAR_AWAY) else None


class _TakeBackError(Exception):
    """Ends a transaction without a trace."""


def _write(needs: LazyServices, version: str) -> str:
    """Write a row and take it back; answers what `version` selects. Raises: DatabaseUnavailable."""
    told = ""
    with suppress(_TakeBackError), needs.database.transaction() as tx:
        needs.database.look(tx)
        if not revision.missing(tx):
            tx.execute(insert(ThrottleBucket).values(rate="doctor", key_digest="doctor", empty_at_us=0))
        told = str(tx.execute(text(version)).scalar())
        raise _TakeBackError
    return told


def _first_line(exc: DatabaseUnavailable) -> str:
    """What the driver says, which names host and user and no password; without it, the kind of error."""
    said = str(getattr(exc.__cause__, "orig", "")).partition("\n")[0]
    return said or exc.detail


def _reach(sender: MessageSender, variable: str) -> Finding:
    if not isinstance(sender, Reachable):
        return note("cannot be tried without sending a message")
    found = sender.reach()
    if found.outcome is Outcome.DELIVERED:
        return ok(found.reason or "would take a message")
    return wrong(
        found.reason, f"See that the gateway runs and that {variable} is right; messages wait and are tried again."
    )


def _signs(ring: KeyRing, algorithm: str) -> bool:
    token = jwt.encode(
        {"alg": algorithm}, {"doctor": os.getpid()}, ring.active_as_key_set(algorithm), algorithms=[algorithm]
    )
    return jwt.decode(token, ring.verification_key_set(), algorithms=[algorithm]).claims == {"doctor": os.getpid()}
