"""What the tests of the protocol share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from authsvc.clock import FixedClock
from tests.conftest import START
from tests.protocol.portal import Portal
from tests.protocol.registering import Registering
from tests.support.client_site import ClientSite, client_site
from tests.support.service import Service, make_ring


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, Service]]:
    """The service on each kind of database, once it was needed."""
    kept: dict[str, Service] = {}
    yield kept
    for service in kept.values():
        service.services.database.dispose()


@pytest.fixture
def service(database_url: str, ring_folder: Path, services: dict[str, Service]) -> Service:
    """The same service for every test of this folder, on an empty database, at the same instant, with nothing remembered.

    Half of what a test costs is otherwise spent on starting: importing an RSA key, compiling templates and statements. So a
    test that breaks a part must mend it, or make a service of its own.
    """
    if database_url not in services:
        clock = FixedClock(START)
        services[database_url] = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock))
    service = services[database_url]
    # The rows went, and the connections with them, before this fixture was asked for.
    service.services.database.dispose()
    service.clock.advance(START - service.clock.now())
    service.services.registry.forget()
    service.services.windows._local.storage.reset()
    service.emails.messages.clear()
    service.texts.messages.clear()
    return service


@pytest.fixture
def portal(service: Service) -> Portal:
    """A registered client, and Dana in an account without a second step; on each kind of database."""
    return Portal.on(service)


@pytest.fixture
def registering(service: Service) -> Registering:
    """Somebody who may register."""
    return Registering(service)


@pytest.fixture
def near(database_url: str, ring_folder: Path) -> Iterator[tuple[Service, ClientSite]]:
    """A service that lets clients be on this machine, and a client's site there."""
    clock = FixedClock(START)
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), allow_loopback_clients=True)
    with client_site() as site:
        yield service, site
    service.services.database.dispose()
