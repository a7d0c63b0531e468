"""How pages and messages write instants, addresses and browsers (ux.md section 2, rules 11 and 12). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

# Not strftime's %b and %p: those follow the process's locale, the pages are in US English.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BULLETS = "•••"
_LONGEST_USER_AGENT = 512

_ZONES = {
    "America/New_York": "Eastern Time",
    "America/Chicago": "Central Time",
    "America/Denver": "Mountain Time",
    "America/Phoenix": "Mountain Time",
    "America/Los_Angeles": "Pacific Time",
    "America/Anchorage": "Alaska Time",
    "Pacific/Honolulu": "Hawaii Time",
}

# Order matters: nearly everything also calls itself Chrome or Safari. None: a browser that wears Chrome's name without
# being it and that we do not name.
_BROWSERS: tuple[tuple[str, str | None], ...] = (
    ("SamsungBrowser/", None),
    ("Vivaldi/", None),
    ("YaBrowser/", None),
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("Opera/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Android", None),  # the old Android browser calls itself Safari
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class Time:
    """An instant for a `<time>` element: words for people, `iso` for its datetime attribute."""

    text: str
    iso: str

    @classmethod
    def clock(cls, instant: datetime, zone: ZoneInfo) -> Self:
        """Written as `clock_time` does."""
        return cls(clock_time(instant, zone), _iso(instant, zone))

    @classmethod
    def full(cls, instant: datetime, zone: ZoneInfo) -> Self:
        """Written as `full_time` does."""
        return cls(full_time(instant, zone), _iso(instant, zone))

    @classmethod
    def recent(cls, instant: datetime, zone: ZoneInfo, *, now: datetime) -> Self:
        """Written as `recent_time` does."""
        return cls(recent_time(instant, zone, now=now), _iso(instant, zone))

    @classmethod
    def said(cls, instant: datetime, zone: ZoneInfo, *, now: datetime) -> Self:
        """As `recent`, amid a sentence: "Invited today, 8:58 AM EST"."""
        written = recent_time(instant, zone, now=now)
        return cls(written.replace("Today", "today"), _iso(instant, zone))

    @classmethod
    def exact(cls, instant: datetime, zone: ZoneInfo, *, now: datetime) -> Self:
        """Written as `moment` does, on a line of its own: "Today, 8:58 AM EST"."""
        written = moment(instant, zone, now=now)
        return cls(written[:1].upper() + written[1:], _iso(instant, zone))


def clock_time(instant: datetime, zone: ZoneInfo) -> str:
    """The time of day with its zone: "4:41 PM EST"."""
    local = instant.astimezone(zone)
    return f"{_clock(local)} {_abbreviation(local)}"


def exact_time(instant: datetime, zone: ZoneInfo) -> str:
    """As `clock_time`, to the second, for waits of under a minute: "4:32:10 PM EST"."""
    local = instant.astimezone(zone)
    return f"{local.hour % 12 or 12}:{local:%M:%S} {_half(local)} {_abbreviation(local)}"


def day(instant: datetime, zone: ZoneInfo) -> str:
    """The day without its year: "Dec 22"."""
    local = instant.astimezone(zone)
    return f"{_MONTHS[local.month - 1]} {local.day}"


def full_time(instant: datetime, zone: ZoneInfo) -> str:
    """Day, year, time and zone: "Nov 22, 2026, 4:31 PM EST"."""
    local = instant.astimezone(zone)
    return f"{day(instant, zone)}, {local.year}, {_clock(local)} {_abbreviation(local)}"


def zone_name(zone: ZoneInfo, now: datetime) -> str:
    """A zone as people call it: "Eastern Time (EST)"; where they have no such name, "Europe/Berlin (CET)"."""
    return f"{_ZONES.get(zone.key, zone.key.replace('_', ' '))} ({_abbreviation(now.astimezone(zone))})"


def date(instant: datetime, zone: ZoneInfo) -> str:
    """The day with its year: "Aug 3, 2026"."""
    return f"{day(instant, zone)}, {instant.astimezone(zone).year}"


def moment(instant: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """As `full_time`; within the present day "today, 8:58 AM EST"."""
    is_today = instant.astimezone(zone).date() == now.astimezone(zone).date()
    return f"today, {clock_time(instant, zone)}" if is_today else full_time(instant, zone)


def recent_time(instant: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """For lists: "Today, 8:58 AM EST" within the day, else the day alone: "Nov 20, 2026"."""
    local = instant.astimezone(zone)
    if local.date() == now.astimezone(zone).date():
        return f"Today, {clock_time(instant, zone)}"
    return f"{day(instant, zone)}, {local.year}"


def mask_email(address: str) -> str:
    """Enough of an address to recognise it: "d•••@northgate.example". Always three bullets: they hide the length."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}{_BULLETS}@{domain}" if local else _BULLETS


def phone_ending(phone: str) -> str:
    """The last two digits of an E.164 number: "42"."""
    return phone[-2:]


def mask_phone(phone: str) -> str:
    """Enough of a number to recognise it: "ending in 42"."""
    return f"ending in {phone_ending(phone)}"


def host_of(url: str | None) -> str | None:
    """The host of an address as people know it, with a port that is not the scheme's own; None where there is none."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None:
        return None
    return host if port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f"{host}:{port}"


def browser_label(user_agent: str | None) -> str:
    """What a browser says it is: "Chrome on macOS". "A browser" stands for every part that it does not say plainly.

    Only the first 512 characters are read, by plain substring tests: the header is anyone's to write (security PL-03).
    """
    said = (user_agent or "")[:_LONGEST_USER_AGENT]
    browser = next((name for sign, name in _BROWSERS if sign in said), None) or "A browser"
    system = next((name for sign, name in _SYSTEMS if sign in said), None)
    return f"{browser} on {system}" if system else browser


def near(browser: str, place: str) -> str:
    """For messages: "Chrome on macOS near Austin, TX", or without the place."""
    return f"{browser} near {place}" if place else browser


def _half(local: datetime) -> str:
    return "AM" if local.hour < 12 else "PM"


def _clock(local: datetime) -> str:
    return f"{local.hour % 12 or 12}:{local:%M} {_half(local)}"


def _abbreviation(local: datetime) -> str:
    """The zone's short name. Zones that have none are numbers in the database ("-03"), which read as UTC-03."""
    name = local.tzname() or ""
    return f"UTC{name}" if name[:1] in ("+", "-") else name


def _iso(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat(timespec="seconds")
