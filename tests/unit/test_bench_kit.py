"""The kit's benchmark: its arithmetic, and that every contestant really verifies. A wrong figure in a table is believed."""

from __future__ import annotations

import json

import pytest

from authsvc.resource_server import InvalidToken
from authsvc.resource_server.testing import MockIssuer, State
from bench.kit import BARE, TITLES, Took, of_python, table


def rounds(*cpu_us: float) -> list[Took]:
    """Rounds with these figures."""
    return [Took(figure, figure * 2) for figure in cpu_us]


def test_each_share_is_taken_within_its_round() -> None:
    """A machine that was slow for a whole round has slowed both."""
    found = {name: rounds(100, 400, 100) for name in TITLES} | {
        "first": rounds(110, 440, 110),
        "again": rounds(2, 8, 2),
    }

    lines = table(found)

    assert len(lines) == 2 + len(TITLES)
    assert lines[2] == f"| {TITLES[BARE]} | 100 [100..400] | 200 [200..800] | 100% | 10,000 |"
    assert lines[5].endswith("| 110% | 9,091 |")
    assert lines[6] == f"| {TITLES['again']} | 2.00 [2.00..8.00] | 4.00 [4.00..16.0] | 2% | 500,000 |"


def test_no_rounds_make_no_table() -> None:
    """Rather than a table of zeros."""
    with pytest.raises(ValueError, match="no rounds"):
        table({name: [] for name in TITLES})


def test_every_contestant_verifies_what_it_is_given(ims_issuer: MockIssuer) -> None:
    """One that let everything pass would be fast."""
    jwk = json.loads(ims_issuer.fetch(f"{ims_issuer.issuer}/oauth/jwks")[0])["keys"][-1]
    good, stranger = ims_issuer.mint(), ims_issuer.mint(State.UNKNOWN_KEY)
    for name, run in of_python(ims_issuer, jwk).items():
        took = run([good])
        assert took.wall_us > 0, name
        with pytest.raises(InvalidToken if name in ("first", "again") else Exception):
            run([stranger])
        with pytest.raises(Exception, match=r".+"):
            run([ims_issuer.mint(State.WRONG_AUDIENCE)])
