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
    service.dispose()
