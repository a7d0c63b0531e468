"""Servers that can be measured. A peer joins by a class like AuthsvcTarget and a line in TARGETS."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import urlopen

import psutil
import yaml
from argon2 import PasswordHasher

from bench.browser import REDIRECT, Answer, Browser, FirstForm, UnexpectedAnswer
from bench.processes import pinned, tree
from bench.site import Client, Person, SignInPages, Site
from tests.support.postgres import connect, new_database
from tests.support.processes import free_port, running

ROOT = Path(__file__).resolve().parents[1]
#: More than any round asks for, over a second so that the windows kept in memory stay short.
NO_LIMIT = "1000000 per 1s"
READY_WITHIN_S = 60.0


class TargetFailed(Exception):
    """The server under test could not be made ready; the text says why."""


@dataclass(frozen=True)
class Started:
    """A server that answers."""

    site: Site
    #: Root of the process tree whose CPU time is charged.
    pid: int
    #: Seconds from the start of the command to its first answer.
    first_answer_s: float
    #: What the report says about it: name to a few words.
    facts: Mapping[str, str]
    #: An argon2 hash of the people's password with the costs in force; None for a server that hashes otherwise.
    password_hash: str | None = None
    #: Which processes of the tree are beside the answering of requests; charged all the same, and shown apart too.
    is_aside: Callable[[psutil.Process], bool] = lambda _process: False
    #: Root of a database server's process tree on this machine, charged apart.
    store_pid: int | None = None


class Target(Protocol):
    """A server: how it is started and how people sign in to it."""

    name: ClassVar[str]
    sign_in_pages: ClassVar[SignInPages]

    def started(self, folder: Path, *, core: int | None) -> AbstractContextManager[Started]:
        """The server, ready, on `core`, with its data in the empty `folder`; ended on leaving. Raises: TargetFailed."""


def fill_in_password_form(browser: Browser, address: str, person: Person, redirect_uri: str) -> Answer:
    """The pages of authsvc: one form with email and password, then redirects to the client. Raises: UnexpectedAnswer."""
    form = FirstForm(browser.get(address).body)
    if form.action is None:
        raise UnexpectedAnswer("a sign-in page without a form")
    action = urljoin(address, form.action)
    answer = browser.post(action, form.fields | {"email": person.email, "password": person.password}, expect=REDIRECT)
    while not answer.location.startswith(redirect_uri):
        answer = browser.get(urljoin(action, answer.location), expect=REDIRECT)
    return answer


@dataclass(frozen=True)
class AuthsvcTarget:
    """`authsvc serve` as it is shipped: one web worker, the job worker beside it, log lines into a file.

    `database_url`: a PostgreSQL server to make a scratch database on; None: SQLite in the scratch folder.
    """

    database_url: str | None = None
    people: int = 200
    name: ClassVar[str] = "authsvc"
    sign_in_pages: ClassVar[SignInPages] = staticmethod(fill_in_password_form)
    _password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    _secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @contextmanager
    def started(self, folder: Path, *, core: int | None) -> Iterator[Started]:
        """Migrate, provision, serve."""
        base_url = f"http://127.0.0.1:{free_port()}"
        site = self._site(base_url)
        policies = raised_policies(folder / "policies")
        costs = yaml.safe_load((policies / "password.yaml").read_text())["hash"]
        hasher = PasswordHasher(
            time_cost=costs["iterations"], memory_cost=costs["memory_kib"], parallelism=costs["parallelism"]
        )
        password_hash = hasher.hash(self._password)
        (folder / "bench.yaml").write_text(json.dumps(provisioning(site, password_hash)))
        with ExitStack() as stack:
            environment = self._environment(stack, folder, site, policies)
            for command in (["migrate"], ["apply", "bench.yaml"]):
                run_once([sys.executable, "-m", "authsvc", *command], environment, folder)
            began = time.perf_counter()
            with pinned(core):
                serve = [sys.executable, "-m", "authsvc", "serve"]
                ready = answers(site)
                process = stack.enter_context(
                    running(serve, environment, ready=ready, cwd=folder, deadline_s=READY_WITHIN_S)
                )
            yield Started(
                site=site,
                pid=process.pid,
                first_answer_s=time.perf_counter() - began,
                facts={
                    "server": "gunicorn gthread, 1 web worker, job worker beside it",
                    "limits": f"throttle.yaml raised to {NO_LIMIT}",
                }
                | self._database_facts(folder),
                password_hash=password_hash,
                is_aside=is_not_gunicorn,
                store_pid=postmaster(self.database_url) if self.database_url else None,
            )

    def _site(self, base_url: str) -> Site:
        return Site(
            target=self.name,
            base_url=base_url,
            machine=Client("bench-machine", self._secret, "bench.read"),
            web=Client(
                "bench-web", self._secret, "openid profile email offline_access", "http://127.0.0.1:8001/callback"
            ),
            people=tuple(Person(f"person{number}@bench.example", self._password) for number in range(self.people)),
        )

    def _environment(self, stack: ExitStack, folder: Path, site: Site, policies: Path) -> dict[str, str]:
        # Empty counts as unset: what the caller has in the environment has no say in what is measured.
        environment = {name: "" for name in os.environ if name.startswith("AUTHSVC_")}
        environment |= {
            "AUTHSVC_ISSUER": site.base_url,
            "AUTHSVC_BIND": site.base_url.removeprefix("http://"),
            "AUTHSVC_POLICIES_DIR": str(policies),
            "AUTHSVC_WORKERS": "1",
            "BENCH_SECRET": self._secret,
            "PYTHONPATH": str(ROOT),
        }
        if self.database_url:
            name = f"authsvc_bench_{secrets.token_hex(4)}"
            environment["AUTHSVC_DATABASE_URL"] = stack.enter_context(new_database(self.database_url, name))
        return environment

    def _database_facts(self, folder: Path) -> dict[str, str]:
        if self.database_url:
            with connect(self.database_url) as connection:
                row = connection.execute("SHOW server_version").fetchone()
            return {"database": f"PostgreSQL {row[0] if row else '?'}, a scratch database, not pinned"}
        return {"database": f"SQLite {sqlite3.sqlite_version} in a scratch folder on {file_system_of(folder)}"}


TARGETS: dict[str, type[AuthsvcTarget]] = {AuthsvcTarget.name: AuthsvcTarget}


def raised_policies(to: Path) -> Path:
    """A copy of policies/ in which nothing is too often; everything else stays as it is shipped."""
    shutil.copytree(ROOT / "policies", to)
    throttle = yaml.safe_load((to / "throttle.yaml").read_text())
    throttle["limits"] = {name: [NO_LIMIT] for name in throttle["limits"]}
    (to / "throttle.yaml").write_text(yaml.safe_dump(throttle))
    return to


def provisioning(site: Site, password_hash: str) -> dict[str, object]:
    """What `authsvc apply` is given: an account without two-step verification, its people, two clients, one API."""
    secret = {"env": "BENCH_SECRET"}
    off = {"enabled": False}
    people = [
        {"email": p.email, "name": f"Person {n}", "email_verified": True, "password_hash": password_hash}
        for n, p in enumerate(site.people)
    ]
    return {
        "schema": "authsvc/config/1",
        "accounts": [
            {
                "slug": "bench",
                "name": "Bench",
                "portal_url": "http://127.0.0.1:8001",
                "mfa": {"team": off, "investors": off},
                "members": people,
            }
        ],
        "clients": [
            {
                "client_id": site.machine.client_id,
                "client_name": "Bench machine",
                "client_secret": secret,
                "grant_types": ["client_credentials"],
                "scope": site.machine.scope,
            },
            {
                "client_id": site.web.client_id,
                "client_name": "Bench portal",
                "client_secret": secret,
                "redirect_uris": [site.web.redirect_uri],
                "grant_types": ["authorization_code", "refresh_token"],
                "scope": site.web.scope,
            },
        ],
        "resource_servers": [{"identifier": "https://api.bench.example", "scopes": site.machine.scope.split()}],
    }


def run_once(command: list[str], environment: Mapping[str, str], folder: Path) -> None:
    """A command that must succeed. Raises: TargetFailed with what it wrote."""
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TargetFailed(f"{' '.join(command[1:])} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")


def answers(site: Site) -> Callable[[], bool]:
    """Whether the discovery document is served."""

    def ready() -> bool:
        try:
            with urlopen(urljoin(site.base_url, site.discovery), timeout=2) as answer:
                return bool(answer.status == 200)
        except URLError:
            return False

    return ready


def is_not_gunicorn(process: psutil.Process) -> bool:
    """Supervisor and job worker: they answer no request."""
    return "gunicorn" not in " ".join(process.cmdline())


def postmaster(url: str) -> int | None:
    """The root process of the PostgreSQL at `url`; None when it runs on another machine, where its CPU is not seen."""
    with connect(url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        processes = tree(row[0]) if row else []
        if not processes or not processes[0].name().startswith("postgres"):
            return None
        parent = processes[0].parent()
        return parent.pid if parent else None


def file_system_of(folder: Path) -> str:
    """Its kind, such as ext4 or tmpfs: what a durable write costs depends on it."""
    above = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(above, key=lambda part: len(part.mountpoint)).fstype if above else "?"
