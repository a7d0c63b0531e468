"""Where an internet address is, by a file of the operator's own (domain D30). Nobody is asked and nothing is guessed.

Rows keep the address; the place is looked up when a page or a message is written. So a newer file speaks for old rows too,
an installation without a file has nothing to clear away, and the sealed trail holds what was seen, not what it was taken for.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Self

import maxminddb

from authsvc import logs
from authsvc.errors import ConfigurationError
from authsvc.web import facts

#: Kinds of file with the fields that are read here: GeoLite2-City, GeoIP2-Country, DBIP-City-Lite, ...
_KINDS = re.compile(r"City|Country|Enterprise")

log = logs.logger(__name__)


class Places:
    """The places of a file, and no places at all when the installation has none."""

    def __init__(self, reader: maxminddb.Reader | None = None) -> None:
        self._reader = reader

    @classmethod
    def open(cls, file: Path | None) -> Self:
        """The places in a MaxMind DB `file`; it may be replaced (renamed over it, not written into) until the next start.

        Raises: ConfigurationError when it cannot be read or holds neither cities nor countries.
        """
        if file is None:
            return cls()
        named = f"AUTHSVC_GEOIP_FILE names {file}, which"
        try:
            reader = maxminddb.open_database(file)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as exc:
            raise ConfigurationError([f"{named} cannot be read as a MaxMind DB file (.mmdb)"]) from exc
        kind = str(reader.metadata().database_type)
        if not _KINDS.search(kind):
            reader.close()
            raise ConfigurationError([f"{named} holds neither cities nor countries: it is {kind[:40]}"])
        return cls(reader)

    @property
    def are_known(self) -> bool:
        """Whether this installation can tell places."""
        return self._reader is not None

    def here(self) -> str:
        """The place of the present request."""
        return self.of(facts.current().remote_address)

    def of(self, remote_address: str | None) -> str:
        """ "Austin, TX"; outside the US "Lyon, France", or the country alone. Empty: not known, or no address of the internet."""
        reader, address = self._reader, _public(remote_address or "")
        if reader is None or address is None or address.version > reader.metadata().ip_version:
            return ""
        try:
            return _words(reader.get(address))
        except (ValueError, maxminddb.InvalidDatabaseError):
            log.warning("places.unreadable")  # a broken file takes the place away, not the page
            return ""

    def close(self) -> None:
        """Let go of the file."""
        if self._reader is not None:
            self._reader.close()


def _public(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return address if address.is_global else None


def _words(row: object) -> str:
    country, city = _text(row, "country", "names", "en"), _text(row, "city", "names", "en")
    if not city:
        return country
    is_us = _text(row, "country", "iso_code") == "US"
    area = _text(row, "subdivisions", 0, "iso_code") if is_us else country
    return f"{city}, {area or country}" if area or country else city


def _text(row: object, *path: str | int) -> str:
    """What stands at `path`; empty when the row has nothing there."""
    for step in path:
        if isinstance(row, dict):
            row = row.get(step)
        elif isinstance(row, list) and isinstance(step, int) and step < len(row):
            row = row[step]
        else:
            return ""
    return row if isinstance(row, str) else ""
