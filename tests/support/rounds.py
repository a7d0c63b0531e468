"""How often a race is run: a few times in the suite, as often as security.md asks with `make faults`."""

from __future__ import annotations

import os

FULL = os.environ.get("AUTHSVC_TEST_FAULTS") == "full"


def rounds(few: int, full: int = 1_000) -> int:
    """How many times, here and now."""
    return full if FULL else few
