"""What a process opens at start, before it answers anybody: files, the key ring, the senders."""

from __future__ import annotations

from typing import Any

from authsvc.clock import Clock
from authsvc.crypto.breached import BreachedPasswords
from authsvc.crypto.seal import Sealer
from authsvc.db import Database
from authsvc.errors import ConfigurationError
from authsvc.keyring.ring import KeyRing, RingIsEmpty
from authsvc.messaging.message import MessageSender
from authsvc.messaging.senders import sender_for
from authsvc.settings import Settings
from authsvc.web.places import Places


def open_files(settings: Settings) -> tuple[BreachedPasswords, Places]:
    """What the operator supplied to look things up in. Raises: ConfigurationError about all that cannot be used."""
    opened: list[Any] = []
    problems: list[str] = []
    for kind, file in ((BreachedPasswords, settings.breached_passwords_file), (Places, settings.geoip_file)):
        try:
            opened.append(kind.open(file))
        except ConfigurationError as exc:
            problems += exc.problems
    if problems:
        raise ConfigurationError(problems)
    return opened[0], opened[1]


def open_ring(settings: Settings, clock: Clock, database: Database) -> KeyRing:
    """The key ring; made here in development only. Raises: RingIsEmpty in production: no process invents a key silently."""
    ring = KeyRing.open(
        settings.keys_url,
        sealer=Sealer(settings.secrets, "keyring"),
        clock=clock,
        database=database,
        aws_endpoint_url=settings.aws_endpoint_url,
    )
    if not ring.entries():
        if settings.is_production:
            raise RingIsEmpty
        ring.create_first_keys()
    ring.prove()
    return ring


def open_senders(settings: Settings) -> dict[str, MessageSender]:
    """The senders by channel; a channel without one is not offered to anybody."""

    def opened(url: str) -> MessageSender:
        return sender_for(url, email_from=settings.email_from, aws_endpoint_url=settings.aws_endpoint_url)

    senders = {"email": opened(settings.email_url)}
    if not settings.sms_url.startswith("none:"):
        senders["sms"] = opened(settings.sms_url)
    return senders
