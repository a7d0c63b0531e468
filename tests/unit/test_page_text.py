"""How pages write instants, addresses and browsers (ux.md section 2, rules 11 and 12)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.web.text import (
    Time,
    browser_label,
    clock_time,
    day,
    exact_time,
    full_time,
    host_of,
    mask_email,
    mask_phone,
    phone_ending,
)

NEW_YORK = ZoneInfo("America/New_York")
AFTERNOON = datetime(2026, 11, 22, 21, 31, 10, tzinfo=UTC)
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
AGENTS = {
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME} Safari/537.36": "Chrome on macOS",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/130.0.0.0": "Edge on Windows",
    "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0": "Firefox on Linux",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/18.0 Safari/605.1.15": "Safari on macOS",
    f"{IPHONE} {APPLE} Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
    f"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) {APPLE} CriOS/130.0 Mobile/15E148 Safari/604.1": "Chrome on iPad",
    f"{IPHONE} {APPLE} FxiOS/131.0 Mobile/15E148 Safari/605.1.15": "Firefox on iPhone",
    f"{ANDROID} {CHROME} Mobile Safari/537.36": "Chrome on Android",
    f"{ANDROID} {CHROME} Mobile Safari/537.36 EdgA/130.0.0.0": "Edge on Android",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 OPR/115.0.0.0": "Opera on Windows",
    f"Mozilla/5.0 (X11; FreeBSD amd64) {CHROME} Safari/537.36": "Chrome",
    f"{ANDROID} {APPLE} SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36": "A browser on Android",
    "Mozilla/5.0 (Linux; U; Android 4.4) AppleWebKit/534.30 Version/4.0 Mobile Safari/534.30": "A browser on Android",
    "curl/8.5.0": "A browser",
    "": "A browser",
}


def test_times_are_in_the_persons_zone_with_its_name() -> None:
    """Rule 11: 12 hours, no leading zero, always the abbreviation; the zone's own on that day."""
    assert clock_time(AFTERNOON, NEW_YORK) == "4:31 PM EST"
    assert exact_time(AFTERNOON, NEW_YORK) == "4:31:10 PM EST"
    assert full_time(AFTERNOON, NEW_YORK) == "Nov 22, 2026, 4:31 PM EST"
    assert day(datetime(2026, 12, 23, 3, 0, tzinfo=UTC), NEW_YORK) == "Dec 22"
    assert full_time(datetime(2026, 7, 4, 16, 5, tzinfo=UTC), NEW_YORK) == "Jul 4, 2026, 12:05 PM EDT"
    assert clock_time(datetime(2026, 7, 4, 4, 5, tzinfo=UTC), NEW_YORK) == "12:05 AM EDT"


def test_a_zone_without_a_name_is_written_as_its_distance_from_utc() -> None:
    """Zones such as Sao Paulo's have only a number in the zone database; alone it would read as part of the time."""
    assert clock_time(AFTERNOON, ZoneInfo("America/Sao_Paulo")) == "6:31 PM UTC-03"


def test_a_time_carries_the_instant_for_machines() -> None:
    """What `<time datetime>` needs: the same instant, with its offset."""
    assert Time.clock(AFTERNOON, NEW_YORK) == Time("4:31 PM EST", "2026-11-22T16:31:10-05:00")
    assert Time.full(AFTERNOON, NEW_YORK).text == "Nov 22, 2026, 4:31 PM EST"


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("dana@northgate.example", "d•••@northgate.example"),
        ("d@northgate.example", "d•••@northgate.example"),
        ("@northgate.example", "•••"),
        ("nonsense", "•••"),
        ("", "•••"),
    ],
)
def test_a_masked_address_shows_one_letter_and_the_domain(address: str, masked: str) -> None:
    """Rule 12; the number of bullets says nothing about the length."""
    assert mask_email(address) == masked


def test_a_masked_number_shows_two_digits() -> None:
    """Rule 12: "ending in 42"."""
    assert phone_ending("+15125550142") == "42"
    assert mask_phone("+15125550142") == "ending in 42"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://portal.northgate.example/exports?x=1", "portal.northgate.example"),
        ("https://Portal.Northgate.example:443", "portal.northgate.example"),
        ("http://127.0.0.1:8001", "127.0.0.1:8001"),
        ("https://someone@evil.example/", "evil.example"),
        ("/exports", None),
        ("https://[broken", None),
        ("https://portal.example:notaport", None),
        ("", None),
        (None, None),
    ],
)
def test_a_host_is_shown_as_people_know_it(url: str | None, host: str | None) -> None:
    """Without user name, path or the scheme's own port; None where there is no host."""
    assert host_of(url) == host


@pytest.mark.parametrize(("agent", "label"), AGENTS.items())
def test_a_browser_is_named_as_it_names_itself(agent: str, label: str) -> None:
    """Five browsers and six systems; "A browser" for whatever is not said plainly."""
    assert browser_label(agent) == label


def test_a_missing_user_agent_is_a_browser() -> None:
    """A request need not carry the header."""
    assert browser_label(None) == "A browser"


@given(st.text(max_size=200))
def test_a_browser_label_never_repeats_what_was_sent(agent: str) -> None:
    """The words are ours alone, so the header cannot put text into a page or a message."""
    name, _, system = browser_label(agent).partition(" on ")
    assert name in {"Chrome", "Edge", "Firefox", "Safari", "Opera", "A browser"}
    assert system in {"", "Windows", "macOS", "Linux", "Android", "iPhone", "iPad"}


@pytest.mark.parametrize("evil", ["(" * 50_000, "Chrome" * 9_000, "/ " * 25_000, "\x00" * 50_000])
def test_an_evil_user_agent_costs_nothing(evil: str) -> None:
    """security.md PL-03: 50 KB in under 50 ms, and nothing past 512 characters is read."""
    started = time.perf_counter()
    assert browser_label(evil + "Chrome/130 Windows") == "A browser"
    assert time.perf_counter() - started < 0.05
