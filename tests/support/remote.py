"""The service as a real process, and a person who reaches it over the network."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import psutil
import requests
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request, Response

from tests.support.journey import Person
from tests.support.processes import Running, accepts, free_port, poll, running
from tests.support.proxy import Balancer, balancer_of
from tests.support.service import SECRET

#: Starts the service in a folder of some name, filled from YAML text; the fixture `serve`.
Serve = Callable[[str, str], AbstractContextManager["Served"]]
AUTHSVC = [sys.executable, "-m", "authsvc"]
CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
CODES = ("sign_in_code", "verify_email_code", "phone_code")
NETWORK_TROUBLE = (requests.RequestException, HTTPException)


class RemotePerson(Person):
    """A person whose requests are real ones. `retries`: how often a request that got no answer was sent again."""

    def __init__(self, issuer: str, *, may_retry: bool = False) -> None:
        super().__init__(None, issuer)
        self.http, self.may_retry, self.retries = requests.Session(), may_retry, 0
        # Cookies come without `Secure` on a loopback issuer; the environment's proxies are nobody's business here.
        self.http.trust_env = False

    def cookie(self, name: str) -> str | None:
        """The value of a cookie, by the start of its name."""
        return next((cookie.value for cookie in self.http.cookies if cookie.name.startswith(name)), None)

    def _send(self, method: str, path: str, **rest: Any) -> Any:
        headers = {"User-Agent": self.user_agent, **rest.pop("headers", {})}
        where, _, query = path.partition("?")
        params = [*parse_qsl(query), *(rest.get("query_string") or {}).items()]
        url = self.issuer + where + (f"?{urlencode(params)}" if params else "")

        def once() -> requests.Response:
            return self.http.request(
                method, url, data=rest.get("data"), headers=headers, allow_redirects=False, timeout=10
            )

        try:
            got = once()
        except NETWORK_TROUBLE:
            if not self.may_retry:
                raise
            self.retries += 1
            poll(lambda: accepts(urlsplit(self.issuer).port or 80), what="the service after the kill")
            got = once()
        answer = Response(
            got.content, got.status_code, [(k, v) for k, v in got.headers.items() if k.lower() != "content-encoding"]
        )
        asked = Request.from_values(path=urlsplit(url).path, query_string=urlsplit(url).query)
        return TestResponse(answer.response, f"{got.status_code} ", answer.headers, asked)


@dataclass
class Served:
    """A started service in a folder of its own."""

    issuer: str
    folder: Path
    environment: dict[str, str]
    process: Running

    def run(self, *arguments: str) -> str:
        """Run a command of the service there; answers its output."""
        import subprocess

        done = subprocess.run(
            [*AUTHSVC, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def web_workers(self) -> list[psutil.Process]:
        """The processes that answer requests: gunicorn's children."""
        tree = psutil.Process(self.process.pid).children(recursive=True)
        masters = [p for p in tree if "gunicorn" in " ".join(p.cmdline()) and p.ppid() == self.process.pid]
        return [child for master in masters for child in master.children()]

    def code_for(self, address: str, *, after: int) -> str:
        """The newest code for an address among the messages beyond the first `after` of them."""

        def newest() -> str | None:
            messages = [json.loads(path.read_text()) for path in sorted((self.folder / "var/outbox").glob("*.json"))]
            mine = [m for m in messages if m["to"] == address and m["purpose"] in CODES][after:]
            found = CODE.search(mine[-1]["text"]) if mine else None
            return found.group() if found else None

        return poll(newest, 30, what=f"a code for {address}") or ""

    def messages_to(self, address: str) -> int:
        """How many codes went to an address; notices are not counted."""
        messages = [json.loads(path.read_text()) for path in (self.folder / "var/outbox").glob("*.json")]
        return sum(message["to"] == address and message["purpose"] in CODES for message in messages)


@contextmanager
def served(folder: Path, provisioning: str, **settings: str) -> Iterator[Served]:
    """`authsvc serve` on a free port with SQLite and the `dir:` senders, provisioned from YAML text."""
    port = free_port()
    environment = provisioned(
        folder, provisioning, f"http://127.0.0.1:{port}", AUTHSVC_BIND=f"127.0.0.1:{port}", **settings
    )
    with running([*AUTHSVC, "serve"], environment, ready=lambda: accepts(port), cwd=folder, deadline_s=120) as process:
        yield Served(environment["AUTHSVC_ISSUER"], folder, environment, process)


@contextmanager
def served_twice(folder: Path, provisioning: str, **settings: str) -> Iterator[tuple[list[Served], Balancer]]:
    """Two of them on the same database, key ring and outbox, and what stands at their issuer before them."""
    ports = [free_port(), free_port()]
    with balancer_of([("127.0.0.1", port) for port in ports]) as balancer, ExitStack() as stack:
        environment = provisioned(folder, provisioning, f"http://127.0.0.1:{balancer.port}", **settings)
        replicas = []
        for port in ports:
            own = {**environment, "AUTHSVC_BIND": f"127.0.0.1:{port}"}
            # They start at the same time, as replicas of a fresh installation do.
            process = stack.enter_context(running([*AUTHSVC, "serve"], own, ready=lambda: True, cwd=folder))
            replicas.append(Served(environment["AUTHSVC_ISSUER"], folder, own, process))
        for port in ports:
            poll(lambda p=port: accepts(p), 120, what="a listening replica")
        yield replicas, balancer


def provisioned(folder: Path, provisioning: str, issuer: str, **settings: str) -> dict[str, str]:
    """The environment of a service in `folder`, migrated and filled from YAML text."""
    environment = {
        **os.environ,
        "AUTHSVC_ISSUER": issuer,
        "AUTHSVC_SECRET": SECRET,
        "AUTHSVC_LOG_LEVEL": "warning",
        "DEMO_PASSWORD": "quiet harbor maple lantern",
        "PORTAL_SECRET": "portal-secret-0123456789",
        "DESK_SECRET": "desk-secret-0123456789",
        "INVESTORS_SECRET": "investors-secret-0123456789",
        **settings,
    }
    (folder / "file.yaml").write_text(provisioning)
    import subprocess

    for arguments in (["migrate"], ["apply", "file.yaml"]):
        subprocess.run([*AUTHSVC, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
    return environment


def on_postgres(database_url: str) -> dict[str, str]:
    """Settings of a small process beside others on one PostgreSQL and one disk."""
    return {
        "AUTHSVC_DATABASE_URL": database_url,
        "AUTHSVC_EXPORTS_URL": "dir:var/exports?shared",
        "AUTHSVC_WORKERS": "1",
    }
