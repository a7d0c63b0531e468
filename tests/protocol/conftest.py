"""What the tests of the protocol share."""

from __future__ import annotations

import pytest

from tests.protocol.portal import Portal
from tests.support.service import Service


@pytest.fixture
def portal(service: Service) -> Portal:
    """A registered client, and Dana in an account without a second step; on each kind of database."""
    return Portal.on(service)
