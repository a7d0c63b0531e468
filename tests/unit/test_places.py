"""Places by a file of the operator's own (domain D30): what it says and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.errors import ConfigurationError
from authsvc.opening import open_files
from authsvc.settings import Settings
from authsvc.web.places import Places
from tests.support.geoip import city, write

US, FR = ("US", "United States"), ("FR", "France")
ROWS = {
    "5.9.1.0/24": city("Austin", US, area="TX"),
    "5.9.2.0/24": city("Lyon", FR, area="ARA"),
    "5.9.3.0/24": city(None, FR),
    "5.9.4.0/24": city("Springfield", US),
    "5.9.5.0/24": {"registered_country": {"iso_code": "US", "names": {"en": "United States"}}},
    "5.9.6.0/24": {"city": {"names": {"de": "Wien"}}, "country": ["AT"], "subdivisions": {}},
    "5.9.7.0/24": "a line of text",
    "10.0.0.0/8": city("Austin", US, area="TX"),
    "127.0.0.0/8": city("Austin", US, area="TX"),
    "2a01:100::/32": city("Dallas", US, area="TX"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """A file with those rows."""
    opened = Places.open(write(tmp_path_factory.mktemp("geoip") / "city.mmdb", ROWS))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("5.9.1.7", "Austin, TX"),
        ("::ffff:5.9.1.7", "Austin, TX"),
        ("2a01:100::7", "Dallas, TX"),
        ("5.9.2.7", "Lyon, France"),
        ("5.9.3.7", "France"),
        ("5.9.4.7", "Springfield, United States"),
        ("5.9.5.7", ""),
        ("5.9.6.7", ""),
        ("5.9.7.7", ""),
        ("5.9.8.7", ""),
        ("10.1.2.3", ""),
        ("127.0.0.1", ""),
        ("fe80::1%eth0", ""),
        ("unix:", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_d30_a_place_is_what_the_file_says_and_never_guessed(places: Places, address: str | None, words: str) -> None:
    """City and state in the US, city and country elsewhere; where it is registered is not where it is; private: nowhere."""
    assert places.of(address) == words
    assert Places.open(None).of(address) == ""


@given(st.text(max_size=60) | st.ip_addresses().map(str))
def test_d30_no_address_is_an_error(places: Places, address: str) -> None:
    """The header that a proxy passes on may hold anything."""
    assert places.of(address) in {
        "",
        "Austin, TX",
        "Dallas, TX",
        "Lyon, France",
        "France",
        "Springfield, United States",
    }


def test_d30_a_file_of_v4_alone_knows_no_v6_address(tmp_path: Path) -> None:
    """The library would raise."""
    only_v4 = Places.open(write(tmp_path / "v4.mmdb", {"5.9.1.0/24": city("Austin", US, area="TX")}, ip_version=4))
    assert [only_v4.of(one) for one in ("5.9.1.7", "2a01:100::7", "::5.9.1.7")] == ["Austin, TX", "", ""]
    only_v4.close()


def test_a_file_that_tells_no_places_is_refused_with_every_other_mistake(tmp_path: Path) -> None:
    """Not there, of another kind, of networks' owners: one sentence each, at start, beside what else is wrong."""
    other = tmp_path / "other.txt"
    other.write_text("no database")
    owners = write(tmp_path / "asn.mmdb", {"5.9.1.0/24": {"autonomous_system_number": 1}}, kind="GeoLite2-ASN")
    for file, said in (
        (tmp_path / "missing.mmdb", "cannot be read as a MaxMind DB file (.mmdb)"),
        (tmp_path, "cannot be read as a MaxMind DB file (.mmdb)"),
        (other, "cannot be read as a MaxMind DB file (.mmdb)"),
        (owners, "holds neither cities nor countries: it is GeoLite2-ASN"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            open_files(Settings.read(geoip_file=file, breached_passwords_file=other))
        assert caught.value.problems[1] == f"AUTHSVC_GEOIP_FILE names {file}, which {said}"
        assert "AUTHSVC_BREACHED_PASSWORDS_FILE" in caught.value.problems[0]
