"""Several replicas in this process, each with its own memory, behind a door that sends every request to another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Map

from authsvc.app import create_app
from authsvc.keyring.ring import KeyRing
from authsvc.services import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: How many answer as one service. More than one: every test that can choose runs on PostgreSQL, and Redis is there.
REPLICAS = int(os.environ.get("AUTHSVC_TEST_REPLICAS") or 1)
#: Files that every replica has: a page must not come back to the replica it was posted to because of its style sheet.
FILES = ("/static/", "/brand/", "/favicon.ico")


class CompiledTemplates(BytecodeCache):
    """Templates compiled once a process: compiling them takes a quarter of the time of a walk through the pages."""

    def __init__(self) -> None:
        self._by_key: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is there; Jinja checks that it fits the source."""
        if bucket.key in self._by_key:
            bucket.bytecode_from_string(self._by_key[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self._by_key[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()


class InTurn:
    """What a load balancer must never need to be: no two requests in a row of one browser meet the same memory.

    A browser is known by the values of its cookies. Whoever has none goes elsewhere than the last request of anybody.
    """

    def __init__(self, apps: Sequence[Flask]) -> None:
        self.apps = apps
        self._lock, self._numbers = Lock(), count()
        self._last = (-1, -1)
        #: Cookie -> the number of its latest request, and which replica answered that.
        self._met: dict[str, tuple[int, int]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request, at the next replica."""
        cookies = [part.partition("=")[2] for part in environ.get("HTTP_COOKIE", "").split("; ")]
        is_file = environ.get("PATH_INFO", "").startswith(FILES)
        with self._lock:
            met = max((self._met[cookie] for cookie in cookies if cookie in self._met), default=self._last)
            here = (next(self._numbers), (met[1] + 1) % len(self.apps))
            if not is_file:
                self._last = here
                self._met.update(dict.fromkeys(cookies, here))

        def noted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            given = [value.partition(";")[0].partition("=")[2] for name, value in headers if name == "Set-Cookie"]
            with self._lock:
                self._met.update({cookie: here for cookie in given if cookie and not is_file})
            return start_response(status, headers, *rest)

        return self.apps[here[1]](environ, noted)

    def add_url_rule(self, rule: str, **options: Any) -> None:
        """As Flask's, in every replica."""
        for app in self.apps:
            app.add_url_rule(rule, **options)

    @property
    def url_map(self) -> Map:
        """As Flask's; the replicas have the same."""
        return self.apps[0].url_map


def served_by(replicas: Sequence[Services]) -> Flask | InTurn:
    """What answers requests: the application over the one there is, or over each in turn."""
    apps = [create_app(replica) for replica in replicas]
    for app in apps:
        app.jinja_env.bytecode_cache = TEMPLATES
    return InTurn(apps) if len(apps) > 1 else apps[0]


def rings(ring: KeyRing) -> list[KeyRing]:
    """`ring` for the first replica, and for each other one its own reader of the same keys."""
    others = [KeyRing(ring.home, sealer=ring._sealer, clock=ring._clock, kms=ring._kms) for _ in range(1, REPLICAS)]
    return [ring, *others]
