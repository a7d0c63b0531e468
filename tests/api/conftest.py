"""Two accounts with a person each, and a machine that may touch the first one alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from authsvc.accounts.models import Account, Membership
from tests.support.api import Machine
from tests.support.service import DANA, Service

PRIYA, OMAR = "priya@northgate.example", "omar@kestrel.example"


@dataclass
class World:
    """What there is."""

    service: Service
    northgate: Account
    kestrel: Account
    dana: Membership
    priya: Membership
    omar: Membership
    #: May touch northgate alone.
    desk: Machine

    def now(self, membership: Membership) -> Membership:
        """As it is stored now."""
        with self.service.services.database.transaction(read_only=True) as tx:
            return tx.get_one(Membership, membership.id)

    def refused(self, kind: str) -> int:
        """How many foreign rows of this kind the trail has."""
        return sum(event.fields == {"what": kind} for event in self.service.events("access.refused"))


def make_world(service: Service) -> World:
    """On this service."""
    northgate, kestrel = service.account(mfa="email+sms"), service.account("kestrel")
    return World(
        service,
        northgate,
        kestrel,
        dana=service.member(northgate, DANA, role="admin", sensitive=True),
        priya=service.member(northgate, PRIYA),
        omar=service.member(kestrel, OMAR),
        desk=Machine.on(service, accounts=["northgate"]),
    )


@pytest.fixture
def world(service: Service) -> World:
    """On each kind of database."""
    return make_world(service)
