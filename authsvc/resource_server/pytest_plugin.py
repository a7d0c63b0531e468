"""The pytest plugin: the fixture `ims_issuer`. Registered by the package, so there is nothing to import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from authsvc.resource_server.testing import MockIssuer


@pytest.fixture
def ims_issuer() -> Iterator[MockIssuer]:
    """A MockIssuer of this test alone (authsvc.resource_server.testing)."""
    # Here, not above: a run that never asks for the fixture does not pay for the kit.
    from authsvc.resource_server.testing import MockIssuer

    with MockIssuer() as issuer:
        yield issuer
