"""`authsvc serve`, `worker` and `demo`: processes that stay."""

from __future__ import annotations

import os
import signal
import sys

import click

from authsvc import app
from authsvc.cli.context import LazyServices
from authsvc.supervisor import Child, supervise

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:authsvc.gunicorn_conf", "authsvc.wsgi:application"]
WORKER = [sys.executable, "-m", "authsvc", "worker"]


@click.command()
@click.pass_obj
def serve(needs: LazyServices) -> None:
    """Run the web server, and the job worker beside it unless AUTHSVC_EMBEDDED_WORKER=0."""
    check_start(needs)
    if not needs.settings.embedded_worker:
        os.execv(sys.executable, GUNICORN)  # noqa: S606 - our own fixed command
    sys.exit(supervise([Child("web", GUNICORN, essential=True), Child("worker", WORKER)]))


@click.command()
@click.pass_obj
def worker(needs: LazyServices) -> None:
    """Deliver messages, seal the audit trail, tidy up. As many as you like may run."""
    running = app.make_worker(needs.services)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop.set())
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
