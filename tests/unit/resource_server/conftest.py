"""One issuer, one pair of clocks, and a verifier that knows only these."""

from __future__ import annotations

import pytest

from authsvc.resource_server import TokenVerifier
from tests.unit.resource_server.local_issuer import LocalIssuer, Time


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def issuer() -> LocalIssuer:
    return LocalIssuer()


@pytest.fixture
def verify(issuer: LocalIssuer, time: Time) -> TokenVerifier:
    return issuer.verifier(time)
