"""Links in mails, as a person follows them."""

from __future__ import annotations

import re

from tests.support.service import DANA, Service

NEW_PASSWORD = "copper violin meadow thunder"
_LINK = re.compile(r"^https?://\S+?(/(?:reset|verify|not-me|invite)/[0-9a-f]{64})$", re.MULTILINE)


def newest_link(service: Service, kind: str, *, to: str = DANA) -> str:
    """The path of the newest link of a kind that was mailed to somebody, delivered."""
    return links(service, kind, to=to)[-1]


def links(service: Service, kind: str, *, to: str = DANA) -> list[str]:
    """Every link of a kind that was mailed to somebody, oldest first, delivered."""
    service.deliver()
    found = [path for message in service.emails.to(to) for path in _LINK.findall(message.text)]
    return [path for path in found if path.startswith(f"/{kind}/")]
