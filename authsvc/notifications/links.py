"""Where a notification may lead: to a page of ours, or to the account's own portal. Never anywhere else. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LONGEST = 500
# A browser reads a backslash as a slash and skips line breaks; none of what it forgives is let in.
_PLAIN = re.compile(r"[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+")


def is_ours(link: str) -> bool:
    """Whether it is a path of this service."""
    return _is_plain(link) and link.startswith("/") and not link.startswith("//")


def is_at(link: str, portal_url: str) -> bool:
    """Whether it is an address of this portal: the same scheme, host and port (an https one wherever the portal is)."""
    return _is_plain(link) and _origin(link) is not None and _origin(link) == _origin(portal_url)


def _is_plain(link: str) -> bool:
    return len(link) <= LONGEST and _PLAIN.fullmatch(link) is not None


def _origin(url: str) -> tuple[str, str] | None:
    """Scheme and authority to the letter: a name or a password in it makes it another one."""
    parts = urlsplit(url)
    return (parts.scheme, parts.netloc.lower()) if parts.scheme in ("https", "http") and parts.netloc else None
