"""`authsvc demo`: the service with a portal, a microservice and an inbox around it, on loopback, from an empty folder."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from authsvc import logs
from authsvc.db import migrate
from authsvc.demo.calls import Send, Unreachable, over_network
from authsvc.demo.inbox import OUTBOX
from authsvc.demo.places import HOST, PORTS, Places, Sample, provisioning, url_of
from authsvc.errors import ConfigurationError
from authsvc.settings import Settings
from authsvc.supervisor import Child, supervise

FOLDER = Path("var")
#: How long the four programs may take to answer for the first time.
PATIENCE_S = 60.0
#: Unrelated, easy to type and to tell apart. Four of them are no secret for the world, but plenty for loopback.
WORDS = (
    *(
        "amber",
        "anchor",
        "basket",
        "birch",
        "bramble",
        "cactus",
        "candle",
        "canyon",
        "cedar",
        "cobalt",
        "copper",
        "cricket",
    ),
    *(
        "dolphin",
        "ember",
        "falcon",
        "fiddle",
        "garden",
        "ginger",
        "glacier",
        "hammer",
        "harbor",
        "hazel",
        "island",
        "ivory",
    ),
    *(
        "juniper",
        "kettle",
        "lantern",
        "lemon",
        "magnet",
        "maple",
        "meadow",
        "mirror",
        "mosaic",
        "nutmeg",
        "orchard",
        "otter",
    ),
    *(
        "paper",
        "pebble",
        "pepper",
        "pigeon",
        "planet",
        "prairie",
        "quartz",
        "rabbit",
        "raven",
        "ribbon",
        "saddle",
        "salmon",
    ),
    *(
        "sparrow",
        "summit",
        "thistle",
        "timber",
        "tulip",
        "tunnel",
        "velvet",
        "violin",
        "walnut",
        "window",
        "winter",
        "zephyr",
    ),
)


class AddressTaken(ConfigurationError):
    """Somebody else listens where a part of the demonstration would."""


def main(settings: Settings) -> int:
    """Run it all until Ctrl-C; answers the exit status. Raises: ConfigurationError before anything was started."""
    if settings.is_production:
        raise ConfigurationError(["the demonstration is for development; unset AUTHSVC_ENV to run it"])
    places, sample = Places.read(os.environ), Sample.read()
    refuse_taken(places)
    secret_values = keep_secrets(FOLDER / "demo.env", os.environ)
    shared = environment(places, os.environ)
    logs.configure(shared["AUTHSVC_LOG_LEVEL"])
    click.echo("Starting the demonstration …")
    if not prepare(settings, places, {**shared, **secret_values}):
        return 1
    programs = children(shared, secret_values)
    ended = threading.Event()
    screen = screen_for(places, sample, password=secret_values["DEMO_PASSWORD"])
    threading.Thread(target=announce, args=(places, screen, ended), daemon=True).start()
    try:
        return supervise(programs)
    finally:
        ended.set()


def refuse_taken(places: Places) -> None:
    """Raises: AddressTaken that names every port in use."""
    taken = []
    for name, port in asdict(places).items():
        with socket.socket() as probe:
            # As the servers do: what a server left behind a moment ago is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                taken.append(f"port {port} ({name.replace('_', '-')})")
    if taken:
        raise AddressTaken([f"another program uses {', '.join(taken)}; stop it, or name four free ports in {PORTS}"])


def keep_secrets(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets of this demonstration: from the environment, else from `file`, else made and kept there for this user alone.

    They last, because a new password would end every session and every remembered device.
    """
    kept = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line) if file.exists() else {}
    made = {
        "PORTAL_SECRET": secrets.token_urlsafe(32),
        "DESK_SECRET": secrets.token_urlsafe(32),
        "INVESTORS_SECRET": secrets.token_urlsafe(32),
        "DEMO_PASSWORD": " ".join(secrets.choice(WORDS) for _ in range(4)),
    }
    missing = {name: value for name, value in made.items() if name not in kept}
    if missing:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as stream:
            stream.writelines(f"{name}={value}\n" for name, value in missing.items())
    return {name: environ.get(name) or kept.get(name) or made[name] for name in made}


def environment(places: Places, environ: Mapping[str, str]) -> dict[str, str]:
    """What every program is told. Senders are fixed: nothing of the demonstration may reach a real mailbox."""
    outbox = str(FOLDER / "outbox")
    return {
        "AUTHSVC_ISSUER": url_of(places.sign_in),
        "AUTHSVC_BIND": f"{HOST}:{places.sign_in}",
        "AUTHSVC_EMAIL_URL": f"dir:{outbox}",
        "AUTHSVC_SMS_URL": f"dir:{outbox}",
        # The terminal belongs to the addresses and the password, unless somebody wants to read along.
        "AUTHSVC_LOG_LEVEL": environ.get("AUTHSVC_LOG_LEVEL") or "warning",
        OUTBOX: outbox,
        **places.as_environment(),
    }


def prepare(settings: Settings, places: Places, told: Mapping[str, str]) -> bool:
    """Migrate, then `authsvc apply`, as anybody would. False, with what the command said, when it fails."""
    if migrate.missing(settings.database_url):
        migrate.upgrade(settings.database_url)
    file = FOLDER / "demo.yaml"
    file.write_text(provisioning(places))
    command = [sys.executable, "-m", "authsvc", "apply", str(file)]
    done = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        click.echo(f"`authsvc apply {file}` failed:\n{done.stderr or done.stdout}", err=True)
    return done.returncode == 0


def children(shared: Mapping[str, str], secret_values: Mapping[str, str]) -> list[Child]:
    """The programs; each is told what it needs and no more."""

    def own(name: str, *secret_names: str) -> Child:
        told = {**shared, **{each: secret_values[each] for each in secret_names}}
        return Child(name, [sys.executable, "-m", f"authsvc.demo.{name}"], environment=told)

    service = Child(
        "sign-in service", [sys.executable, "-m", "authsvc", "serve"], essential=True, environment=dict(shared)
    )
    return [service, own("portal", "PORTAL_SECRET"), own("microservice", "INVESTORS_SECRET"), own("inbox")]


def announce(places: Places, screen: str, ended: threading.Event, send: Send | None = None) -> None:
    """Print the screen once everything answers; say what does not, when it takes too long."""
    send = send or over_network()
    waiting = {
        name: f"{url_of(port)}/{'readyz' if name == 'sign_in' else 'healthz'}" for name, port in asdict(places).items()
    }
    for _ in range(int(PATIENCE_S / 0.1)):
        waiting = {name: url for name, url in waiting.items() if not _answers(send, url)}
        if not waiting:
            click.echo(screen)
            return
        if ended.wait(0.1):
            return
    click.echo(f"After {PATIENCE_S:g} s these do not answer: {', '.join(waiting.values())}", err=True)


def _answers(send: Send, url: str) -> bool:
    try:
        return send("GET", url, headers={}).status_code == 200
    except Unreachable:
        return False


def screen_for(places: Places, sample: Sample, *, password: str) -> str:
    """What a newcomer needs to know, on one screen."""
    return f"""
  {click.style("The demonstration is running.", bold=True)} Start at the portal:

    Portal            {click.style(url_of(places.portal), bold=True)}
    Email             {sample.email}
    Password          {password}
    Inbox with codes  {url_of(places.inbox)}

    Sign-in service   {url_of(places.sign_in)}
    Microservice      {url_of(places.microservice)}

  What to try
    1. Sign in, choose text message or email, take the code from the inbox, tick Remember Me.
    2. Sign out and in again: no code is asked, and the portal shows why.
    3. Open the bank details: the microservice wants a fresh code although the device is remembered.
    4. Press Export bank details: the file waits in My Profile > Exports, for this person alone.

  Ctrl-C ends everything. What it knows is kept in var/ and keys/.
"""
