"""`authsvc serve`, `worker` and `demo`: processes that stay."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial

import click

from authsvc import app
from authsvc.cli.context import LazyServices
from authsvc.metrics.serving import FOLDER, forget_process, is_shared, serving, shared_folder
from authsvc.settings import Settings
from authsvc.supervisor import Child, supervise
from authsvc.tracing import begin

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:authsvc.gunicorn_conf", "authsvc.wsgi:application"]
WORKER = [sys.executable, "-m", "authsvc", "worker"]


@click.command()
@click.pass_obj
def serve(needs: LazyServices) -> None:
    """Run the web server, and the job worker beside it unless AUTHSVC_EMBEDDED_WORKER=0."""
    check_start(needs)
    settings = needs.settings
    if not settings.metrics_bind:
        if not settings.embedded_worker:
            os.execv(sys.executable, GUNICORN)  # noqa: S606 - our own fixed command
        sys.exit(supervise(children(settings)))
    with shared_folder() as (environment, counted), serving(needs.services, counted):
        sys.exit(supervise(children(settings, environment), partial(forget_process, folder=environment[FOLDER])))


def children(settings: Settings, environment: Mapping[str, str] | None = None) -> list[Child]:
    """The processes of a server."""
    web = Child("web", GUNICORN, essential=True, environment=environment or {})
    return [web, Child("worker", WORKER, environment=environment or {})] if settings.embedded_worker else [web]


@click.command()
@click.pass_obj
def worker(needs: LazyServices) -> None:
    """Deliver messages, seal the audit trail, tidy up. As many as you like may run."""
    running = app.make_worker(needs.services)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop.set())
    if (tracing := begin(os.environ)) is not None:
        tracing.database(needs.services.database.engine)
        running.handlers = {kind: tracing.job(kind, handler) for kind, handler in running.handlers.items()}
    is_ours = bool(needs.settings.metrics_bind) and not is_shared()
    with serving(needs.services, needs.services.metrics.registry) if is_ours else nullcontext():
        running.run()


@click.command()
@click.pass_obj
def demo(needs: LazyServices) -> None:
    """Run everything a newcomer wants to see, on loopback: sign-in, a portal, a microservice, an inbox. Development only."""
    from authsvc.demo import run

    sys.exit(run.main(needs.settings))


def check_start(needs: LazyServices) -> None:
    """Refuse to start half-configured, in one place and before any process is forked."""
    services = needs.services
    services.database.ping()
    services.database.dispose()
    click.echo(
        f"authsvc listens on {needs.settings.bind} as {needs.settings.issuer}; policies {services.policies.short_hash}.",
        err=True,
    )
