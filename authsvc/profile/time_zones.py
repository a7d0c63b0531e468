"""The time zones a person may choose."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

#: Those of the United States first: that is where nearly everybody is.
UNITED_STATES = (
    ("America/New_York", "Eastern"),
    ("America/Chicago", "Central"),
    ("America/Denver", "Mountain"),
    ("America/Phoenix", "Arizona"),
    ("America/Los_Angeles", "Pacific"),
    ("America/Anchorage", "Alaska"),
    ("Pacific/Honolulu", "Hawaii"),
    ("America/Puerto_Rico", "Puerto Rico"),
)
_REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")

Group = tuple[str, tuple[tuple[str, str], ...]]


def groups(chosen: str) -> tuple[Group, ...]:
    """(heading, (name, label)...) in the order of the list; `chosen` comes first where an operator set another one."""
    listed = _groups()
    if not chosen or any(chosen == name for _, names in listed for name, _ in names):
        return listed
    return (("Chosen", ((chosen, chosen),)), *listed)


@cache
def _groups() -> tuple[Group, ...]:
    first = {name for name, _ in UNITED_STATES}
    found: list[Group] = [("United States", UNITED_STATES)]
    for region in _REGIONS:
        names = (name for name in sorted(available_names() - first) if name.startswith(region + "/"))
        found.append((region, tuple((name, _label(name)) for name in names)))
    return tuple(found)


def is_one(name: str) -> bool:
    """Whether `name` can be chosen: a name of the database itself, so nothing typed ever reaches a file's path."""
    return name in available_names()


@cache
def available_names() -> frozenset[str]:
    """Every name of the system's database, read once a process."""
    return frozenset(available_timezones())


def _label(name: str) -> str:
    return name.partition("/")[2].replace("_", " ").replace("/", " – ")
